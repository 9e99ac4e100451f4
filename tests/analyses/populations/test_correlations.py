"""Correlations against planted ones, and the null of permuted trials."""

import numpy as np
import pytest
from analyses.populations.toys import Weighted

from retina_nb import Movie, Recording, UserError
from retina_nb.analyses.populations import noise_correlations, recorded_signal_correlations, signal_correlations


def repeated(trials):
    """A recording of repeated responses (trial, time, neuron) to a movie of noise."""
    count, time, neurons = trials.shape
    movie = Movie(np.random.default_rng(9).standard_normal((1, time, 5, 7)).astype(np.float32))
    bins = np.arange(count * time).reshape(count, time)
    split = np.full(count * time, "test")
    frames = np.tile(np.arange(time), count)
    flat = trials.reshape(-1, neurons)
    return Recording("a", movie, flat, 30.0, frames=frames, split=split, repeats={"test": bins}, signed=True)


def planted(noise, *, trials=10, time=600, seed=0):
    """Responses with signal correlation 0.5 of the first two neurons, none with the third, and given noise."""
    random = np.random.default_rng(seed)
    signal = random.standard_normal((time, 3)) @ np.linalg.cholesky([[1, 0.5, 0], [0.5, 1, 0], [0, 0, 1]]).T
    noise = np.asarray(noise, dtype=float)
    return repeated(signal + random.multivariate_normal(np.zeros(3), noise, (trials, time)))


def test_shared_noise_is_recovered_and_told_from_chance():
    found = noise_correlations(planted([[2, 0.6, 0], [0.6, 2, 0], [0, 0, 1]]))
    np.testing.assert_allclose(found.pairs, [0.3, 0, 0], atol=0.04)
    assert found.p_value[0, 1] < 0.01 < found.p_value[0, 2]


def test_independent_noise_stays_within_the_null():
    found = noise_correlations(planted(np.eye(3)))
    low, high = np.quantile(found.null, [0.01, 0.99])
    assert low < found.pairs.mean() < high
    assert abs(found.null.mean()) < 0.002


def test_signal_correlations_are_not_biased_by_noise_nor_by_shared_noise():
    recording = planted([[2, 1.5, 0], [1.5, 2, 0], [0, 0, 3]], trials=4, time=4000)
    np.testing.assert_allclose(recorded_signal_correlations(recording).pairs, [0.5, 0, 0], atol=0.05)
    naive = np.corrcoef(recording.trials().mean(axis=0).T)
    assert naive[0, 1] > 0.57


def test_a_model_has_the_correlation_of_its_rates():
    weights = np.zeros((3, 1, 5, 7))
    weights[0, 0, 1, 2], weights[1, 0, 1, 2], weights[1, 0, 3, 3], weights[2, 0, 4, 6] = 1, 1, 1, 1
    stimuli = np.random.default_rng(0).standard_normal((20, 1, 300, 5, 7)).astype(np.float32)
    found = signal_correlations(Weighted(weights, lambda drive: drive), stimuli)
    np.testing.assert_allclose(found.pairs, [0.5**0.5, 0, 0], atol=0.04)
    table = found.to_dataframe()
    assert list(table) == ["session", "neuron", "other_session", "other_neuron", "correlation"]
    assert table["other_neuron"].tolist() == [1, 2, 2]


def test_a_silent_neuron_has_no_correlation():
    trials = np.random.default_rng(0).standard_normal((4, 50, 3))
    trials[:, :, 2] = 0
    found = noise_correlations(repeated(trials), shuffles=20)
    assert np.isfinite(found.values[0, 1])
    assert np.isnan(found.values[2]).all()
    assert np.isnan(recorded_signal_correlations(repeated(trials)).values[2]).all()


def test_what_cannot_be_correlated_is_refused():
    with pytest.raises(UserError, match="shown once"):
        noise_correlations(repeated(np.ones((1, 50, 3))))
    with pytest.raises(UserError, match="no neuron 3"):
        noise_correlations(planted(np.eye(3)), neurons=[0, 3])
