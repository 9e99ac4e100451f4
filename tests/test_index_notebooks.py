"""The index of the notebooks says what their first cells say."""

import importlib.util
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SCRIPT = ROOT / ".ci" / "index_notebooks.py"
SOURCE = """# %% [markdown]
# # How tiny can a
# notebook be?
#
# **What you need**: notebook 00. Then nothing; a second on
# one core.

# %%
n = 1
"""


@pytest.fixture(scope="module")
def sync_index():
    spec = importlib.util.spec_from_file_location("index_notebooks", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.sync_index


def test_a_row_for_each_notebook(sync_index, tmp_path, capsys):
    (tmp_path / "01_tiny.py").write_text(SOURCE)
    (tmp_path / "params").mkdir()
    (tmp_path / "params" / "01_all_data.yaml").write_text("n: 1000\n")
    assert sync_index(tmp_path, check=True) == [f"{tmp_path}/README.md is not what the notebooks give: run 'make sync'"]
    assert sync_index(tmp_path, check=False) == []
    assert "wrote" in capsys.readouterr().out
    assert sync_index(tmp_path, check=True) == []
    row = (tmp_path / "README.md").read_text().splitlines()[-1]
    needs = "notebook 00. Then nothing | a second on one core"
    larger = "[all_data](params/01_all_data.yaml)"
    assert row == f"| [01_tiny](01_tiny.ipynb) | How tiny can a notebook be? | {needs} | {larger} |"


def test_a_notebook_that_does_not_say_what_it_needs_is_told(sync_index, tmp_path):
    (tmp_path / "01_tiny.py").write_text(SOURCE.replace("What you need", "What it takes"))
    (complaint,) = sync_index(tmp_path, check=False)
    assert "01_tiny.py: its first cell must" in complaint
    assert not (tmp_path / "README.md").exists()


def test_the_first_notebook_leads_to_all_others():
    start = (ROOT / "notebooks" / "00_start_here.py").read_text()
    others = [path.stem for path in (ROOT / "notebooks").glob("[0-9][0-9]_*.py") if path.stem != "00_start_here"]
    assert [name for name in others if f"({name}.ipynb)" not in start] == []
