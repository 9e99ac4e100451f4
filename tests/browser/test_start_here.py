"""The first notebook as people use it: opened, run and dragged, in JupyterLab, in Notebook and as a page of Voilà."""

import io

import numpy as np
import pytest
from browsing import SCROLLING, drag, explorer_of, handle, picture, value, wait_until
from PIL import Image

PAGES = {
    "lab": "lab/tree/00_start_here.ipynb?reset",
    "notebook": "notebooks/00_start_here.ipynb",
    "voila": "voila/render/00_start_here.ipynb",
}


@pytest.fixture(scope="module", params=PAGES)
def start(request, page):
    """The page of the notebook, which has run to its end."""
    url = request.getfixturevalue(request.param)
    page.goto(f"{url}/{PAGES[request.param]}")
    if request.param != "voila":
        page.locator(".jp-Toolbar-kernelName", has_text="Python 3 (ipykernel)").wait_for()
        page.locator('.jp-Notebook-ExecutionIndicator[data-status="idle"]').wait_for()
        page.get_by_role("menuitem", name="Run", exact=True).click()
        page.get_by_role("menuitem", name="Run All Cells", exact=True).click()
    output(page, "All results are as expected").wait_for(timeout=200_000)
    handle(explorer_of(page), "diameter (µm)").wait_for()
    return page


@pytest.fixture
def explorer(start):
    return explorer_of(start)


def output(page, text):
    return page.locator(".jp-OutputArea-output", has_text=text)


def film(widget):
    """(height, width): brightness of the middle of the frame that a player shows."""
    frame = Image.open(io.BytesIO(widget.locator(".widget-gridbox").first.screenshot())).convert("L")
    return np.asarray(frame)[20:-60, 20:-20]


def test_it_says_what_the_twin_says(start, keep):
    keep(start)
    for printed in ("correlation of twin and truth", "its favourite"):  # before the verdicts, which name both
        assert output(start, printed).filter(has_not_text="All results are as expected").count() == 1
    for failure in ("stderr", "error"):
        assert start.locator(f'[data-mime-type="application/vnd.jupyter.{failure}"]').count() == 0
    assert start.locator(".jp-OutputArea-output img").count() >= 4


def test_the_film_is_dragged_and_played(start, keep):
    player = start.locator(".retina-nb", has=start.locator(".widget-play")).first
    time = handle(player, "time")
    player.scroll_into_view_if_needed()
    assert wait_until(start, lambda: np.ptp(film(player)) > 100)  # at once there is something to see
    first = film(player)
    drag(start, time, 45)
    assert wait_until(start, lambda: not np.array_equal(film(player), first))
    keep(start)
    stopped = value(time)
    player.locator(".widget-play button").first.click()
    assert wait_until(start, lambda: value(time) > stopped + 5)


def test_the_picture_follows_what_is_dragged(start, explorer, keep):
    diameter = handle(explorer, "diameter (µm)")
    before, small = picture(explorer), value(diameter)
    drag(start, diameter, 40)
    assert value(diameter) > small
    assert wait_until(start, lambda: picture(explorer) != before)
    start.wait_for_timeout(1000)
    large = picture(explorer)
    drag(start, diameter, -60, 30, -60, 30, -60, 0)  # fast, and back: no value of the last may be lost
    assert wait_until(start, lambda: picture(explorer) == large)
    start.wait_for_timeout(1000)
    assert picture(explorer) == large
    explorer.scroll_into_view_if_needed()
    keep(start)


def test_controls_are_those_of_the_stimulus(start, explorer, keep):
    before = picture(explorer)
    explorer.locator("select", has=start.locator("option", has_text="moving bar")).select_option("moving bar")
    direction = handle(explorer, "direction (°)")
    direction.wait_for()
    handle(explorer, "diameter (µm)").wait_for(state="hidden")
    assert wait_until(start, lambda: picture(explorer) != before)
    before = picture(explorer)
    drag(start, direction, 60)
    assert value(direction) > 0
    assert wait_until(start, lambda: picture(explorer) != before)
    explorer.scroll_into_view_if_needed()
    keep(start)


def test_a_neuron_is_chosen_on_the_map(start, explorer):
    before = picture(explorer)
    explorer.locator('button[title*="neuron 7"]').dispatch_event("click")
    neuron = handle(explorer, "neuron")
    assert wait_until(start, lambda: value(neuron) == 7)
    assert wait_until(start, lambda: picture(explorer) != before)


def test_the_picture_is_beside_what_is_dragged(explorer):
    image, slider = (explorer.locator(one).first.bounding_box() for one in ("img", ".widget-hslider"))
    assert image["x"] > slider["x"] + slider["width"]
    assert image["y"] < slider["y"] + 100
    assert image["width"] > 350


def test_nothing_comes_from_elsewhere(start):
    asked = [one for one in start.elsewhere if "fontawesome" not in one.replace("-", "")]  # Voilà can do without
    assert asked == []


@pytest.mark.parametrize("which", [".retina-nb", ".jp-OutputArea-output:not(:has(pre))"])
def test_nothing_scrolls_that_has_nothing_to_scroll(start, which):
    assert start.locator(which).count() >= 2
    assert start.locator(which).evaluate_all(SCROLLING) == []


def test_pictures_and_handles_have_names(start, explorer):
    image = explorer.locator("img").first
    neuron, diameter = handle(explorer, "neuron"), explorer.locator('.noUi-handle[aria-label="diameter (µm)"]')
    assert neuron.get_attribute("aria-label") == "neuron"
    assert diameter.get_attribute("aria-valuetext") is not None
    explorer.locator('button[title*="neuron 3"]').dispatch_event("click")
    assert wait_until(start, lambda: "neuron 3" in image.get_attribute("alt"))
    assert "largest rate" in image.get_attribute("alt")
