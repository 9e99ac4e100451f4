"""Dragged without a browser: what is set on the controls is what is drawn."""

import base64
import threading
from io import BytesIO

import ipywidgets as ipw
import matplotlib.pyplot as plt
import numpy as np
import pytest
from PIL import Image

from retina_nb import UserError, plots
from retina_nb.widgets import live, slider


def column(height=3, width=5):
    """A field of grey.

    And more of it.
    """
    figure, ax = plots.style.figure(size=(2, 1))
    ax.imshow(np.zeros((height, width)))
    return figure


def pixels(shown):
    return np.asarray(Image.open(BytesIO(bytes(shown.picture.value))))


def test_dragging_a_control_draws_another_picture_of_the_same_size():
    shown = live(column, height=(1, 9))
    first = pixels(shown)
    assert shown.controls["height"].value == 3, "the argument's default"
    shown.controls["height"].value = 7
    assert first.shape == pixels(shown).shape == (100, 200, 4)
    assert not np.array_equal(first, pixels(shown))
    shown.controls["height"].value = 3
    assert np.array_equal(first, pixels(shown))


def test_no_figure_is_left_open():
    before = plt.get_fignums()
    shown = live(column, height=(1, 9))
    shown.controls["height"].value = 7
    assert plt.get_fignums() == before


def test_a_figure_that_is_kept_and_changed_is_drawn_again():
    figure = plots.style.figure(size=(2, 1))[0]
    (line,) = figure.axes[0].plot([0, 1], [0, 1])

    def move(end=0.5):
        line.set_ydata([0, end])
        return figure

    shown = live(move, end=(0.0, 1.0))
    first = bytes(shown.picture.value)
    shown.controls["end"].value = 0.9
    assert bytes(shown.picture.value) != first


@pytest.mark.parametrize(
    ("declared", "kind", "value"),
    [
        ((1, 9), ipw.IntSlider, 5),
        ((0.0, 1.0), ipw.FloatSlider, 0.5),
        ((50, 950, 50), ipw.IntSlider, 500),
        ((0.0, 0.02, 0.005), ipw.FloatSlider, 0.01),
        (["ON", "OFF"], ipw.Dropdown, "ON"),
        ({"upwards": 90, "right": 0}, ipw.Dropdown, 90),
        (True, ipw.Checkbox, True),
        (3, ipw.IntText, 3),
        (0.3, ipw.FloatText, 0.3),
        ("chirp", ipw.Text, "chirp"),
        (ipw.ToggleButton(), ipw.ToggleButton, False),
    ],
)
def test_controls_are_declared_plainly(declared, kind, value):
    seen = []

    def draw(some_value):
        seen.append(some_value)
        return column()

    made = live(draw, some_value=declared).controls["some_value"]
    assert type(made) is kind
    assert [made.value] == seen == [value]
    if kind is not ipw.ToggleButton:
        assert made.description == "some value"


def test_a_slider_has_its_unit_and_a_hundred_steps():
    made = slider(0.0, 3.0, value=1.0, label="speed", unit="mm/s")
    assert (made.description, made.value, made.step) == ("speed (mm/s)", 1.0, 0.03)


@pytest.mark.parametrize(
    ("controls", "sentence"),
    [
        ({"height": (9, 1)}, "needs a low end below its high one"),
        ({"height": (1, 9, 20)}, "the step of the slider 'height' must be above 0 and at most 8"),
        ({"height": (5, 9)}, "goes from 5 to 9, and cannot start at 3"),
        ({"height": [1, 2]}, "offers 1, 2, and cannot start at 3"),
        ({"height": None}, r"the control 'height' cannot be made of None: give \(low, high\)"),
        ({"hight": (1, 9)}, "unknown argument of column 'hight': did you mean 'height'"),
    ],
)
def test_a_control_that_cannot_be_made_is_refused(controls, sentence):
    with pytest.raises(UserError, match=sentence):
        live(column, **controls)


def test_an_argument_needs_a_control_or_a_default():
    with pytest.raises(UserError, match=r"needs its argument 'b'"):
        live(lambda a, b: column(), a=(1, 9))


def test_what_is_drawn_must_be_a_figure():
    with pytest.raises(UserError, match="must be a matplotlib figure, and is NoneType"):
        live(lambda a: None, a=(1, 9))


def picky(size=2):
    if size > 5:
        raise UserError(f"a size of {size} <pixels> is too much: choose 5 or less")
    if size == 0:
        raise ZeroDivisionError("no size")
    return column(size)


def test_a_bad_value_keeps_the_picture_and_says_why():
    shown = live(picky, size=(0, 9))
    before = bytes(shown.picture.value)
    shown.controls["size"].value = 7
    assert bytes(shown.picture.value) == before
    assert "A size of 7 &lt;pixels&gt; is too much: choose 5 or less" in shown.message.value
    assert shown.message.layout.display is None
    shown.controls["size"].value = 4
    assert shown.message.value == ""
    assert shown.message.layout.display == "none"
    assert bytes(shown.picture.value) != before


def test_a_mistake_of_the_function_is_shown_and_not_hidden():
    shown = live(picky, size=(0, 9))
    with pytest.raises(ZeroDivisionError):
        shown.controls["size"].value = 0
    assert "ZeroDivisionError: no size" in shown.message.value
    shown.controls["size"].value = 4
    assert shown.message.value == "", "it still draws"


def test_of_values_that_come_while_drawing_the_newest_is_drawn_next():
    seen, started, go_on = [], threading.Event(), threading.Event()

    def slow(value=0):
        seen.append(value)
        if value == 1:
            started.set()
            assert go_on.wait(10)
        return column(value + 1)

    shown = live(slow, value=(0, 99))
    dragging = threading.Thread(target=lambda: setattr(shown.controls["value"], "value", 1))
    dragging.start()
    assert started.wait(10)
    for value in range(2, 51):
        shown.controls["value"].value = value
    go_on.set()
    dragging.join()
    assert seen == [0, 1, 50]
    assert np.array_equal(pixels(shown), pixels(live(slow, value=slider(0, 99, value=50))))


def test_what_is_held_is_drawn_once():
    seen = []

    def draw(a=1, b=1):
        seen.append((a, b))
        return column(a, b)

    shown = live(draw, a=(1, 9), b=(1, 9))
    with shown.hold():
        shown.controls["a"].value = 3
        shown.controls["b"].value = 4
    assert seen == [(1, 1), (3, 4)]


def test_without_a_kernel_readers_see_the_picture():
    shown = live(column, height=(1, 9))
    shown.controls["height"].value = 7
    bundle, about = shown._repr_mimebundle_(include=None, exclude=None)
    assert base64.b64decode(bundle["image/png"]) == bytes(shown.picture.value)
    assert "application/vnd.jupyter.widget-view+json" in bundle
    assert about["image/png"]["alt"] == "A field of grey: height 7", "for those who cannot see it"
