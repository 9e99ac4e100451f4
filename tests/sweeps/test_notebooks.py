"""Running one notebook: what is refused before it runs, what it leaves, and what a failure leaves."""

import errno
import json
import os
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path

import nbformat
import numpy as np
import pytest
from jupyter_client.manager import AsyncKernelManager

from retina_nb.errors import UserError
from retina_nb.sweeps import NotebookFailed, kernels, notebook_parameters, run_name, run_notebook

SOURCE = """
# %% [markdown]
# # A tiny notebook

# %% tags=["parameters"]
max_epochs = 2  # of training
rate: float = 0.1
dataset = "simulated"
settings = {}
resume = None
output_dir = "runs/tiny"

# %% [markdown]
# ## Train

# %%
import json, os, sys
from pathlib import Path

for epoch in range(max_epochs):
    print(f"epoch {epoch + 1} of {max_epochs}")

# %%
import matplotlib.pyplot as plt

plt.plot([1, 2])

# %%
results = {"epochs": max_epochs, "rate": rate, "settings": settings, "python": sys.executable}
Path(output_dir, "results.json").write_text(json.dumps(results))
"""

Write = Callable[..., Path]
HOLDS_ITSELF: list[object] = []
HOLDS_ITSELF.append(HOLDS_ITSELF)


@pytest.fixture
def notebook(tmp_path: Path) -> Write:
    def write(text: str = SOURCE, name: str = "01_tiny.py") -> Path:
        path = tmp_path / name
        path.write_text(textwrap.dedent(text))
        return path

    return write


def failing(statement: str) -> str:
    return f"""
        # %% [markdown]
        # # A notebook that stops

        # %%
        print("before")

        # %%
        {statement}
        """


def outputs(notebook: Path) -> list[nbformat.NotebookNode]:
    return [output for cell in nbformat.read(notebook, as_version=4).cells for output in cell.get("outputs", [])]


def test_a_run_leaves_the_executed_notebook_and_what_it_saved(notebook, tmp_path, monkeypatch, capfd):
    monkeypatch.setenv("MPLBACKEND", "Agg")  # as in CI, where figures must appear all the same
    monkeypatch.chdir(tmp_path)
    parameters = {"max_epochs": 3, "rate": 1, "settings": {"size": [5, 7]}, "resume": "a"}

    executed = run_notebook(notebook(), "runs/{one}", parameters)

    folder = tmp_path / "runs" / "{one}"
    assert executed == folder / "01_tiny.ipynb"
    assert sorted(path.name for path in folder.iterdir()) == ["01_tiny.ipynb", "results.json"]
    assert json.loads((folder / "results.json").read_text()) == {
        "epochs": 3,
        "rate": 1,
        "settings": {"size": [5, 7]},
        "python": sys.executable,
    }
    assert any("image/png" in output.get("data", {}) for output in outputs(executed))
    assert not [output for output in outputs(executed) if output.get("name") == "stderr"]
    assert nbformat.read(executed, as_version=4).metadata.papermill.parameters == {
        **parameters,
        "output_dir": str(folder),
    }
    shown = capfd.readouterr().err
    assert shown.splitlines() == [
        "A tiny notebook",
        "Train",
        "  epoch 1 of 3",
        "  epoch 2 of 3",
        "  epoch 3 of 3",
    ]


def test_a_failure_is_kept_and_told_in_one_line_and_a_rerun_clears_it(notebook, tmp_path):
    message = "unknown dataset 'simulatd': did you mean 'simulated'?"
    statement = f"from retina_nb.errors import UserError; raise UserError({message!r})"
    with pytest.raises(NotebookFailed) as failure:
        run_notebook(notebook(failing(statement)), tmp_path / "run")

    failed = tmp_path / "run" / "01_tiny.failed.ipynb"
    assert str(failure.value) == f"{message} (see {failed})"
    assert [path.name for path in failed.parent.iterdir()] == [failed.name]
    assert [output.output_type for output in outputs(failed)] == ["stream", "error"]

    run_notebook(notebook(failing("print('mended')")), tmp_path / "run")
    assert [path.name for path in failed.parent.iterdir()] == ["01_tiny.ipynb"]


def test_a_failed_rerun_does_not_pass_for_the_run_before(notebook, tmp_path):
    source, folder = notebook(SOURCE.replace("max_epochs):", "max_epochs):\n    assert rate < 1")), tmp_path / "run"
    names = {"01_tiny.ipynb", "results.json"}
    run_notebook(source, folder)
    assert {path.name for path in folder.iterdir()} == names
    for _ in range(2):
        with pytest.raises(NotebookFailed):
            run_notebook(source, folder, {"rate": 2.0})
        earlier = {"01_tiny.earlier.ipynb", "results.earlier.json"}
        assert {path.name for path in folder.iterdir()} == {"01_tiny.failed.ipynb", *earlier}
        assert json.loads((folder / "results.earlier.json").read_text())["rate"] == 0.1
    run_notebook(source, folder)
    assert {path.name for path in folder.iterdir()} == names


