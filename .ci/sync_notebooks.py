"""Make notebooks/NN_topic.ipynb from its source, NN_topic.py (percent format).

The same source always gives the same file: cell ids are hashes of the cells, and there are no outputs.
With --check nothing is written; the exit status is 1 if a notebook is not what its source gives.
"""

import argparse
import hashlib
import os
import sys
from collections import Counter
from pathlib import Path

import jupytext
import nbformat

NUMBERED = "[0-9][0-9]_*"
KERNEL = {"display_name": "Python 3", "language": "python", "name": "python3"}


def generate(source: Path) -> str:
    """The text of the .ipynb that a source gives."""
    notebook = jupytext.read(source, fmt="py:percent")
    notebook.metadata = {"kernelspec": KERNEL, "language_info": {"name": "python"}}
    notebook.nbformat, notebook.nbformat_minor = 4, 5
    seen: Counter[str] = Counter()
    for cell in notebook.cells:
        digest = hashlib.sha256(f"{cell.cell_type}\n{cell.source}".encode()).hexdigest()[:8]
        seen[digest] += 1
        cell.id = digest if seen[digest] == 1 else f"{digest}-{seen[digest]}"
    return nbformat.writes(notebook) + "\n"


def edited_by_hand(source: Path, notebook: Path) -> bool:
    """Whether the cells of a notebook were changed after its source, so that its text must not be thrown away."""
    if not notebook.exists() or notebook.stat().st_mtime <= source.stat().st_mtime + 1:
        return False
    ours, theirs = (
        [(cell.cell_type, cell.source) for cell in document.cells]
        for document in (jupytext.read(source, fmt="py:percent"), nbformat.read(notebook, as_version=4))
    )
    return ours != theirs


def sync(folder: Path, check: bool) -> list[str]:
    """Write what differs (unless `check`) and return the complaints that are left."""
    complaints = []
    for source in sorted(folder.glob(f"{NUMBERED}.py")):
        notebook = source.with_suffix(".ipynb")
        text = generate(source)
        if notebook.exists() and notebook.read_text(encoding="utf-8") == text:
            continue
        if check:
            complaints.append(f"{notebook} is not what {source.name} gives: run 'make sync'")
        elif edited_by_hand(source, notebook):
            complaints.append(
                f"{notebook} was edited after {source.name}: take its cells over with "
                f"'jupytext --to py:percent {notebook}', or delete it, then run 'make sync'"
            )
        else:
            notebook.write_text(text, encoding="utf-8")
            # JupyterLab and `edited_by_hand` must not take the copy for newer than its source.
            os.utime(notebook, ns=(source.stat().st_atime_ns, source.stat().st_mtime_ns))
            print(f"wrote {notebook}")
    for notebook in sorted(folder.glob(f"{NUMBERED}.ipynb")):
        if not notebook.with_suffix(".py").exists():
            complaints.append(f"{notebook} has no source: 'jupytext --to py:percent {notebook}' makes one")
    return complaints


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, nargs="?", default=Path(__file__).parents[1] / "notebooks")
    parser.add_argument("--check", action="store_true")
    arguments = parser.parse_args()
    sys.exit("\n".join(sync(arguments.folder, arguments.check)) or 0)
