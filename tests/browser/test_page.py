"""The page of the twin on a phone, on a small laptop, in the dark, and without a mouse."""

import pytest
from browsing import SCROLLING, drag, explorer_of, handle, picture, value, wait_until, window

SIZES = {
    "phone": {"viewport": {"width": 390, "height": 844}, "device_scale_factor": 2},
    "laptop": {"viewport": {"width": 1366, "height": 768}, "color_scheme": "dark"},
}


@pytest.fixture(scope="module")
def opened(request, browser, voila):
    """The page in a window of its own."""
    with window(browser, **SIZES[request.param]) as page:
        page.goto(f"{voila}/voila/render/pages/explore_twin.py")
        handle(explorer_of(page), "diameter (µm)").wait_for()
        explorer_of(page).locator("img[alt*=neuron]").wait_for()
        yield page


def phone(test):
    return pytest.mark.parametrize("opened", ["phone"], indirect=True)(test)


def laptop(test):
    return pytest.mark.parametrize("opened", ["laptop"], indirect=True)(test)


def brightness(page, selector):
    """(background, text) of an element from 0 to 255; of a transparent one, that of what it is on."""
    return page.locator(selector).first.evaluate("""one => {
      const level = color => color.match(/[0-9.]+/g).slice(0, 3).reduce((sum, part) => sum + Number(part), 0) / 3;
      let behind = one;
      while (getComputedStyle(behind).backgroundColor.endsWith(', 0)')) behind = behind.parentElement;
      return [level(getComputedStyle(behind).backgroundColor), level(getComputedStyle(one).color)];
    }""")


@phone
def test_on_a_phone_the_picture_stays_in_view_while_one_drags(opened, keep):
    explorer = explorer_of(opened)
    image, last = explorer.locator("img").first, handle(explorer, "frame at (s)")
    before, start = picture(explorer), value(last)
    drag(opened, last, 30)
    assert value(last) > start
    assert wait_until(opened, lambda: picture(explorer) != before)
    box, dragged = image.bounding_box(), last.bounding_box()
    assert box["y"] >= 0, "the whole picture is on screen"
    assert box["y"] + box["height"] <= dragged["y"], "above what is dragged"
    assert dragged["y"] + dragged["height"] <= 844
    keep(opened)


@phone
def test_on_a_phone_nothing_is_beside_the_screen(opened):
    widest = opened.evaluate("Math.max(...[...document.querySelectorAll('*')].map(one => one.scrollWidth))")
    assert widest <= 390
    assert opened.locator(".retina-nb").evaluate_all(SCROLLING) == []
    boxes = [one.bounding_box() for one in explorer_of(opened).locator(".widget-hslider, select, img").all()]
    assert all(box["x"] >= 0 and box["x"] + box["width"] <= 390 for box in boxes if box)


@laptop
def test_a_small_laptop_shows_all_at_once(opened, keep):
    boxes = [one.bounding_box() for one in explorer_of(opened).locator(".noUi-handle, select, img").all()]
    right = max(box["x"] + box["width"] for box in boxes if box)
    assert max(box["y"] + box["height"] for box in boxes if box) <= 768
    assert 1366 * 0.9 <= right <= 1366, "no part of the page is empty"
    assert opened.locator(".retina-nb").evaluate_all(SCROLLING) == []
    keep(opened)


@laptop
def test_in_the_dark_the_page_is_dark_and_can_be_read(opened):
    for selector in ("body", "h1", ".widget-label", ".widget-readout", "select"):
        behind, text = brightness(opened, selector)
        assert behind < 80, selector
        assert text - behind > 100, selector


@laptop
def test_a_keyboard_is_enough(opened, keep):
    explorer = explorer_of(opened)
    explorer.locator("select").first.focus()
    before, stops = picture(explorer), []
    while "stimulus" not in stops and len(stops) < 8:
        opened.keyboard.press("Tab")
        stops.append(opened.evaluate(FOCUSED)[0])
    assert stops[-1] == "stimulus", stops
    assert len(stops) <= 4, "the map has no stops"
    opened.keyboard.press("Tab")
    name, outline = opened.evaluate(FOCUSED)
    assert name == "contrast"
    assert outline, "where the focus is can be seen"
    opened.keyboard.press("ArrowLeft")
    assert wait_until(opened, lambda: picture(explorer) != before)
    keep(opened)


FOCUSED = """() => {
  const one = document.activeElement, style = getComputedStyle(one);
  const name = one.getAttribute('aria-label') || (one.labels && one.labels[0] ? one.labels[0].textContent : '');
  return [name, style.outlineStyle != 'none' && parseFloat(style.outlineWidth) > 0];
}"""
