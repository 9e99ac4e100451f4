"""The website of the gallery, made of two small runs: complete, readable, and at home on a machine without network."""

import base64
import io
import os
import re
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from pkgutil import iter_modules
from typing import Any

import nbformat
import numpy as np
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output
from PIL import Image

import retina_nb

HERE = Path(__file__).parents[2] / ".ci" / "gallery"
sys.path.insert(0, str(HERE))

import build_site  # noqa: E402
from check_links import broken_links  # noqa: E402

WIDGET = {"application/vnd.jupyter.widget-view+json": {"model_id": "1"}, "text/plain": "Play(...)"}


def png(colour: str) -> str:
    made = io.BytesIO()
    Image.new("RGB", (900, 300), colour).save(made, "png")
    return base64.b64encode(made.getvalue()).decode()


def output(**data: Any) -> nbformat.NotebookNode:
    return new_output("display_data", data={name.replace("_", "/"): value for name, value in data.items()})


def write_run(path: Path, title: str, *outputs: nbformat.NotebookNode, **parameters: Any) -> Path:
    """An executed notebook, as papermill leaves it."""
    aims = "- **What you'll do**: look at $\\frac{1}{n}$\n  of it. Then play.\n- **What you'll learn**: it."
    intro = f"# {title}\n\nWhy CC$_{{norm}}$?\n\n{aims}"
    told = new_code_cell('output_dir = "/somewhere"', metadata={"tags": ["injected-parameters"]})
    cells = [
        new_markdown_cell(intro),
        told,
        new_markdown_cell("## The look"),
        new_code_cell("1 + 1", outputs=[*outputs]),
    ]
    document = new_notebook(cells=cells, metadata={"papermill": {"parameters": parameters}})
    document.metadata.kernelspec = {"display_name": "Python 3", "language": "python", "name": "python3"}
    path.parent.mkdir(parents=True, exist_ok=True)
    nbformat.write(document, path)
    return path


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("gallery")
    wide = "<table class='dataframe'><tr>" + "<td>" + "<td>".join(["a cell of a table"] * 40) + "</tr></table>"
    pictured = new_output("display_data", data=WIDGET | {"image/png": png("green")})
    pictured.metadata["image/png"] = {"alt": "A movie"}
    runs = [
        write_run(folder / "01_first.ipynb", "What is first?", output(image_png=png("red")), output(text_html=wide)),
        write_run(folder / "02_second.ipynb", "What is next?", pictured, new_output("display_data", data=WIDGET)),
    ]
    build_site.write_pages(runs, folder / "work" / "pages")
    reference = folder / "work" / "pages" / "api.md"
    start = reference.read_text().partition("   retina_nb\n")[0]
    reference.write_text(start + "   retina_nb.analyses.subjects\n```\n")
    build_site.build(folder / "work" / "pages", folder / "site")
    return folder / "site"


def test_every_notebook_has_a_card_with_a_picture_and_words(site: Path) -> None:
    index = (site / "index.html").read_text()
    assert index.count('class="sd-card-img-top"') == 2
    for name, title in (("01_first", "01 · What is first?"), ("02_second", "02 · What is next?")):
        assert f'alt="A figure of {name}"' in index
        assert title in index
        assert f'href="notebooks/{name}.html"' in index
    assert "Look at " in index
    assert "<mfrac>" in index
    assert "Then play" not in index  # the first sentence will do
    assert "learn" not in index


def test_the_picture_of_a_card_is_the_first_or_the_one_that_is_tagged(tmp_path: Path) -> None:
    run = write_run(tmp_path / "01_first.ipynb", "What?", output(image_png=png("red")))
    document = nbformat.read(run, as_version=4)
    document.cells.append(new_code_cell("2", outputs=[output(image_png=png("lime"))]))
    assert build_site.thumbnail(document).getpixel((0, 0)) == (255, 0, 0)
    document.cells[-1].metadata["tags"] = ["thumbnail"]
    assert build_site.thumbnail(document).getpixel((0, 0)) == (0, 255, 0)
    assert build_site.thumbnail(new_notebook()) is None


def test_notebooks_show_figures_tables_and_formulas_and_not_where_they_ran(site: Path) -> None:
    page = (site / "notebooks" / "01_first.html").read_text()
    assert 'alt="Figure: The look"' in page
    assert "a cell of a table" in page
    assert "<msub>" in page
    assert "/somewhere" not in page


def test_widgets_give_their_picture_or_nothing(site: Path) -> None:
    page = (site / "notebooks" / "02_second.html").read_text()
    assert page.count('alt="A movie"') == page.count("<img ") == 1
    assert "Play(...)" not in page
    assert "widget" not in page


def test_the_reference_names_axes_and_links_types(site: Path) -> None:
    page = (site / "api" / "retina_nb.analyses.subjects.html").read_text()
    text = page.replace('<span class="pre">', "").replace("</span>", "").replace('<span class="s1">', "")
    assert "batch channel time height width" in text
    assert 'href="#retina_nb.analyses.subjects.Subject"' in page
    assert "Names of the stimulus channels: those of the recordings" in page  # not taken for a type


def test_a_page_does_not_tell_where_on_this_machine_it_was_made(tmp_path: Path) -> None:
    run = tmp_path / "home" / "01_first.ipynb"
    write_run(run, "What?", new_output("stream", text=f"kept in {run.parent}/twin.safetensors"))
    build_site.write_pages([run], tmp_path / "pages")
    page = (tmp_path / "pages" / "notebooks" / run.name).read_text()
    assert "kept in runs/01_first/twin.safetensors" in page
    assert str(tmp_path) not in page


