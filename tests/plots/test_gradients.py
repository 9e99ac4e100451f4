"""Figures of gradients, attribution and features, for a small twin."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from analyses.planted import tiny_twin

from retina_nb import plots
from retina_nb.analyses import (
    conductance,
    contrast_gradients,
    feature_clips,
    find_features,
    integrated_gradients,
    local_spike_triggered_averages,
    response_field,
)

RNG = np.random.default_rng(0)
STIMULUS = RNG.standard_normal((2, 60, 7, 9)).astype(np.float32)


@pytest.fixture(scope="module")
def twin():
    return tiny_twin()


@pytest.fixture(autouse=True)
def _close():
    yield
    plt.close("all")


def test_contrasts_have_a_panel_for_each_neuron_and_name_the_channels(twin):
    found = contrast_gradients(twin, STIMULUS[:, :12], step=0.5, session="a", neurons=[0, 2])
    figure = plots.show_contrast_gradients(found, ["one", "two"])
    assert [ax.get_title() for ax in figure.axes] == ["one", "two"]
    assert figure.axes[0].get_ylabel() == f"contrast of {found.channels[1]}"
    assert figure.axes[0].get_images()[0].get_extent() == [-1.25, 1.25, -1.25, 1.25]


def test_local_fields_have_a_row_for_each_neuron_below_the_images(twin):
    images = RNG.standard_normal((6, 2, 7, 9)).astype(np.float32)
    local = local_spike_triggered_averages(twin, images, session="a")
    figure = plots.show_local_fields(local, [0, 2], ["one", "two"], [1, 3, 5])
    assert len(figure.axes) == 9
    assert [ax.get_ylabel() for ax in figure.axes[::3]] == ["image", "one", "two"]
    assert len(plots.show_polarity(local, [1], ["one"]).axes) == 1
    field = response_field(local, 1, bins=3)
    figure = plots.show_response_field(field, iso=RNG.standard_normal((5, 5)), title="cell")
    assert figure.axes[0].get_title() == "cell"
    assert figure.axes[1].get_title().startswith("direction 1")


def test_attribution_and_conductance_over_time(twin):
    pixels = integrated_gradients(twin, STIMULUS[:, :20], session="a", steps=2)
    figure = plots.show_attribution(STIMULUS, pixels, [1], ["cell"], [13, 16, 19], 30.0)
    assert [ax.get_title() for ax in figure.axes[:3]] == ["-0.20 s", "-0.10 s", "0.00 s"]
    per_second = [30 * values[1] for values in (pixels.baseline, pixels.response)]
    assert figure.axes[3].get_ylabel() == "cell\n{:.1f} → {:.1f} /s".format(*per_second)
    channels = conductance(twin, STIMULUS[:, :20], "core", session="a", steps=2)
    figure = plots.show_conductance(channels, [0, 1], ["one", "two"], slice(10, 20), 30.0, label="channel of core")
    assert figure.axes[0].get_ylabel() == "channel of core"


def test_matches_are_sorted_by_type():
    table = pd.DataFrame({"correlation": [0.9, -0.8, 0.2, 0.3], "chance": 0.1})
    axes = plots.show_matches(table, ["bipolar", "bipolar", "amacrine", "amacrine"]).axes[0]
    assert [label.get_text() for label in axes.get_yticklabels()] == ["amacrine", "bipolar"]


def test_features_have_filters_a_course_and_clips(twin):
    found = find_features(twin, STIMULUS, features=4, top_k=2, steps=20)
    evoking = [feature_clips(twin, found, STIMULUS, row, count=2) for row in (0, 3)]
    figure = plots.show_features(found, [0, 3], ["one", "two"], evoking)
    assert len(figure.axes) == 2 * (2 + 1 + max(len(made) for made, _ in evoking))
    effect = pd.DataFrame(found.relative_effect, columns=list("abcdef"))
    assert plots.show_readers(effect).axes[0].get_ylabel() == "feature"
