# Run `make` alone for the list of targets. Everything happens in .venv; PYTHON=python3.12 picks another Python.
PYTHON ?= python3
BIN := .venv/bin
INSTALLED := .venv/.installed
export PIP_DISABLE_PIP_VERSION_CHECK := 1

.PHONY: help demo lab test check lint sync git-filter truth twin bench lock voila gallery
help:
	@grep -E '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):.*## /  make \1\t/' | expand -t 16

demo: $(INSTALLED)  ## train a twin of a simulated retina in about three minutes
	@$(BIN)/retina-nb run notebooks/01_train_a_twin.ipynb -o runs/demo
	@echo "next: 'make lab' opens JupyterLab on notebooks/"

# Kernels start here, as in a shell: results and paths are the same in both.
lab: $(INSTALLED) git-filter  ## open the workbook in JupyterLab
	JUPYTER_CONFIG_PATH=$(CURDIR)/.jupyter:$$JUPYTER_CONFIG_PATH $(BIN)/jupyter lab --allow-root

# Who sees the page can run nothing but its widget, and is on this machine.
voila: $(INSTALLED)  ## explore the twin on a page of its own, without code
	$(BIN)/voila notebooks/pages/explore_twin.py --Voila.ip=127.0.0.1 \
	  --VoilaConfiguration.extension_language_mapping=.py=python

# Two processes share two cores: one thread each, also for the kernels of notebooks, or they wait for each other.
test: lint  ## run everything: lint, types, pairing, tests, notebooks
	OMP_NUM_THREADS=1 $(BIN)/pytest -n 2 --dist worksteal --ignore tests/browser --nbmake --nbmake-timeout 600 tests notebooks
	OMP_NUM_THREADS=1 $(BIN)/pytest tests/browser

check: lint  ## run what takes less than four minutes: no notebooks, no browser
	OMP_NUM_THREADS=1 $(BIN)/pytest -n 2 --dist worksteal --ignore tests/notebooks --ignore tests/browser --ignore tests/gallery

lint: $(INSTALLED) git-filter
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/python .ci/sync_notebooks.py --check
	$(BIN)/python .ci/index_notebooks.py --check

sync: $(INSTALLED) git-filter  ## make every notebooks/NN_*.ipynb from the .py beside it, and their index; FROM=ipynb: the other way
	$(BIN)/python .ci/sync_notebooks.py $(if $(FROM),--from $(FROM))
	$(BIN)/python .ci/index_notebooks.py

# Outputs in notebooks are no changes for git, which .gitattributes asks for this filter. Without git there is no need.
git-filter:
	@git rev-parse --git-dir >/dev/null 2>&1 && git config filter.notebook.clean '$(PYTHON) .ci/canonical.py' || true

truth: $(INSTALLED)  ## check every analysis against the truth of the simulated retina, and print the table
	$(BIN)/python -m retina_nb.checks runs/truth README.md

twin: $(INSTALLED)  ## train the twin that comes with the package again
	$(BIN)/retina-nb run notebooks/01_train_a_twin.ipynb -f notebooks/params/01_shipped_twin.yaml -o runs/shipped
	mkdir -p retina_nb/twins && cp runs/shipped/twin.safetensors retina_nb/twins/simulated.safetensors

gallery: $(INSTALLED)  ## run the notebooks and make a website of them, and of the reference, in runs/gallery
	$(BIN)/python .ci/gallery/build_site.py

# QUICK=1 takes less than 15 minutes, GPU=1 runs on CUDA, NAME="mei import" only some of them.
bench: .venv-bench/.installed  ## time openretina and retina_nb side by side, and print the table (QUICK=1, GPU=1)
	.venv-bench/bin/python -m benchmarks $(NAME) --mallopt $(if $(QUICK),--quick) \
	  $(if $(GPU),--device cuda --output runs/bench-cuda,$(if $(NAME)$(QUICK),,--readme README.md))

# torch again first and alone. openretina asks for torchvision and torchaudio, which may not fit the torch that is there,
# and needs them for nothing that is timed.
.venv-bench/.installed: requirements.lock pyproject.toml
	@echo "installing openretina and retina_nb into .venv-bench: once, a few minutes"
	@$(PYTHON) -m venv .venv-bench
	@.venv-bench/bin/pip install -q $$(grep '^torch==' requirements.lock)
	@.venv-bench/bin/pip install -q $$(grep '^torch==' requirements.lock) openretina==1.1.1 -e .
	@.venv-bench/bin/pip uninstall -q -y torchvision torchaudio
	@touch $@

# torch goes first and alone: on a machine that has its wheel at hand, nothing that follows may choose another build.
$(INSTALLED): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "retina_nb needs Python 3.11 or newer: make PYTHON=python3.12 ...")'
	@echo "installing into .venv: once, a few minutes"
	@$(PYTHON) -m venv .venv
	@$(BIN)/pip install -q $$(grep '^torch==' requirements.lock)
	@$(BIN)/pip install -q -r requirements.lock
	@$(BIN)/pip install -q --no-deps -e .
	@touch $@

# The newest versions that pyproject.toml admits, but for torch: to move it, edit its line in requirements.lock first.
# The torch wheel's own CUDA packages are left out, so that every machine gets those of its own wheel.
lock:  ## renew requirements.lock
	rm -rf .venv-lock && $(PYTHON) -m venv .venv-lock
	.venv-lock/bin/pip install -q $$(grep '^torch==' requirements.lock)
	.venv-lock/bin/pip install -q -e '.[dev]'
	{ echo "# made by 'make lock'"; .venv-lock/bin/pip freeze --all --exclude-editable \
	  | grep -viE '^(pip==|nvidia|cuda|triton)' | sed -E 's/\+[a-z0-9.]+$$//'; } > .venv-lock/requirements.lock
	mv .venv-lock/requirements.lock requirements.lock && rm -rf .venv-lock