def test_pages_open_in_colab_and_on_binder_where_the_repository_is_known(site: Path, tmp_path: Path) -> None:
    assert "colab" not in (site / "notebooks" / "01_first.html").read_text()
    run = write_run(tmp_path / "01_first.ipynb", "What is first?")
    build_site.write_pages([run], tmp_path / "pages", "somebody/retina")
    cells = nbformat.read(tmp_path / "pages" / "notebooks" / "01_first.ipynb", as_version=4).cells
    assert [cells[0].source[:8], cells[2].source] == ["# 01 · W", "## The look"]
    assert "[Open in Colab](https://colab.research.google.com/github/somebody/retina/blob/main/" in cells[1].source
    assert "[Open in Binder](https://mybinder.org/v2/gh/somebody/retina/main?urlpath=lab/tree/" in cells[1].source
    assert "`%pip install git+https://github.com/somebody/retina`" in cells[1].source


def test_tables_of_the_readme_are_there(site: Path) -> None:
    page = (site / "tables.html").read_text()
    assert "What the analyses recover" in page
    assert "preferred direction, bars: median error" in page


def test_of_the_readme_come_sections_with_tables_and_their_pictures_but_no_links_to_files(tmp_path: Path) -> None:
    (tmp_path / "pages").mkdir()
    (tmp_path / "a.png").touch()
    table = (
        "<details><summary>The table</summary>\n\n<!-- bench -->\n| a |\n|---|\n| 1 |\n<!-- /bench -->\n</details>\n"
    )
    speed = f"## Speed\nof [a file](a.py), [a page](https://b.org)\n![b](./a.png)\n{table}"
    (tmp_path / "README.md").write_text(f"# Title\n## Other\nno\n{speed}## Last\nno\n")
    text = build_site.tables(tmp_path / "README.md", tmp_path / "pages")
    assert text.split("\n", 2)[2] == (
        "## Speed\nof a file, [a page](https://b.org)\n![b](a.png)\n\n\n| a |\n|---|\n| 1 |\n\n"
    )
    assert (tmp_path / "pages" / "a.png").exists()


def test_every_package_is_in_the_reference() -> None:
    listed = (HERE / "api.md").read_text().split()
    packages = [module.name for module in iter_modules(retina_nb.__path__, "retina_nb.") if module.ispkg]
    assert set(packages) <= set(listed)


def test_a_run_is_used_again_unless_it_is_old_or_had_other_parameters(tmp_path: Path) -> None:
    notebook = tmp_path / "01_first.ipynb"
    notebook.with_suffix(".py").touch()
    run = write_run(tmp_path / "run" / "01_first.ipynb", "What?", output_dir="/elsewhere")
    assert build_site.is_current(run, notebook)
    assert not build_site.is_current(tmp_path / "no.ipynb", notebook)
    os.utime(run, (0, 0))
    assert not build_site.is_current(run, notebook)
    assert not build_site.is_current(write_run(run, "What?", seed=1), notebook)


def test_broken_links_are_found(tmp_path: Path) -> None:
    assert broken_links(tmp_path) == []
    (tmp_path / "other.html").write_text("<p id=here></p>")
    good = "<a href=other.html#here></a><a href='https://elsewhere.org'></a><img src=data:, alt=nothing>"
    bad = "<a href=other.html#there></a><a href=gone.html></a><script src=//cdn.org/a.js></script><img src=other.html>"
    (tmp_path / "page.html").write_text(good)
    assert broken_links(tmp_path) == []
    (tmp_path / "page.html").write_text(good + bad)
    complaints = broken_links(tmp_path)
    assert len(complaints) == 4
    for what in ("other.html#there", "gone.html", "cdn.org", "no words"):
        assert any(what in complaint for complaint in complaints)


def test_pictures_of_the_readme_are_small_and_described() -> None:
    readme = (build_site.ROOT / "README.md").read_text()
    found = re.findall(r"!\[([^]]*)\]\(([^)]*)\)", readme)
    assert len(found) >= 3
    for words, path in found:
        assert words
        assert (build_site.ROOT / path).stat().st_size < 150_000


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    found = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if found is None:
        pytest.skip("no Chromium on this machine")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=found, args=["--no-sandbox"])
        yield started
        started.close()


@pytest.mark.parametrize("size", [(1400, 1000), (390, 844)], ids=["desktop", "phone"])
def test_a_browser_shows_every_page_without_network_or_complaint(
    site: Path, browser: Any, size: tuple[int, int]
) -> None:
    page = browser.new_page(viewport={"width": size[0], "height": size[1]})
    page.set_default_timeout(120_000)  # a machine may be busy
    complaints: list[str] = []
    page.on("console", lambda message: message.type in ("error", "warning") and complaints.append(message.text))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("requestfailed", lambda request: complaints.append(request.url))
    page.on("request", lambda request: request.url.startswith(("file:", "data:")) or complaints.append(request.url))
    shown = 0
    for path in sorted(one for one in site.rglob("*.html") if "_static" not in one.parts):
        page.goto(path.as_uri())
        widths = page.evaluate("[...document.images].map(image => image.naturalWidth)")
        shown += len(widths)
        assert np.all(np.array(widths) > 0), f"{path.name} misses a picture"
        sides = page.evaluate("[document.documentElement.scrollWidth, innerWidth]")
        assert sides[0] <= sides[1], f"{path.name} is wider than the screen"
    page.close()
    assert not complaints
    assert shown >= 4  # two cards, two figures, and what the README's tables come with
