from dataclasses import replace

import numpy as np
import pytest
from helpers import small_recording
from planted_fields import LAGS, cosine, planted_field, planted_recording, white

import retina_nb as rnb
from retina_nb.analyses.receptive_fields import significance, spike_triggered_averages


def test_reverse_correlation_finds_planted_pixels_and_delay():
    recording = small_recording(time=3000)
    fields = spike_triggered_averages(recording, lags=5)
    assert fields.linear.shape == (3, 2, 5, 7, 9)
    for neuron, place in enumerate([(2, 3), (3, 4), (4, 3)]):
        assert np.unravel_index(fields.linear[neuron].argmax(), fields.linear.shape[1:]) == (0, 3, *place)
        np.testing.assert_allclose(fields.centers[neuron], place, atol=0.6)


def test_an_average_in_white_noise_is_the_planted_filter():
    planted = [planted_field((3, 4)), -planted_field((2.5, 6))]
    recording = planted_recording(planted, [np.exp, np.exp], frames=white(8000))
    found = spike_triggered_averages(recording, lags=LAGS).linear
    assert [cosine(one, other) > 0.9 for one, other in zip(found, planted, strict=True)] == [True, True]


def test_bins_whose_history_is_of_another_presentation_do_not_count():
    responses = np.zeros((200, 1))
    responses[[100, 103]] = 50  # one and four bins after an onset
    recording = rnb.Recording("a", rnb.Movie(white(200)), responses, 30.0, onsets=np.array([0, 99]))
    assert not spike_triggered_averages(recording, lags=6).linear.any()
    assert spike_triggered_averages(recording, lags=5).linear.any()


def test_planted_cells_are_significant_and_the_rest_is_chance():
    rng, frames = np.random.default_rng(1), white(1500)
    planted = planted_recording([planted_field((3, 4))] * 2, [np.exp, lambda drive: np.exp(-drive)], frames=frames)
    noise = rng.poisson(1.0, (1500, 60))
    recording = replace(planted, responses=np.concatenate([rng.poisson(planted.responses), noise], axis=1))
    found = significance(recording, lags=LAGS)
    np.testing.assert_allclose(found.p[:2], 1 / 21)
    assert found.z[:2].min() > 5
    assert 0.4 < found.p[2:].mean() < 0.6
    assert (found.p[2:] <= 0.1).mean() < 0.2
    assert np.abs(found.z[2:]).mean() < 1.2
    assert found.to_dataframe().columns.tolist() == ["session", "neuron", "z", "p"]


def test_significance_is_the_same_for_the_same_seed():
    recording = small_recording(time=700)
    assert (
        significance(recording, lags=3, seed=4)
        .to_dataframe()
        .equals(significance(recording, lags=3, seed=4).to_dataframe())
    )


def test_too_little_data_is_refused():
    with pytest.raises(rnb.UserError, match="500 bins of history"):
        spike_triggered_averages(small_recording(), lags=501)
    with pytest.raises(rnb.UserError, match="more than 300 are needed"):
        significance(small_recording(), lags=3)


def test_averages_of_responses_around_zero_are_finite_and_have_the_sign_of_the_cell():
    rng = np.random.default_rng(0)
    light = rng.choice([-1.0, 1.0], 3000).astype(np.float32)
    trace = np.roll(light, 2) - np.roll(light, 2).mean()
    recording = rnb.Recording(
        "a", rnb.Movie(light[None, :, None, None]), np.stack([trace, -trace], axis=1), 30.0, signed=True
    )
    found = spike_triggered_averages(recording, lags=4).linear[:, 0, :, 0, 0]
    np.testing.assert_allclose(found[:, 1], [1, -1], atol=0.05)
