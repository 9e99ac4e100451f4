"""Notebooks and their sources: whoever uses a notebook breaks nothing, and nobody's work is lost."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import jupytext
import nbformat
import pytest
from jupyter_server.services.contents.largefilemanager import LargeFileManager
from jupyter_server.services.kernels.kernelmanager import AsyncMappingKernelManager
from jupytext import TextFileContentsManager
from nbclient import NotebookClient
from traitlets.config import Config
from traitlets.config.loader import PyFileConfigLoader

ROOT = Path(__file__).parents[1]
sys.path.append(str(ROOT / ".ci"))

from canonical import clean  # noqa: E402
from sync_notebooks import sync  # noqa: E402

SOURCE = """# %% [markdown]
# # A tiny notebook

# %% tags=["parameters"]
n = 1

# %%
n

# %%
n
"""


@pytest.fixture
def source(tmp_path):
    path = tmp_path / "01_tiny.py"
    path.write_text(SOURCE)
    return path


def cells(source):
    return json.loads(source.with_suffix(".ipynb").read_text())["cells"]


def edit(source, before='"n = 1"', after='"n = 2"'):
    """Change the notebook alone, as VS Code does, some time after its source."""
    notebook = source.with_suffix(".ipynb")
    notebook.write_text(notebook.read_text().replace(before, after))
    os.utime(source, (0, 0))


def test_the_notebook_is_made_once_and_then_in_step(source, tmp_path, capsys):
    notebook = source.with_suffix(".ipynb")
    (complaint,) = sync(tmp_path, check=True)
    assert complaint.startswith(f"{notebook} and 01_tiny.py have different cells")
    assert not notebook.exists()
    assert sync(tmp_path, check=False) == []
    assert "wrote" in capsys.readouterr().out
    assert sync(tmp_path, check=True) == sync(tmp_path, check=False) == []
    assert capsys.readouterr().out == ""
    nbformat.validate(nbformat.read(notebook, as_version=4))


def test_ids_stay_with_their_cells(source, tmp_path):
    sync(tmp_path, check=False)
    before = cells(source)
    assert len({cell["id"] for cell in before}) == 4
    source.write_text(SOURCE.replace('# %% tags=["parameters"]', '# %%\nimport os\n\n# %% tags=["parameters"]'))
    sync(tmp_path, check=False)
    after = cells(source)
    assert [cell for cell in after if cell["source"] != ["import os"]] == before
    assert after[2]["metadata"] == {"tags": ["parameters"]}


def test_an_edited_source_makes_the_notebook_again(source, tmp_path):
    sync(tmp_path, check=False)
    source.write_text(SOURCE.replace("n = 1", "n = 3"))
    assert len(sync(tmp_path, check=True)) == 1
    assert sync(tmp_path, check=False) == []
    assert cells(source)[1]["source"] == ["n = 3"]


def test_cells_edited_in_the_notebook_are_kept_or_taken_over_as_one_says(source, tmp_path):
    sync(tmp_path, check=False)
    edit(source)
    (complaint,) = sync(tmp_path, check=False)
    assert "was edited after 01_tiny.py: keep its cells with 'make sync FROM=ipynb'" in complaint
    assert cells(source)[1]["source"] == ["n = 2"]
    assert source.read_text() == SOURCE
    assert "'make sync FROM=ipynb'" in sync(tmp_path, check=True)[0]

    assert sync(tmp_path, check=False, source_is="ipynb") == []
    assert source.read_text() == SOURCE.replace("n = 1", "n = 2")
    assert sync(tmp_path, check=True) == []

    edit(source, '"n = 2"', '"n = 5"')
    assert sync(tmp_path, check=False, source_is="py") == []
    assert cells(source)[1]["source"] == ["n = 2"]


def test_a_notebook_without_a_source_is_told_and_gets_one(source, tmp_path):
    sync(tmp_path, check=False)
    source.unlink()
    (complaint,) = sync(tmp_path, check=True)
    assert "01_tiny.ipynb has no source" in complaint
    assert sync(tmp_path, check=False, source_is="ipynb") == []
    assert source.read_text() == SOURCE


# ---- a session in JupyterLab ----


def session(root, notebook, *, run=False, change=None):
    """Open a notebook in JupyterLab's way, use it, and save it, as autosave does."""
    contents = TextFileContentsManager()
    contents.root_dir = str(root)
    document = contents.get(notebook)["content"]
    if change:
        change(document)
    if run:
        NotebookClient(document, kernel_name="python3", resources={"metadata": {"path": str(root)}}).execute()
    else:
        for number, cell in enumerate(cell for cell in document.cells if cell.cell_type == "code"):
            cell.execution_count = number + 1
            cell.outputs = [nbformat.v4.new_output("stream", text="used\n")]
            cell.metadata |= {"trusted": True, "scrolled": True}
    document.metadata.kernelspec = {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"}
    document.metadata.language_info = {"name": "python", "version": "3.11.7", "mimetype": "text/x-python"}
    document.metadata.widgets = {"application/vnd.jupyter.widget-state+json": {"state": {"a": {}}, "version_major": 2}}
    contents.save({"type": "notebook", "format": "json", "content": document}, notebook)


@pytest.fixture
def workbook(tmp_path):
    """A copy of what the lint of the notebooks needs, committed, with the filter of `make`."""
    root = tmp_path / "workbook"
    shutil.copytree(ROOT / "notebooks", root / "notebooks", ignore=shutil.ignore_patterns("runs"))
    shutil.copytree(ROOT / ".ci", root / ".ci", ignore=shutil.ignore_patterns("__pycache__", "gallery"))
    for name in ("pyproject.toml", ".gitattributes", ".gitignore"):
        shutil.copy(ROOT / name, root)
    git(root, "init", "-q")
    git(root, "config", "filter.notebook.clean", f"{sys.executable} .ci/canonical.py")
    commit(root)
    return root


def git(root, *words):
    author = ["-c", "user.name=tester", "-c", "user.email=tester@example.org"]
    return subprocess.run(["git", *author, *words], cwd=root, check=True, capture_output=True, text=True).stdout


def commit(root):
    git(root, "add", "-A")
    git(root, "commit", "-qm", "workbook")


def lint(root):
    """What `make lint` says of the notebooks; nothing if they pass."""
    ruff = shutil.which("ruff", path=Path(sys.executable).parent)
    commands = [
        [ruff, "check", "--no-cache"],
        [ruff, "format", "--check", "--no-cache"],
        [sys.executable, ".ci/sync_notebooks.py", "--check"],
        [sys.executable, ".ci/index_notebooks.py", "--check"],
    ]
    done = [subprocess.run(command, cwd=root, capture_output=True, text=True) for command in commands]
    return "".join(one.stdout + one.stderr for one in done if one.returncode)


def test_notebooks_that_were_used_in_jupyterlab_pass_the_lint_and_change_nothing_for_git(workbook):
    names = [f"notebooks/{name}.ipynb" for name in ("00_start_here", "14_custom_core_and_readout", "15_sweeps")]
    sources = {path: path.read_text() for path in (workbook / "notebooks").glob("[0-9]*.py")}
    for name in names:
        session(workbook, name)
    assert {path: path.read_text() for path in sources} == sources
    assert all("used" in (workbook / name).read_text() for name in names)
    assert lint(workbook) == ""
    assert git(workbook, "diff") == ""
    git(workbook, "add", "-A")
    assert git(workbook, "status", "--porcelain") == ""
    assert all("used" in (workbook / name).read_text() for name in names)


@pytest.mark.parametrize("source", sorted((ROOT / "notebooks").glob("[0-9]*.py")), ids=lambda path: path.stem)
def test_jupyterlab_writes_a_source_as_it_was(source):
    document = jupytext.read(source, fmt="py:percent")
    document.metadata = {"jupytext": {"notebook_metadata_filter": "-all", "cell_metadata_filter": "tags,-all"}}
    assert jupytext.writes(document, fmt="py:percent") == source.read_text()


def test_cells_edited_in_jupyterlab_pass_the_lint_and_are_what_git_shows(workbook):
    tiny = workbook / "notebooks" / "16_tiny.py"
    tiny.write_text(
        SOURCE.replace("A tiny notebook", "What is tiny?\n#\n# **What you need**: nothing; a second on one core.")
    )
    for script in ("sync_notebooks", "index_notebooks"):
        subprocess.run([sys.executable, f".ci/{script}.py"], cwd=workbook, check=True, capture_output=True)
    commit(workbook)

    def change(document):
        document.cells[1].source = "n = 2"
        document.cells.append(nbformat.v4.new_code_cell("import sys, os\nprint(  'hurried' )"))

    session(workbook, "notebooks/16_tiny.ipynb", run=True, change=change)
    assert "hurried" in tiny.read_text()
    assert lint(workbook) == ""
    changed = [
        line for line in git(workbook, "diff", "-U0").splitlines() if line[:1] in "+-" and line[:3] not in "+++---"
    ]
    assert not [line for line in changed if "ipykernel" in line or "output_type" in line or "widget-state" in line]
    assert any("n = 2" in line for line in changed)


def test_the_filter_leaves_alone_what_is_no_notebook():
    for text in ("", "<<<<<<< HEAD\n{}", '{"cells": 3}', "[1, 2]", '{"cells": [{"source": "no kind"}]}'):
        assert clean(text) == text
    again = clean((ROOT / "notebooks" / "00_start_here.ipynb").read_text())
    assert clean(again) == again


def test_kernels_of_make_lab_start_where_a_shell_does(tmp_path):
    """So that runs/... is one folder for both."""
    namespace = PyFileConfigLoader("jupyter_server_config.py", path=str(ROOT / ".jupyter")).load_config()
    made = namespace.ServerApp.kernel_manager_class(root_dir=str(tmp_path))
    (tmp_path / "notebooks").mkdir()
    assert isinstance(made, AsyncMappingKernelManager)
    assert made.cwd_for_path("notebooks/00_start_here.ipynb") == made.cwd_for_path("") == str(tmp_path)
    plain = AsyncMappingKernelManager(root_dir=str(tmp_path))
    assert plain.cwd_for_path("notebooks/00_start_here.ipynb") == str(tmp_path / "notebooks")


def test_make_lab_lists_each_notebook_once_and_shows_no_news():
    namespace: Config = PyFileConfigLoader("jupyter_server_config.py", path=str(ROOT / ".jupyter")).load_config()
    contents = LargeFileManager(config=namespace)
    listed = [path.name for path in (ROOT / "notebooks").iterdir() if contents.should_list(path.name)]
    assert "00_start_here.ipynb" in listed
    assert "00_start_here.py" not in listed
    settings = json.loads((ROOT / ".jupyter/labconfig/default_setting_overrides.json").read_text())
    assert settings["@jupyterlab/apputils-extension:notification"]["fetchNews"] == "false"
    assert "JUPYTER_CONFIG_PATH=$(CURDIR)/.jupyter" in (ROOT / "Makefile").read_text()
