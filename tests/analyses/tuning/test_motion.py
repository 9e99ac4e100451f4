"""Tuning to moving bars and gratings on a small simulated retina with one cell of each type."""

import numpy as np
import pytest

from retina_nb import UserError
from retina_nb.analyses.tuning import (
    contrast_tuning,
    fit_naka_rushton,
    spatial_frequency_tuning,
    speed_tuning,
    temporal_frequency_tuning,
)
from retina_nb.analyses.tuning.motion import harmonics
from retina_nb.loaders.simulated.cells import CELL_TYPES


@pytest.mark.parametrize("frequency", [1.0, 2.5, 7.0])
def test_mean_and_amplitude_of_a_wave_are_found_over_whole_cycles(frequency):
    time = np.arange(70) / 30
    rates = (5 + 3 * np.sin(2 * np.pi * frequency * time + 0.4))[None]
    np.testing.assert_allclose(harmonics(frequency, 30, 10)(rates)[0], [5, 3], rtol=0.03)


def test_frequencies_that_cannot_be_measured_are_refused():
    with pytest.raises(UserError, match="stay below 15 Hz"):
        harmonics(15.0, 30, 0)
    with pytest.raises(UserError, match=r"shorter than a cycle of 0\.5 Hz"):
        harmonics(0.5, 30, 10)(np.ones((1, 40)))


def test_direction_selective_cells_are_tuned_in_their_own_direction(truth):
    for curve in (speed_tuning(truth, neurons=range(4, 8)), temporal_frequency_tuning(truth, neurons=range(4, 8))):
        assert list(curve.neurons["direction"]) == [0, 90, 180, 270]
        assert curve.responses.shape == (4, 5)


def test_linear_cells_follow_the_stripes_and_rectified_ones_raise_their_mean(truth, cells):
    modulation = dict(zip(cells["type"], temporal_frequency_tuning(truth).neurons["modulation"], strict=True))
    assert modulation["ON sustained"] > 1.5
    assert modulation["ON-OFF DS up"] < 0.3


def test_cells_with_faster_filters_prefer_higher_frequencies(truth, cells):
    preferred = dict(zip(cells["type"], temporal_frequency_tuning(truth).preferred, strict=True))
    assert preferred["ON transient"] > preferred["ON sustained"]
    assert preferred["OFF alpha"] > preferred["OFF sustained"]


def test_larger_receptive_fields_prefer_coarser_gratings(truth, cells):
    preferred = dict(zip(cells["type"], spatial_frequency_tuning(truth).preferred, strict=True))
    assert preferred["ON transient"] > preferred["ON sustained"]


def test_gratings_finer_than_the_pixels_are_refused(truth):
    with pytest.raises(UserError, match="the finest has 10"):
        spatial_frequency_tuning(truth, frequencies=[1, 12])


def test_a_direction_is_needed(truth):
    with pytest.raises(UserError, match="no direction"):
        speed_tuning(truth, directions=())


def test_cells_with_gain_control_saturate(truth, cells):
    fitted = fit_naka_rushton(contrast_tuning(truth))
    controlled = np.array([CELL_TYPES[name].gain_control > 0 for name in cells["type"]])
    others = ~controlled & (cells["type"] != "suppressed by contrast").to_numpy()
    assert fitted["growth"][controlled].max() < fitted["growth"][others].min()
    assert (fitted["r2"][controlled | others] > 0.98).all()
