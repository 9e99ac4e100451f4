import numpy as np
import pytest
from planted_fields import cosine, planted_field, planted_recording, white

import retina_nb as rnb
from retina_nb.analyses.receptive_fields import spike_triggered_covariance

PLACES = np.array([[3.0, 4.0], [2.6, 5.8], [4.0, 3.0]])
SETTINGS = {"window": 5, "lags": 4, "shuffles": 4}


@pytest.fixture(scope="module")
def planted():
    """A cell of both polarities, one that either polarity silences, and a linear one."""
    fields = [planted_field(place, lags=4, peak=1.3) for place in PLACES]
    rates = [np.square, lambda drive: np.exp(-(drive**2)), np.exp]
    return fields, planted_recording(fields, rates, frames=white(6000))


@pytest.fixture(scope="module")
def found(planted):
    return spike_triggered_covariance(planted[1], centers=PLACES, **SETTINGS)


def test_excitatory_and_suppressive_directions_are_told_from_none(found):
    np.testing.assert_array_equal(found.excitatory, [1, 0, 0])
    np.testing.assert_array_equal(found.suppressive, [0, 1, 0])
    strongest = found.to_dataframe()["strongest"]
    assert strongest[0] > 0.5
    assert strongest[1] < -0.2


def test_directions_are_the_planted_filters(planted, found):
    for neuron, which in ((0, 0), (1, -1)):
        y, x = found.corners[neuron]
        window = planted[0][neuron][:, :, y : y + 5, x : x + 5]
        assert abs(cosine(found.filters[neuron, which], window)) > 0.9
    np.testing.assert_allclose(np.linalg.norm(found.filters.reshape(3, 6, -1), axis=2), 1, rtol=1e-5)


def test_correlated_noise_gives_the_same_directions(planted):
    """Squares of three pixels: what is shown is not white."""
    frames = white(6000, size=(3, 3)).repeat(3, axis=2).repeat(3, axis=3)[:, :, 1:8]
    recording = planted_recording(planted[0][:1], [np.square], frames=frames)
    found = spike_triggered_covariance(recording, centers=PLACES[:1], **SETTINGS)
    assert found.excitatory[0] == 1
    assert found.to_dataframe()["strongest"][0] > 0.5


def test_windows_stay_on_the_screen(planted):
    edges = np.array([[0.2, 8.0], [6.4, 0.0], [3.0, 4.0]])
    found = spike_triggered_covariance(planted[1], centers=edges, **SETTINGS)
    np.testing.assert_array_equal(found.corners, [[0, 4], [2, 0], [1, 2]])


def test_what_cannot_be_estimated_is_refused(planted):
    recording = planted[1]
    with pytest.raises(rnb.UserError, match="between 1 and the screen's smaller side, 7"):
        spike_triggered_covariance(recording, centers=PLACES, window=8)
    with pytest.raises(rnb.UserError, match="finite"):
        spike_triggered_covariance(recording, centers=PLACES[:2])
    with pytest.raises(rnb.UserError, match="shuffles=1"):
        spike_triggered_covariance(recording, centers=PLACES, shuffles=1)
    short = planted_recording(planted[0], [np.square] * 3, frames=white(200))
    with pytest.raises(rnb.UserError, match="more than 300 are needed"):
        spike_triggered_covariance(short, centers=PLACES)
    silent = planted_recording(planted[0], [np.square, np.square, np.zeros_like], frames=white(1000))
    with pytest.raises(rnb.UserError, match="neuron 2 does not respond"):
        spike_triggered_covariance(silent, centers=PLACES)
