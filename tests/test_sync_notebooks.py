"""Notebooks from their sources: the same every time, and nobody's work is lost."""

import importlib.util
import json
import os
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[1] / ".ci" / "sync_notebooks.py"
SOURCE = """# %% [markdown]
# # A tiny notebook

# %% tags=["parameters"]
n = 1

# %%
n

# %%
n
"""


@pytest.fixture(scope="module")
def sync():
    spec = importlib.util.spec_from_file_location("sync_notebooks", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.sync


@pytest.fixture
def source(tmp_path):
    path = tmp_path / "01_tiny.py"
    path.write_text(SOURCE)
    return path


def cells(source):
    return json.loads(source.with_suffix(".ipynb").read_text())["cells"]


def test_the_notebook_is_made_once_and_then_in_step(sync, source, tmp_path, capsys):
    notebook = source.with_suffix(".ipynb")
    assert sync(tmp_path, check=True) == [f"{notebook} is not what 01_tiny.py gives: run 'make sync'"]
    assert not notebook.exists()
    assert sync(tmp_path, check=False) == []
    assert "wrote" in capsys.readouterr().out
    assert sync(tmp_path, check=True) == sync(tmp_path, check=False) == []
    assert capsys.readouterr().out == ""


def test_ids_stay_with_their_cells(sync, source, tmp_path):
    sync(tmp_path, check=False)
    before = cells(source)
    assert len({cell["id"] for cell in before}) == 4
    source.write_text(SOURCE.replace('# %% tags=["parameters"]', '# %%\nimport os\n\n# %% tags=["parameters"]'))
    sync(tmp_path, check=False)
    after = cells(source)
    assert [cell for cell in after if cell["source"] != ["import os"]] == before
    assert after[2]["metadata"] == {"tags": ["parameters"]}


def test_outputs_do_not_count_as_edits_and_are_dropped(sync, source, tmp_path):
    sync(tmp_path, check=False)
    clean = source.with_suffix(".ipynb").read_text()
    executed = json.loads(clean)
    executed["cells"][2]["execution_count"] = 3
    source.with_suffix(".ipynb").write_text(json.dumps(executed))
    os.utime(source, (0, 0))
    assert len(sync(tmp_path, check=True)) == 1
    assert sync(tmp_path, check=False) == []
    assert source.with_suffix(".ipynb").read_text() == clean


def test_cells_edited_in_the_notebook_are_not_thrown_away(sync, source, tmp_path):
    sync(tmp_path, check=False)
    edited = source.with_suffix(".ipynb").read_text().replace('"n = 1"', '"n = 2"')
    source.with_suffix(".ipynb").write_text(edited)
    os.utime(source, (0, 0))
    (complaint,) = sync(tmp_path, check=False)
    assert "was edited after 01_tiny.py" in complaint
    assert source.with_suffix(".ipynb").read_text() == edited


def test_a_notebook_without_a_source_is_told(sync, source, tmp_path):
    sync(tmp_path, check=False)
    source.rename(tmp_path / "tiny.py")
    (complaint,) = sync(tmp_path, check=True)
    assert "01_tiny.ipynb has no source" in complaint