def test_an_executed_notebook_has_the_parameters_it_was_executed_with(notebook, tmp_path):
    infinite = {"rate": float("inf"), "max_epochs": 1}
    first = run_notebook(notebook(), tmp_path / "one", infinite)
    assert notebook_parameters(first) == notebook_parameters(notebook()) | infinite
    run_notebook(first, tmp_path / "two", {"settings": {"a": 1}})
    found = json.loads((tmp_path / "two" / "results.json").read_text())
    assert (found["epochs"], found["rate"], found["settings"]) == (1, float("inf"), {"a": 1})
    assert run_name(first) == run_name(notebook(), infinite)


def test_two_cells_of_parameters_are_refused_since_values_would_be_lost(notebook):
    text = '# %% tags=["parameters"]\na = 1\n\n# %% tags=["parameters"]\nb = 2\n'
    with pytest.raises(UserError, match="has 2 cells tagged 'parameters': put all parameters into one"):
        notebook_parameters(notebook(text))


def test_a_kernel_is_this_python_whatever_kernels_are_installed(notebook, tmp_path, monkeypatch):
    broken = tmp_path / "jupyter" / "kernels" / "python3"
    broken.mkdir(parents=True)
    (broken / "kernel.json").write_text("{bad")
    monkeypatch.setenv("JUPYTER_PATH", str(tmp_path / "jupyter"))
    monkeypatch.setenv("JUPYTER_DATA_DIR", str(tmp_path / "jupyter"))
    assert run_notebook(notebook(failing("pass")), tmp_path / "run").exists()


def test_a_kernel_says_why_it_does_not_start(notebook, tmp_path, monkeypatch, capfd):
    monkeypatch.setattr(kernels, "KERNEL_STARTS", 1)
    monkeypatch.setenv("IPYTHONDIR", "/proc/nowhere")
    with pytest.raises(NotebookFailed, match=r"no kernel starts: FileNotFoundError: .*/proc/nowhere"):
        run_notebook(notebook(failing("pass")), tmp_path / "run")
    assert "Traceback" not in capfd.readouterr().err


def test_a_full_disk_is_one_sentence(notebook, tmp_path, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(nbformat, "write", full)
    with pytest.raises(UserError, match=r"cannot run 01_tiny.py in .*run: No space left on device"):
        run_notebook(notebook(), tmp_path / "run")


def test_a_preset_that_does_not_exist_is_refused_before_anything_is_made(notebook, tmp_path):
    source = notebook(SOURCE.replace("resume = None", 'preset = "simulated_retina"\noverrides = []'))
    for wrong in ({"preset": "simulated_retna"}, {"overrides": ["core.channels=[8]"]}):
        with pytest.raises(UserError, match="did you mean"):
            run_notebook(source, tmp_path / "run", wrong)
    assert not (tmp_path / "run").exists()


def test_a_kernel_that_dies_is_a_failed_run(notebook, tmp_path):
    with pytest.raises(NotebookFailed, match="the kernel died"):
        run_notebook(notebook(failing("import os; os._exit(1)")), tmp_path / "run")
    assert [path.name for path in (tmp_path / "run").iterdir()] == ["01_tiny.failed.ipynb"]


def test_a_kernel_that_does_not_start_is_started_again(notebook, tmp_path, monkeypatch):
    starts = []
    start = AsyncKernelManager.start_kernel

    def start_at_the_second_time(self, **options):
        starts.append(options)
        if len(starts) == 1:
            raise RuntimeError("Kernel died before replying to kernel_info")
        return start(self, **options)

    monkeypatch.setattr(AsyncKernelManager, "start_kernel", start_at_the_second_time)
    assert run_notebook(notebook(failing("pass")), tmp_path / "run").exists()
    assert len(starts) == 2


def test_a_kernel_that_never_starts_is_a_failed_run(notebook, tmp_path, monkeypatch):
    def never(self, **options):
        raise RuntimeError("Kernel died before replying to kernel_info")

    monkeypatch.setattr(AsyncKernelManager, "start_kernel", never)
    with pytest.raises(NotebookFailed, match="no kernel starts: Kernel died before replying"):
        run_notebook(notebook(), tmp_path / "run")


@pytest.mark.parametrize(
    ("parameters", "complaint"),
    [
        ({"max_epoch": 3}, "unknown parameter of 01_tiny.py 'max_epoch': did you mean 'max_epochs'?"),
        ({"max_epochs": 3.5}, "max_epochs of 01_tiny.py is 2 by default, so it cannot be the float 3.5"),
        ({"max_epochs": True}, "cannot be the bool True"),
        ({"max_epochs": None}, "cannot be the NoneType None"),
        ({"rate": "fast"}, "cannot be the str 'fast'"),
        ({"dataset": 1}, "cannot be the int 1"),
        ({"settings": [1]}, "cannot be the list"),
        ({"settings": {"size": (5, 7)}}, "cannot be the dict"),
        ({"resume": np.float32(1)}, "cannot be the float32"),
        ({"output_dir": "elsewhere"}, "give it as the output"),
        ({"max_epochs": 10**5000}, "cannot be the int that is too long"),
        ({"rate": 10**400}, "cannot be the int 1000"),
        ({"resume": HOLDS_ITSELF}, "cannot be the list [[...]]"),
        ({"resume": {"a": {1: 2}}}, "cannot be the dict"),
        ({"dataset": "\udcff"}, r"cannot be the str '\udcff'"),
        ({"dataset": ["x" * 1000]}, "x…"),
    ],
)
def test_parameters_that_do_not_fit_are_refused_before_anything_is_made(notebook, tmp_path, parameters, complaint):
    with pytest.raises(UserError) as error:
        run_notebook(notebook(), tmp_path / "run", parameters)
    assert complaint in str(error.value)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("blocked", ["file", "file/run"])
def test_an_output_folder_that_cannot_be_written_is_refused(notebook, tmp_path, blocked):
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match=r"cannot write to the output folder .*file.*; choose one"):
        run_notebook(notebook(), tmp_path / blocked)


