"""Posteriors against sums by hand, and the most probable stimulus against the closed form."""

import numpy as np
import pytest
import torch
from analyses.populations.toys import Weighted

from retina_nb import UserError
from retina_nb.analyses.populations import StimulusPrior, decode_most_probable, identify


def pixels(scale=1.0):
    """A neuron for every pixel of 5 x 7 that fires when it is bright."""
    return scale * np.eye(35).reshape(35, 1, 5, 7)


def frames(seed=0, stimuli=4, time=6):
    return np.random.default_rng(seed).standard_normal((stimuli, 1, time, 5, 7)).astype(np.float32)


def test_the_posterior_is_that_of_poisson_counts():
    # Two stimuli, one neuron, one bin that counts: rates 1 and 3.
    weights = np.zeros((1, 1, 5, 7))
    weights[0, 0, 2, 4] = 1
    stimuli = np.zeros((2, 1, 1, 5, 7), dtype=np.float32)
    stimuli[1] = np.log(3)
    found = identify(Weighted(weights, lag=0), stimuli, trials=4000)
    n = np.arange(30)
    ones, threes = np.exp(-1), np.exp(-3) * 3.0**n
    factorial = np.cumprod(np.maximum(n, 1), dtype=float)
    chosen = np.where(threes > ones, threes, ones) / factorial
    assert found.accuracy == pytest.approx(chosen.sum() / 2, abs=0.015)
    joint = np.stack([ones / factorial, threes / factorial]) / 2
    information = (joint * np.log2(2 * joint / joint.sum(axis=0))).sum()
    assert found.information == pytest.approx(information, abs=0.03)
    np.testing.assert_allclose(found.posterior.sum(axis=2), 1)


def test_all_stimuli_are_identified_by_many_spikes_and_none_without():
    many = identify(Weighted(pixels(), lambda drive: 3 * torch.exp(drive)), frames())
    assert many.accuracy == 1
    assert many.information == pytest.approx(2, abs=1e-3)
    none = identify(Weighted(0 * pixels()), frames(), trials=50)
    assert none.information == pytest.approx(0, abs=1e-9)
    assert many.to_dataframe()["stimulus"].tolist() == [0, 1, 2, 3]


def test_a_model_that_is_wrong_reads_less():
    right = Weighted(pixels(0.3), lag=0)
    wrong = Weighted(-pixels(0.3), lag=0)
    assert identify(right, frames(), source=right).information > 1
    assert identify(wrong, frames(), source=right).information < 0


def test_a_prior_has_the_spectrum_and_the_channels_of_its_examples():
    white = np.random.default_rng(0).standard_normal((60, 2, 8, 5, 7)).astype(np.float32)
    smooth = white + np.roll(white, 1, axis=2) + 0.8 * white[:, ::-1]
    prior = StimulusPrior.of(smooth, 8)
    drawn = prior.stimulus(torch.randn(400, 2, 8, 5, 7, generator=torch.Generator().manual_seed(0))).numpy()

    def summary(x):
        return np.array([x.var(), (x * np.roll(x, 1, axis=2)).mean(), (x[:, 0] * x[:, 1]).mean()])

    np.testing.assert_allclose(summary(drawn), summary(smooth), rtol=0.1)


def test_the_most_probable_stimulus_of_exponential_cells_is_where_the_gradient_is_zero():
    # White prior of variance 1: for each pixel, n s - exp(s) - s^2 / 2 is largest where n = exp(s) + s.
    prior = StimulusPrior(torch.ones(4, 5, 4), torch.eye(1))
    counts = np.random.default_rng(0).poisson(2, (2, 3, 35)).astype(np.float32)
    found = decode_most_probable(Weighted(pixels(), torch.exp), counts, prior)
    stimulus = found.stimulus[:, 0, :3].reshape(2, 3, 35)
    np.testing.assert_allclose(np.exp(stimulus) + stimulus, counts, atol=0.02)
    np.testing.assert_allclose(found.stimulus[:, :, 3], 0, atol=1e-3)  # no response to the last frame: the prior's mean
    assert found.objective[-1] < found.objective[0]


def test_more_spikes_make_the_decoded_stimulus_more_like_the_shown():
    prior = StimulusPrior(torch.ones(6, 5, 4), torch.eye(1))
    shown, similar = frames(stimuli=3), []
    for gain in (0.3, 3, 30):
        model = Weighted(pixels(), lambda drive, gain=gain: gain * torch.exp(drive))
        counts = np.random.default_rng(0).poisson(gain * np.exp(shown[:, 0, :5].reshape(3, 5, 35)))
        decoded = decode_most_probable(model, counts.astype(np.float32), prior).stimulus[:, :, :5]
        similar.append(np.corrcoef(decoded.ravel(), shown[:, :, :5].ravel())[0, 1])
    assert similar[0] < similar[1] < similar[2]
    assert similar[2] > 0.97


def test_what_does_not_fit_is_refused():
    model, prior = Weighted(pixels()), StimulusPrior(torch.ones(6, 5, 4), torch.eye(1))
    with pytest.raises(UserError, match="two stimuli"):
        identify(model, frames(stimuli=1))
    with pytest.raises(UserError, match=r"must be \(batch, time, 35\)"):
        decode_most_probable(model, np.zeros((2, 5, 34), np.float32), prior)
    with pytest.raises(UserError, match=r"StimulusPrior.of\(examples, 9\)"):
        decode_most_probable(model, np.zeros((2, 8, 35), np.float32), prior)
    with pytest.raises(UserError, match="9 bins"):
        StimulusPrior.of(frames(), 9)
