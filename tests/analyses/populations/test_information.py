"""Information per spike against closed forms."""

import numpy as np
import pytest
from analyses.populations.test_correlations import repeated
from analyses.populations.toys import Weighted

from retina_nb import UserError
from retina_nb.analyses.populations import recorded_spike_information, spike_information


def bits_of_sine(depth):
    """Of a Poisson cell with rate 1 + depth sin: the integral of r log2 r over a period."""
    root = np.sqrt(1 - depth**2)
    return (np.log((1 + root) / 2) + 1 - root) / np.log(2)


def sine(depth, time=600):
    return 1 + depth * np.sin(2 * np.pi * np.arange(time) / 60)


def test_a_model_of_a_sine_has_the_information_of_the_closed_form():
    stimulus = np.stack([np.full((5, 7), level) for level in sine(0.8)])[None, None].astype(np.float32)
    weights = np.zeros((2, 1, 5, 7))
    weights[:, 0, 2, 4] = [1, 3]
    found = spike_information(Weighted(weights, lambda drive: drive, lag=0), stimulus)
    np.testing.assert_allclose(found.bits_per_spike, bits_of_sine(0.8), rtol=1e-5)
    np.testing.assert_allclose(
        found.to_dataframe()["bits_per_second"], bits_of_sine(0.8) * np.array([30, 90]), rtol=1e-4
    )


def test_counts_of_a_sine_have_it_too_however_few_there_are():
    rates = np.stack([0.3 * sine(0.8), sine(0.8), 0.5 * np.ones(600)], axis=1)
    counts = np.random.default_rng(0).poisson(rates, (20, *rates.shape))
    found = recorded_spike_information(repeated(counts))
    exact = np.array([bits_of_sine(0.8)] * 2 + [0])
    np.testing.assert_allclose(found.bits_per_spike, exact, atol=0.03)
    assert (found.uncorrected > exact + 0.02).all()
    np.testing.assert_allclose(found.rate, [9, 30, 15], rtol=0.03)


def test_one_spike_in_a_certain_bin_tells_the_bin():
    counts = np.zeros((10, 64, 2))
    counts[:, 17, 0] = 100
    found = recorded_spike_information(repeated(counts))
    assert found.bits_per_spike[0] == pytest.approx(6, abs=1e-3)
    assert np.isnan(found.bits_per_spike[1])


def test_responses_that_are_no_counts_are_refused():
    with pytest.raises(UserError, match="needs counts"):
        recorded_spike_information(repeated(np.full((3, 50, 2), 0.5)))
    weights = np.ones((1, 1, 5, 7))
    stimuli = np.random.default_rng(0).standard_normal((1, 1, 50, 5, 7)).astype(np.float32)
    with pytest.raises(UserError, match="negative"):
        spike_information(Weighted(weights, lambda drive: drive), stimuli)
