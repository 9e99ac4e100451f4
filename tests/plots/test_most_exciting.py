import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

from retina_nb import plots
from retina_nb.analyses import MostDiscriminative, MostExciting


@pytest.fixture(autouse=True)
def _close():
    yield
    plt.close("all")


def exciting(channels):
    rng = np.random.default_rng(0)
    return MostExciting(
        stimuli=rng.standard_normal((2, len(channels), 12, 5, 7)).astype(np.float32),
        scores=np.ones(2, np.float32),
        history=np.array([[0.1, 0.5, 1], [0.2, 1, np.nan]], np.float32),
        converged=np.array([False, True]),
        responses=rng.random((2, 8)).astype(np.float32),
        counted=(3, 8),
        table=pd.DataFrame({"session": "one", "neuron": [0, 1], "constraint": "", "seed": 0}),
        suppress=False,
        channels=channels,
        rate=30.0,
        pixel_um=None,
    )


@pytest.mark.parametrize("channels", [["green", "UV"], ["0"], ["red", "green", "blue"]])
def test_a_stimulus_has_frames_and_a_map_of_each_channel_courses_and_a_response(channels):
    figure = plots.show_most_exciting(exciting(channels), 1, frames=4)
    images = [ax for ax in figure.axes if ax.images]
    assert len(images) == 5 * len(channels)
    titles = [ax.get_title() for ax in figure.axes]
    assert "response (events/s)" in titles
    assert "0 ms" in titles, "the last counted bin"
    courses = figure.axes[titles.index("course (contrast)")]
    assert [text.get_text() for text in courses.get_legend().get_texts()] == channels
    assert figure.get_suptitle() == "session one, neuron 1, seed 0"


def test_an_ascent_has_a_line_for_each_row():
    figure = plots.show_ascent(exciting(["0"]), ["a", "b"])
    assert [ax.get_title() for ax in figure.axes] == ["a", "b"]
    assert [len(ax.lines) for ax in figure.axes] == [2, 2]


def test_space_and_time_are_the_axes_of_a_moving_stimulus():
    stimulus = np.zeros((1, 12, 5, 7), np.float32)
    stimulus[0, 6:] = 1
    figure = plots.show_space_time({"right": stimulus, "up": stimulus}, 30.0, axis={"right": "x", "up": "y"})
    assert [ax.images[0].get_array().shape for ax in figure.axes] == [(6, 7), (6, 5)]


def test_groups_are_shown_with_all_cells_and_stimuli():
    rng = np.random.default_rng(0)
    found = MostDiscriminative(
        stimuli=rng.standard_normal((3, 2, 12, 5, 7)).astype(np.float32),
        scores=np.ones(3, np.float32),
        responses=np.abs(rng.standard_normal((3, 8))).astype(np.float32),
        cluster=np.array([2, 0, 1, 1, 0, 2, 2, 1]),
        rounds=pd.DataFrame(),
        table=pd.DataFrame(),
        channels=["green", "UV"],
        rate=30.0,
        length=4,
    )
    figure = plots.show_groups(found, ["a", "b", "c"])
    assert figure.axes[0].images[0].get_array().shape == (3, 8)
    figure = plots.show_group_stimuli(found, ["a", "b", "c"])
    assert sum(bool(ax.images) for ax in figure.axes) == 6
    figure = plots.show_similarity({"one": np.eye(4), "two": np.eye(4)}, ["a", "a", "b", "c"])
    assert [label.get_text() for label in figure.axes[0].get_yticklabels()] == ["a", "b", "c"]
