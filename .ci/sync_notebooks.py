"""Keep notebooks/NN_topic.ipynb and its source, NN_topic.py (percent format), the same.

Only cells count: outputs, execution counts and whatever else using a notebook leaves in it are nobody's edits.
By default the .py is the source: each .ipynb whose cells differ is made again, without outputs, unless it was edited
later. With --check nothing is written; the exit status is 1 if a notebook and its source have different cells.
"""

import argparse
import os
import sys
from pathlib import Path

import jupytext
from canonical import canonical, clean

NUMBERED = "[0-9][0-9]_*"


def of_source(source: Path) -> str:
    """The text of the .ipynb that a source gives."""
    return canonical(jupytext.read(source, fmt="py:percent").cells)


def of_notebook(notebook: Path) -> str:
    """The same of a notebook that may have been run; nothing if there is none."""
    return clean(notebook.read_text(encoding="utf-8")) if notebook.exists() else ""


def was_edited_later(notebook: Path, source: Path) -> bool:
    return notebook.exists() and notebook.stat().st_mtime > source.stat().st_mtime + 1


def sync(folder: Path, check: bool, source_is: str = "") -> list[str]:
    """Write what differs (unless `check`) and return the complaints that are left.

    Args:
        folder: where notebooks and sources are.
        check: whether to write nothing.
        source_is: "py" or "ipynb": which of the two to keep, whichever was edited later.
    """
    complaints = []
    for source in sorted(folder.glob(f"{NUMBERED}.py")):
        notebook = source.with_suffix(".ipynb")
        text = of_source(source)
        if of_notebook(notebook) == text:
            continue
        if check:
            complaints.append(
                f"{notebook} and {source.name} have different cells: 'make sync FROM=py' keeps those of the .py, "
                "'make sync FROM=ipynb' those of the .ipynb (as after an edit in VS Code)"
            )
        elif source_is == "ipynb" and notebook.exists():
            take_over(notebook, source)
        elif source_is != "py" and was_edited_later(notebook, source):
            complaints.append(
                f"{notebook} was edited after {source.name}: keep its cells with 'make sync FROM=ipynb', "
                "or those of the .py with 'make sync FROM=py'"
            )
        else:
            notebook.write_text(text, encoding="utf-8")
            # JupyterLab and `was_edited_later` must not take the copy for newer than its source.
            os.utime(notebook, ns=(source.stat().st_atime_ns, source.stat().st_mtime_ns))
            print(f"wrote {notebook}")
    for notebook in sorted(folder.glob(f"{NUMBERED}.ipynb")):
        source = notebook.with_suffix(".py")
        if not source.exists() and source_is == "ipynb" and not check:
            take_over(notebook, source)
        elif not source.exists():
            complaints.append(f"{notebook} has no source: 'make sync FROM=ipynb' makes one")
    return complaints


def take_over(notebook: Path, source: Path) -> None:
    """Write the source that has a notebook's cells."""
    document = jupytext.reads(of_notebook(notebook), fmt="ipynb")
    document.metadata = {"jupytext": {"notebook_metadata_filter": "-all", "cell_metadata_filter": "tags,-all"}}
    source.write_text(jupytext.writes(document, fmt="py:percent"), encoding="utf-8")
    os.utime(notebook, ns=(source.stat().st_atime_ns, source.stat().st_mtime_ns))
    print(f"wrote {source}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, nargs="?", default=Path(__file__).parents[1] / "notebooks")
    parser.add_argument("--check", action="store_true")
    parser.add_argument("--from", dest="source_is", choices=["py", "ipynb"], default="", help="which cells to keep")
    arguments = parser.parse_args()
    sys.exit("\n".join(sync(arguments.folder, arguments.check, arguments.source_is)) or 0)