def test_a_run_does_not_overwrite_its_notebook(notebook, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match="would overwrite it"):
        run_notebook(notebook(), ".")


def test_what_is_no_notebook_is_refused(notebook, tmp_path):
    path = notebook("{", "01_tiny.ipynb")
    dead = tmp_path / "dead.ipynb"
    dead.symlink_to(tmp_path / "nothing")
    (tmp_path / "folder.ipynb").mkdir()
    for wrong, complaint in {
        tmp_path / "01_tinny.ipynb": "did you mean '01_tiny.ipynb'?",
        tmp_path / "nowhere" / "01_tiny.ipynb": "unknown notebook in .*nowhere",
        notebook("", "notes.txt"): "must end in .ipynb or .py",
        path: "cannot be read as a notebook",
        dead: "dead.ipynb is a link to .*nothing, which does not exist",
        tmp_path / "folder.ipynb": "is a folder, not a notebook",
    }.items():
        with pytest.raises(UserError, match=complaint):
            run_notebook(wrong, tmp_path / "run")


CELL = {"cell_type": "code", "metadata": {}, "source": "x = 1", "outputs": [], "execution_count": None}


@pytest.mark.parametrize(
    "document",
    [
        *([], {}, None, 5, "text", {"a": 1}, {"worksheets": [], "nbformat": 3}),
        {"nbformat": 4, "nbformat_minor": 5, "cells": []},
        {"nbformat": 4, "nbformat_minor": 5, "cells": 5, "metadata": {}},
        *(
            {"nbformat": 4, "nbformat_minor": 4, "cells": [cell], "metadata": {}}
            for cell in (5, {}, CELL | {"source": 5}, CELL | {"cell_type": "x"}, CELL | {"metadata": {"tags": 5}})
        ),
    ],
)
def test_json_that_is_no_notebook_is_refused(notebook, document):
    path = notebook(json.dumps(document), "01_tiny.ipynb")
    with pytest.raises(UserError, match=r"01_tiny\.ipynb cannot be read as a notebook: ") as error:
        notebook_parameters(path)
    assert "attribute" not in str(error.value)


@pytest.mark.parametrize(
    "line", ["n = 2 if quick else 100", "size = (5, 7)", "import os", "a, b = 1, 2", "x: int", "n ="]
)
def test_the_parameters_cell_holds_plain_literals(notebook, line):
    with pytest.raises(UserError, match=r"parameters cell of 01_tiny\.py"):
        notebook_parameters(notebook(f'# %% tags=["parameters"]\nquick = False\n{line}\n'))


def test_parameters_are_the_same_from_source_and_notebook(notebook, tmp_path):
    source = notebook()
    expected = {
        "max_epochs": 2,
        "rate": 0.1,
        "dataset": "simulated",
        "settings": {},
        "resume": None,
        "output_dir": "runs/tiny",
    }
    assert notebook_parameters(source) == expected
    nbformat.write(nbformat.v4.new_notebook(cells=[]), tmp_path / "02_none.ipynb")
    assert notebook_parameters(tmp_path / "02_none.ipynb") == {}
