"""Figures of tuning draw every group and neuron, also those that do not respond."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

from retina_nb import plots
from retina_nb.analyses.tuning import DirectionTuning, FlashResponses, TuningCurve

GROUPS = ["ON", "OFF", "ON"]
NEURONS = pd.DataFrame({"session": "a", "neuron": range(3)})
ZEROS = np.zeros(3)


@pytest.fixture(autouse=True)
def _close():
    yield
    plt.close("all")


@pytest.fixture
def directions():
    responses = np.stack([np.eye(4)[0], np.zeros(4), np.eye(4)[1]])
    p = np.array([0.0005, 1.0, 0.02])
    numbers = {"dsi": np.array([1.0, 0, 1]), "dsi_null": ZEROS, "osi": ZEROS, "osi_orthogonal": ZEROS}
    numbers |= {"preferred_direction": np.array([0.0, 0, 90]), "preferred_orientation": ZEROS}
    return DirectionTuning(NEURONS, np.arange(0, 360, 90.0), responses, p_direction=p, p_orientation=p, **numbers)


def test_flash_responses_have_a_panel_for_each_group():
    numbers = dict.fromkeys(("on", "off", "on_off_index", "fall", "suppression_index", "transience", "latency"), ZEROS)
    flashes = FlashResponses(NEURONS, np.arange(-3, 12) / 30, np.ones((3, 2, 15)), **numbers)
    figure = plots.show_flash_responses(flashes, GROUPS)
    assert [ax.get_title() for ax in figure.axes] == ["ON", "OFF"]


def test_polar_plots_show_the_index_and_how_sure_it_is(directions):
    figure = plots.show_direction_tuning(directions, [0, 1], titles=["first", "silent"], planted=[0, np.nan])
    assert [ax.get_title() for ax in figure.axes] == ["first\nDSI 1.00, p < 0.001", "silent\nDSI 0.00, p = 1.000"]


def test_the_test_of_directions_is_drawn_with_and_without_the_truth(directions):
    for planted in (None, [True, False, False]):
        left, right = plots.show_direction_test(directions, planted).axes
        assert left.get_yscale() == "log"
        assert len(right.lines) == 1


def test_tuning_curves_leave_out_silent_neurons():
    responses = np.array([[1.0, 2], [0, 0], [2, 1]])
    curves = [TuningCurve(NEURONS, name, "µm", np.array([1.0, 2]), responses) for name in ("size", "width")]
    figure = plots.show_tuning_curves(curves, GROUPS, [["ON"], ["ON", "OFF"]])
    assert [ax.get_xlabel() for ax in figure.axes] == ["size (µm)", "width (µm)"]


def test_indices_have_a_panel_each_and_agreement_its_rank_correlation():
    values = pd.DataFrame({"a": [0.0, 1, np.nan], "b": [1.0, 2, 3]})
    figure = plots.show_indices(values, GROUPS, pd.DataFrame({"b": [1.0, 2, 3]}))
    assert [ax.get_xlabel() for ax in figure.axes] == ["a", "b"]
    figure = plots.show_agreement({"a": (np.array([1.0, 2, 3, np.nan]), np.array([2.0, 4, 9, 1]))})
    assert figure.axes[0].get_title() == "a\nrank correlation 1.00"
