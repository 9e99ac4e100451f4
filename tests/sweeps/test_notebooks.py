"""Running one notebook: what is refused before it runs, what it leaves, and what a failure leaves."""

import json
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path

import nbformat
import numpy as np
import pytest
from jupyter_client.manager import AsyncKernelManager

from retina_nb.errors import UserError
from retina_nb.sweeps import NotebookFailed, notebook_parameters, run_notebook

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
    for wrong, complaint in {
        tmp_path / "01_tinny.ipynb": "did you mean '01_tiny.ipynb'?",
        tmp_path / "nowhere" / "01_tiny.ipynb": "unknown notebook in .*nowhere",
        notebook("", "notes.txt"): "must end in .ipynb or .py",
        path: "cannot be read as a notebook",
    }.items():
        with pytest.raises(UserError, match=complaint):
            run_notebook(wrong, tmp_path / "run")


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
