"""What the figure of an ascent shows."""

from dataclasses import replace
from io import BytesIO

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from retina_nb.analyses import MostExciting
from retina_nb.plots.climb import ClimbFigure


def reached(channels=("green", "UV"), scale=1.0, seed=0):
    rng = np.random.default_rng(seed)
    return MostExciting(
        stimuli=scale * rng.standard_normal((1, len(channels), 12, 5, 7)).astype(np.float32),
        scores=np.ones(1, np.float32),
        history=np.ones((1, 3), np.float32),
        converged=np.array([False]),
        responses=scale * rng.random((1, 8)).astype(np.float32),
        counted=(3, 8),
        table=pd.DataFrame({"session": ["one"], "neuron": 0, "constraint": "", "seed": 0}),
        suppress=False,
        channels=list(channels),
        rate=30.0,
        pixel_um=None,
    )


def pixels(painted):
    return np.asarray(Image.open(BytesIO(painted._repr_png_())))


@pytest.mark.parametrize("channels", [["green", "UV"], ["0"], ["red", "green", "blue"]])
def test_all_that_is_reached_is_shown(channels):
    made, first = reached(channels, scale=3.0), reached(channels, seed=1)
    strip, course, response, climbed = (
        ClimbFigure(first).show(made, [0.5, 1.0, 2.0], turns=[1], title="neuron 3").figure.axes
    )
    tiles = strip.images[0].get_array()
    assert tiles.shape == (6 * len(channels) - 1, 8 * 10 - 1)
    np.testing.assert_array_equal(tiles[-5:, -7:], made.stimuli[0, -1, -1])
    limit = np.abs(made.stimuli).max()
    assert strip.get_title("right").startswith("red and blue: contrasts up to ±")
    assert strip.images[0].get_clim()[1] == pytest.approx(limit, rel=0.3)
    assert [line.get_label() for line in course.lines[1:]] == channels
    assert np.array_equal(response.lines[0].get_ydata(), made.responses[0] * 30.0)
    assert list(climbed.lines[1].get_ydata()) == [15, 30, 60], "events per second"
    assert list(climbed.lines[0].get_xdata()) == [1, 1, 1]
    assert climbed.get_title() == "score: 60 events/s"
    assert climbed.figure.get_suptitle() == "neuron 3"


def test_scales_have_room_for_what_is_shown():
    figure = ClimbFigure(reached())
    for made, path in ((reached(scale=5.0), [0.0, 40.0]), (reached(scale=0.1), [-3.0] * 50)):
        _, course, response, climbed = figure.show(made, path).figure.axes
        rates, scores = made.responses * 30, np.multiply(path, 30)
        for ax, values in ((course, course.lines[1].get_ydata()), (response, rates), (climbed, scores)):
            assert ax.get_ylim()[0] <= np.min(values) <= np.max(values) <= ax.get_ylim()[1]
        assert climbed.get_xlim()[1] >= len(path) - 1
    assert climbed.get_ylim()[1] < 0


def test_a_picture_does_not_depend_on_those_before_it():
    used, fresh = ClimbFigure(reached()), ClimbFigure(replace(reached(seed=2), rate=30.0))
    pixels(used.show(reached(scale=9.0), [1.0, 5.0, 70.0], turns=[1, 2], title="another"))
    last = reached(seed=3), [0.0, 1.0]
    assert np.array_equal(pixels(used.show(*last, title="one")), pixels(fresh.show(*last, title="one")))
