"""The decoder against the Wiener filter of a linear-Gaussian population, and more cells against fewer."""

import numpy as np
import pytest
import torch
from analyses.populations.toys import Weighted

from retina_nb import UserError
from retina_nb.analyses.populations import fit_linear_decoder, reconstruct

SHAPE = (1, 5, 7)
LAGS = 3


def linear_population(batch, time, *, seed, noise=0.8):
    """White Gaussian frames and responses of 20 cells to the frame before, their weights and noise."""
    weights = np.random.default_rng(0).standard_normal((20, 35)) / 4
    random = np.random.default_rng(seed)
    stimuli = random.standard_normal((batch, 1, time, 5, 7)).astype(np.float32)
    drive = np.roll(stimuli.reshape(batch, time, 35) @ weights.T, 1, axis=1)
    responses = drive + noise * random.standard_normal(drive.shape)
    return stimuli, responses.astype(np.float32), weights


def test_the_decoder_reaches_the_wiener_optimum():
    stimuli, responses, weights = linear_population(20, 500, seed=1)
    decoder = fit_linear_decoder(responses, stimuli, lags=LAGS)
    wiener = weights.T @ np.linalg.inv(weights @ weights.T + 0.8**2 * np.eye(20))
    least = 1 - np.trace(wiener @ weights) / 35
    test, fired, _ = linear_population(10, 500, seed=2)
    error = (decoder.decode(fired)[:, :, :-1] - test[:, :, :-LAGS]) ** 2
    assert error.mean() == pytest.approx(least, rel=0.02)
    # All weight is on the bin after the frame, and is that of the Wiener filter.
    np.testing.assert_allclose(decoder.weights[:, 1], wiener.T, atol=0.06)
    assert np.abs(decoder.weights[:, [0, 2]]).max() < 0.05


def test_a_penalty_is_chosen_that_helps_when_data_are_few():
    stimuli, responses, _ = linear_population(1, 150, seed=1)
    chosen = fit_linear_decoder(responses, stimuli, lags=LAGS)
    free = fit_linear_decoder(responses, stimuli, lags=LAGS, penalties=[1e-6])
    test, fired, _ = linear_population(10, 500, seed=2)
    errors = [((one.decode(fired) - test[:, :, : 501 - LAGS]) ** 2).mean() for one in (chosen, free)]
    assert errors[0] < 0.9 * errors[1]
    assert chosen.penalty > 1e-3


def test_offsets_and_scales_do_not_matter():
    stimuli, responses, _ = linear_population(6, 200, seed=1)
    plain = fit_linear_decoder(responses, stimuli, lags=LAGS, penalties=[0.01]).decode(responses)
    moved = fit_linear_decoder(5 * responses + 3, stimuli + 7, lags=LAGS, penalties=[0.01]).decode(5 * responses + 3)
    np.testing.assert_allclose(moved, plain + 7, atol=1e-3)


def test_more_cells_tell_more():
    weights = np.random.default_rng(0).standard_normal((24, *SHAPE)) / 4
    model = Weighted(weights, lambda drive: torch.nn.functional.softplus(2 * drive))
    stimuli = np.random.default_rng(1).standard_normal((30, 1, 100, 5, 7)).astype(np.float32)
    found = reconstruct(model, stimuli[5:], stimuli[:5], sizes=(2, 8, 24), lags=LAGS)
    means = found.to_dataframe()["mean"]
    assert means[0] < means[1] < means[2]
    assert found.map.shape == SHAPE
    assert found.reconstruction.shape == found.stimulus.shape == (5, 1, 98, 5, 7)
    assert found.map.mean() == pytest.approx(found.correlation[-1, 0], abs=0.05)


def test_what_does_not_fit_is_refused():
    stimuli, responses, _ = linear_population(2, 50, seed=1)
    with pytest.raises(UserError, match="same bins"):
        fit_linear_decoder(responses[:, 1:], stimuli)
    with pytest.raises(UserError, match="do not fit"):
        fit_linear_decoder(responses, stimuli, lags=51)
    decoder = fit_linear_decoder(responses, stimuli, lags=LAGS)
    with pytest.raises(UserError, match=r"needs responses \(batch, time >= 3, 20\)"):
        decoder.decode(responses[:, :, 1:])
