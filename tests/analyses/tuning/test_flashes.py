"""Polarity, latency and transience of one cell of each type."""

import numpy as np
import pytest

from retina_nb import UserError
from retina_nb.analyses.tuning import flash_responses


@pytest.fixture(scope="module")
def flashes(truth, cells):
    return flash_responses(truth, centers=cells[["y", "x"]].to_numpy())


def test_the_polarity_of_every_cell_is_found(flashes, cells):
    responds = (cells["type"] != "suppressed by contrast").to_numpy()
    np.testing.assert_allclose(flashes.on_off_index[responds], cells["polarity"][responds], atol=0.1)


def test_only_the_suppressed_cell_falls_more_than_it_rises(flashes, cells):
    np.testing.assert_array_equal(flashes.suppression_index > 0, cells["type"] == "suppressed by contrast")


def test_latencies_are_the_planted_ones_within_half_a_bin(flashes, cells):
    responds = np.isfinite(flashes.latency)
    assert responds.sum() == 11
    assert np.abs(flashes.latency - cells["latency"])[responds].max() < 0.5 / 30


def test_transient_cells_are_more_transient_than_sustained_ones(flashes, cells):
    transience = dict(zip(cells["type"], flashes.transience, strict=True))
    assert transience["ON transient"] > 0.9 > 0.5 > transience["ON sustained"]
    assert transience["OFF transient"] > 0.9 > 0.5 > transience["OFF sustained"]


def test_flashes_keep_what_a_figure_needs(flashes):
    assert flashes.rates.shape == (12, 2, len(flashes.seconds))
    assert np.isclose(flashes.seconds, 0).sum() == 1
    assert len(flashes.to_dataframe()) == 12


def test_spots_of_a_moment_are_refused(truth):
    with pytest.raises(UserError, match="three frames at least"):
        flash_responses(truth, duration=0.05)
