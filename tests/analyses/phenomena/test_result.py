"""Times of peaks and crossings between bins."""

import numpy as np
import pytest

from retina_nb.analyses.phenomena.result import crossing_bin, first_peak_bin, peak, ratio


def test_a_peak_is_at_least_nothing():
    assert peak(np.array([[-3.0, -1, -2], [1, 4, 2]])).tolist() == [0, 4]


def test_of_two_peaks_the_first_counts_if_it_is_large_enough():
    bins = np.arange(30)
    rates = 0.7 * np.exp(-((bins - 6.2) ** 2) / 4) + np.exp(-((bins - 20) ** 2) / 4)
    assert first_peak_bin(rates[None])[0] == pytest.approx(6.2, abs=0.1)
    assert first_peak_bin(rates[None], part=0.8)[0] == pytest.approx(20, abs=0.1)


def test_a_level_is_crossed_between_bins_or_never():
    rates = np.array([[0.0, 0, 1, 3, 5, 0]])
    assert crossing_bin(rates, np.array([2.0]))[0] == pytest.approx(2.5)
    assert np.isnan(crossing_bin(rates, np.array([6.0]))[0])
    assert np.isnan(crossing_bin(rates, np.array([0.0]))[0])


def test_nothing_is_compared_with_no_response():
    np.testing.assert_array_equal(ratio(np.array([1.0, 1.0]), np.array([2.0, 0.01])), [0.5, np.nan])
