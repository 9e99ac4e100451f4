"""Run the notebooks, and make a website of them, of the library's reference and of the README's tables.

A run that is newer than its notebook and the library, and had the default parameters, is used again.
"""

import argparse
import base64
import io
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

import nbformat
from check_links import broken_links
from nbformat.v4 import new_markdown_cell
from PIL import Image

from retina_nb.errors import UserError
from retina_nb.sweeps import NotebookFailed, run_notebook
from retina_nb.sweeps.stills import keep_pictures

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
sys.path.append(str(HERE.parent))

from launch import first_cell, github_repository, launchers  # noqa: E402

RUNS = ROOT / "runs"
WORK = RUNS / "gallery.work"
WIDTH = 640  # of a thumbnail, in pixels


def executed(notebook: Path) -> Path:
    """The run of a notebook with its default parameters, which happens now if there is none that is new enough."""
    own = RUNS / "series" / notebook.stem
    for folder in (RUNS / notebook.stem, own):
        if is_current(folder / notebook.name, notebook):
            return folder / notebook.name
    print(f"running {notebook.name}", file=sys.stderr)
    return run_notebook(notebook, own)


def is_current(run: Path, notebook: Path) -> bool:
    """Whether there is a run with the default parameters that is newer than the notebook and the library."""
    if not run.exists():
        return False
    library = (path for path in (ROOT / "retina_nb").rglob("*") if path.suffix in (".py", ".yaml", ".safetensors"))
    newest = max(path.stat().st_mtime for path in (notebook.with_suffix(".py"), *library))
    given = nbformat.read(run, as_version=4).metadata.get("papermill", {}).get("parameters", {})
    return run.stat().st_mtime > newest and set(given) <= {"output_dir"}


def write_pages(runs: Iterable[Path], pages: Path, repository: str | None = None) -> None:
    """Put what Sphinx makes the site of into a folder; with OWNER/NAME on GitHub, notebooks open from there."""
    (pages / "notebooks").mkdir(parents=True)
    for page in HERE.glob("*.md"):
        shutil.copy(page, pages)
    cards = "".join(write_notebook(run, pages / "notebooks", repository) for run in runs)
    (pages / "cards.txt").write_text(f"::::{{grid}} 1 2 2 3\n:gutter: 3\n\n{cards}::::\n", encoding="utf-8")
    (pages / "tables.md").write_text(tables(ROOT / "README.md", pages), encoding="utf-8")


def write_notebook(run: Path, folder: Path, repository: str | None) -> str:
    """Put a run among the pages and return its card for the index."""
    text = run.read_text(encoding="utf-8").replace(str(run.parent.absolute()), f"runs/{run.stem}")
    document = nbformat.reads(text, as_version=4)
    title = clean(document)
    first = document.cells[0]  # notebooks speak of each other by number
    first.source = first.source.replace(f"# {title}", f"# {run.stem[:2]} · {title}", 1)
    if repository:
        document.cells.insert(1, new_markdown_cell(launch_line(repository, run.name)))
    nbformat.write(document, folder / run.name)
    options = f":link: notebooks/{run.stem}\n:link-type: doc\n"
    if picture := thumbnail(document):
        picture.thumbnail((WIDTH, WIDTH))
        picture.save(folder / f"{run.stem}.png")
        options += f":img-top: notebooks/{run.stem}.png\n:img-alt: A figure of {run.stem}\n"
    aim = re.search(r"\*\*What you'll do\*\*: (.+?\.)\s", document.cells[0].source, re.DOTALL)
    text = aim[1][:1].upper() + " ".join(aim[1][1:].split()) if aim else ""
    return f":::{{grid-item-card}} {run.stem[:2]} · {title}\n{options}\n{text}\n\n`{run.stem}`\n:::\n\n"


def launch_line(repository: str, notebook: str) -> str:
    links = [f"[Open in {name}]({url})" for name, url in launchers(repository, f"notebooks/{notebook}").items()]
    return f"{' '.join(links)}\n\nOn Colab, first run this in a cell of its own: `{first_cell(repository)}`"


def clean(document: nbformat.NotebookNode) -> str:
    """Leave out what needs a kernel or tells of this machine, and describe figures by the headings above them.

    Returns:
        The first heading.
    """
    headings = [""]
    keep_pictures(document)
    document.cells = [cell for cell in document.cells if "injected-parameters" not in cell.metadata.get("tags", [])]
    for cell in document.cells:
        if cell.cell_type == "markdown":
            headings += re.findall(r"^#+ +(.+)", cell.source, re.MULTILINE)
        elif cell.cell_type == "code":
            own = [output.get("metadata", {}).get("image/png", {}).get("alt") for output in cell.outputs]
            cell.metadata["mystnb"] = {"image": {"alt": next(filter(None, own), f"Figure: {headings[-1]}")}}
    return headings[1]


def thumbnail(document: nbformat.NotebookNode) -> Image.Image | None:
    """The figure of the cell that is tagged `thumbnail`, or else the first figure."""
    cells = sorted(document.cells, key=lambda cell: "thumbnail" not in cell.metadata.get("tags", []))
    outputs = (output.get("data", {}) for cell in cells for output in cell.get("outputs", []))
    found = next((data["image/png"] for data in outputs if "image/png" in data), None)
    return Image.open(io.BytesIO(base64.b64decode(found))) if found else None


def tables(readme: Path, pages: Path) -> str:
    """The sections of the README that have a table between marks, ``<!-- name -->`` and ``<!-- /name -->``."""
    sections = re.split(r"^(?=## )", readme.read_text(encoding="utf-8"), flags=re.MULTILINE)
    text = "".join(section for section in sections if "<!-- /" in section)
    for path in re.findall(r"!\[[^]]*\]\((?!http)([^)]*)\)", text):
        shutil.copy(readme.parent / path, pages)
        text = text.replace(f"]({path})", f"]({Path(path).name})")
    text = re.sub(r"<!--.*?-->|</?(details|summary)>.*\n", "", text)
    return "# Truth and speed\n\n" + re.sub(r"(?<!!)\[([^]]*)\]\((?!http)[^)]*\)", r"\1", text)  # no other files here


def build(pages: Path, site: Path) -> None:
    """Make the site; whatever Sphinx warns of is an error, and so are links that lead nowhere."""
    made, doctrees = pages.parent / "html", pages.parent / "doctrees"
    options = ["-q", "-W", "--keep-going", "-c", str(HERE), "-d", str(doctrees)]
    if status := subprocess.run([sys.executable, "-m", "sphinx", *options, str(pages), str(made)]).returncode:
        sys.exit(status)
    if broken := broken_links(made):
        sys.exit("\n".join(broken))
    shutil.rmtree(site, ignore_errors=True)
    made.rename(site)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("notebooks", type=Path, nargs="*", default=sorted((ROOT / "notebooks").glob("[0-9]*.ipynb")))
    try:
        runs = [executed(notebook) for notebook in parser.parse_args().notebooks]
    except (NotebookFailed, UserError) as error:
        sys.exit(str(error))
    shutil.rmtree(WORK, ignore_errors=True)
    # Whose workflow builds the site knows its repository.
    write_pages(runs, WORK / "pages", os.environ.get("GITHUB_REPOSITORY") or github_repository(ROOT / "pyproject.toml"))
    build(WORK / "pages", RUNS / "gallery")
    print(f"open {RUNS / 'gallery' / 'index.html'}")


if __name__ == "__main__":
    main()
