"""What is read from the chirp, of one cell of each type."""

import numpy as np
import pytest

from retina_nb import UserError
from retina_nb.analyses.tuning import chirp_responses
from retina_nb.loaders.simulated.truth import Truth


@pytest.fixture(scope="module")
def chirps(truth):
    return chirp_responses(truth)


def test_steps_tell_on_from_off_cells(chirps, cells):
    responds = (cells["type"] != "suppressed by contrast").to_numpy()
    np.testing.assert_allclose(chirps.on_off_index[responds], cells["polarity"][responds], atol=0.1)


def test_steps_tell_transient_from_sustained_cells(chirps, cells):
    transience = dict(zip(cells["type"], chirps.transience, strict=True))
    assert transience["ON transient"] > 0.9 > 0.6 > transience["ON sustained"]


def test_sweeps_become_curves_of_frequency_and_contrast(chirps):
    np.testing.assert_allclose(chirps.frequency.values, np.arange(0.5, 8))
    np.testing.assert_allclose(chirps.contrast.values, np.arange(0.25, 8, 0.5) / 8)
    assert (chirps.contrast.preferred > 0.8).all()


def test_faster_cells_prefer_higher_frequencies(chirps, cells):
    preferred = dict(zip(cells["type"], chirps.frequency.preferred, strict=True))
    assert preferred["ON transient"] > preferred["ON sustained"]


def test_half_the_contrast_halves_the_contrasts_shown(truth, chirps):
    half = chirp_responses(truth, contrast=0.5, neurons=[2])
    np.testing.assert_allclose(half.contrast.values, chirps.contrast.values / 2)
    assert half.stimulus.max() == pytest.approx(0.5, abs=0.01)


def test_its_table_has_a_row_for_each_neuron(chirps):
    table = chirps.to_dataframe()
    assert len(table) == 12
    assert {"on_off_index", "frequency", "cutoff", "half_contrast"} <= set(table.columns)
    assert chirps.rates.shape == (12, 990)
    assert chirps.stimulus.shape == (2, 990)


def test_a_slow_screen_cannot_show_it(truth, monkeypatch):
    monkeypatch.setattr(
        Truth, "about", property(lambda self: {"rate_hz": 10.0, "pixel_um": 50.0, "neurons": {"a": 12}})
    )
    with pytest.raises(UserError, match="cannot show 8 Hz"):
        chirp_responses(truth)
