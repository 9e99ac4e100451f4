"""What a notebook and a script show of a mistake of the user."""

import subprocess
import sys

import nbclient
import pytest
from IPython.core.interactiveshell import InteractiveShell
from nbformat.v4 import new_code_cell, new_notebook

CHAINED = """
from retina_nb.errors import UserError
def read(): return {}["a"]
try:
    read()
except KeyError as error:
    raise UserError("there is no a: give one") from error
"""
CELLS = {
    "plain": "from retina_nb.errors import UserError\nraise UserError('there is no a: give one')",
    "from another error": CHAINED,
    "while another is handled": CHAINED.replace(" from error", ""),
    "awaited": "import asyncio\nawait asyncio.sleep(0)\n" + CHAINED,
}


@pytest.fixture(scope="module")
def executed():
    cells = [new_code_cell(source) for source in CELLS.values()] + [new_code_cell("%tb"), new_code_cell("1 / 0")]
    notebook = new_notebook(cells=cells)
    nbclient.NotebookClient(notebook, allow_errors=True, timeout=120).execute()
    return [cell.outputs[-1] for cell in notebook.cells]


@pytest.mark.parametrize("number", range(len(CELLS)), ids=CELLS)
def test_a_notebook_shows_the_sentence_alone(executed, number):
    (line,) = executed[number]["traceback"]
    assert line.endswith("there is no a: give one")
    assert "UserError" in line
    assert len(line.splitlines()) == 1
    assert (executed[number]["ename"], executed[number]["evalue"]) == ("UserError", "there is no a: give one")


def test_the_whole_traceback_is_there_for_who_asks(executed):
    shown = "\n".join(executed[len(CELLS)]["traceback"])
    for part in ("Traceback (most recent call last)", "in read", "KeyError: 'a'", "UserError: there is no a: give one"):
        assert part in shown


def test_errors_of_others_are_shown_as_ever(executed):
    assert len("\n".join(executed[-1]["traceback"]).splitlines()) > 3


def test_a_shell_shows_the_sentence_alone(capsys):
    shell = InteractiveShell()
    shell.run_cell(CHAINED)
    assert capsys.readouterr().out.strip().splitlines() == ["\x1b[31mUserError\x1b[39m: there is no a: give one"]
    shell.run_line_magic("tb", "")
    assert "in read" in capsys.readouterr().out


def test_a_script_prints_the_whole_traceback(tmp_path):
    script = tmp_path / "script.py"
    script.write_text(CHAINED)
    told = subprocess.run([sys.executable, str(script)], capture_output=True, text=True).stderr
    assert "in read" in told
    assert told.strip().endswith("UserError: there is no a: give one")
