"""Make notebooks/README.md, the index of the series, from the first cell of each notebook.

With --check nothing is written; the exit status is 1 if the index is not what the notebooks give.
"""

import argparse
import re
import sys
from pathlib import Path

import jupytext
from launch import first_cell, github_repository, launchers

ROOT = Path(__file__).parents[1]
HEAD = """\
# The series

<!-- made by .ci/index_notebooks.py, run 'make sync' -->
`make lab` opens the first of them in JupyterLab. Each has a cell of parameters that you may edit, or set from a shell:
`retina-nb run notebooks/NN_topic.ipynb -p NAME VALUE`, or `-f FILE` with a file of parameters for a larger run.

"""
COLUMNS = ["notebook", "question", "what you need", "takes", "files of parameters"]


def index(folder: Path, repository: str | None = None) -> tuple[str, list[str]]:
    """The text of the index, and complaints about notebooks whose first cell does not say what belongs in it.

    Args:
        folder: Where the notebooks are.
        repository: OWNER/NAME on GitHub, from which Colab and Binder can open them; without, nothing is said of these.
    """
    columns = COLUMNS + ["open in"] * bool(repository)
    rows, complaints = [row(columns), f"|{'---|' * len(columns)}\n"], []
    for source in sorted(folder.glob("[0-9][0-9]_*.py")):
        first = " ".join(jupytext.read(source, fmt="py:percent").cells[0].source.split())
        title = re.match(r"# (.+?\?)", first)
        need = re.search(r"\*\*What you need\*\*: (.+)[;.] ([^;.]+ on [^;.]+)\.", first)
        if not title or not need:
            complaints.append(
                f"{source}: its first cell must begin with a question as its title, and have a line '**What you "
                "need**: what to know before; how long on which device.'"
            )
            continue
        larger = [
            f"[{one.stem[3:]}](params/{one.name})" for one in sorted(folder.glob(f"params/{source.stem[:2]}_*.yaml"))
        ]
        takes = need[2][0].lower() + need[2][1:]
        cells = [f"[{source.stem}]({source.stem}.ipynb)", title[1], need[1], takes, ", ".join(larger)]
        if repository:
            found = launchers(repository, f"notebooks/{source.stem}.ipynb")
            cells.append(", ".join(f"[{name}]({address})" for name, address in found.items()))
        rows.append(row(cells))
    online = f"Colab needs a first cell: `{first_cell(repository)}`.\n\n" if repository else ""
    return HEAD + online + "".join(rows), complaints


def row(cells: list[str]) -> str:
    return f"| {' | '.join(cells)} |\n"


def sync_index(folder: Path, check: bool, repository: str | None = None) -> list[str]:
    """Write the index if it differs (unless `check`) and return the complaints that are left."""
    text, complaints = index(folder, repository)
    readme = folder / "README.md"
    if complaints or (readme.exists() and readme.read_text(encoding="utf-8") == text):
        return complaints
    if check:
        return [f"{readme} is not what the notebooks give: run 'make sync'"]
    readme.write_text(text, encoding="utf-8")
    print(f"wrote {readme}")
    return []


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, nargs="?", default=ROOT / "notebooks")
    parser.add_argument("--check", action="store_true")
    arguments = parser.parse_args()
    repository = github_repository(ROOT / "pyproject.toml")
    sys.exit("\n".join(sync_index(arguments.folder, arguments.check, repository)) or 0)
