"""The index of the notebooks says what their first cells say."""

import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
sys.path.append(str(ROOT / ".ci"))

from index_notebooks import sync_index  # noqa: E402
from launch import github_repository  # noqa: E402

SOURCE = """# %% [markdown]
# # How tiny can a
# notebook be?
#
# **What you need**: notebook 00. Then nothing; a second on
# one core.

# %%
n = 1
"""


def test_a_row_for_each_notebook(tmp_path, capsys):
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


def test_with_the_address_of_the_repository_colab_and_binder_open_each_notebook(tmp_path):
    (tmp_path / "01_tiny.py").write_text(SOURCE)
    assert sync_index(tmp_path, check=False, repository="somebody/retina") == []
    text = (tmp_path / "README.md").read_text()
    assert "`%pip install git+https://github.com/somebody/retina`" in text
    head, rule, row = text.splitlines()[-3:]
    assert head.count("|") == rule.count("|") == row.count("|") == 7
    assert "[Colab](https://colab.research.google.com/github/somebody/retina/blob/main/notebooks/01_tiny.ipynb)" in row
    assert "[Binder](https://mybinder.org/v2/gh/somebody/retina/main?urlpath=lab/tree/notebooks/01_tiny.ipynb)" in row
    assert sync_index(tmp_path, check=True, repository="somebody/retina") == []
    assert sync_index(tmp_path, check=True) != []


@pytest.mark.parametrize(
    ("urls", "expected"),
    [
        ("", None),
        ('[project.urls]\nDocumentation = "https://github.com/somebody/other"', None),
        ('[project.urls]\nRepository = "https://elsewhere.org/somebody/retina"', None),
        ('[project.urls]\nRepository = "https://github.com/somebody/retina_nb"', "somebody/retina_nb"),
        ('[project.urls]\nRepository = "https://github.com/some-body/a.retina.git"', "some-body/a.retina"),
    ],
)
def test_the_repository_is_one_line_of_pyproject(tmp_path, urls, expected):
    (tmp_path / "pyproject.toml").write_text(f'[project]\nname = "x"\n{urls}\n')
    assert github_repository(tmp_path / "pyproject.toml") == expected


def test_a_notebook_that_does_not_say_what_it_needs_is_told(tmp_path):
    (tmp_path / "01_tiny.py").write_text(SOURCE.replace("What you need", "What it takes"))
    (complaint,) = sync_index(tmp_path, check=False)
    assert "01_tiny.py: its first cell must" in complaint
    assert not (tmp_path / "README.md").exists()


def test_the_first_notebook_leads_to_all_others():
    start = (ROOT / "notebooks" / "00_start_here.py").read_text()
    others = [path.stem for path in (ROOT / "notebooks").glob("[0-9][0-9]_*.py") if path.stem != "00_start_here"]
    assert [name for name in others if f"({name}.ipynb)" not in start] == []
