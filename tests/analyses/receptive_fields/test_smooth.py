import numpy as np
import pytest
from planted_fields import LAGS, cosine, planted_field, planted_recording, white
from scipy.ndimage import gaussian_filter

import retina_nb as rnb
from retina_nb.analyses.receptive_fields import smooth_receptive_fields, spike_triggered_averages

PLACES = np.array([[3.0, 4.0], [2.5, 5.7]])


@pytest.fixture(scope="module")
def fields():
    return [planted_field(PLACES[0]), -planted_field(PLACES[1], peak=1.4)]


@pytest.fixture(scope="module")
def recording(fields):
    """The stimulus is correlated in space and time, as natural ones are."""
    frames = gaussian_filter(white(4000), (0, 1.5, 1.5, 1.5))
    return planted_recording(fields, [np.exp, np.exp], frames=frames / frames.std())


def test_the_smooth_estimate_is_nearer_to_the_truth_than_the_average(recording, fields):
    found = smooth_receptive_fields(recording, centers=PLACES, lags=LAGS, window=7)
    average = spike_triggered_averages(recording, lags=LAGS)
    for neuron, planted in enumerate(fields):
        assert cosine(found.linear[neuron], planted) > 0.85
        assert cosine(found.linear[neuron], planted) > cosine(average.linear[neuron], planted) + 0.1
    np.testing.assert_allclose(found.centers, PLACES, atol=0.5)


def test_neurons_are_those_asked_for_and_places_are_found(recording):
    every = smooth_receptive_fields(recording, lags=LAGS)
    one = smooth_receptive_fields(recording, neurons=1, lags=LAGS)
    assert one.neurons.values.tolist() == [["planted", 1]]
    np.testing.assert_array_equal(one.linear[0], every.linear[1])
    np.testing.assert_allclose(every.centers, PLACES, atol=0.7)


def test_a_filter_is_zero_outside_its_window(recording):
    found = smooth_receptive_fields(recording, neurons=0, centers=PLACES, lags=LAGS, window=3).linear[0]
    assert found[:, :, 2:5, 3:6].all()
    assert not np.delete(found, range(2, 5), axis=2).any()
    assert not np.delete(found, range(3, 6), axis=3).any()


def test_what_does_not_exist_is_refused(recording):
    with pytest.raises(rnb.UserError, match="all above 0"):
        smooth_receptive_fields(recording, strengths=(1.0, 0.0))
    with pytest.raises(rnb.UserError, match="has neurons 0 to 1"):
        smooth_receptive_fields(recording, neurons=2)
    with pytest.raises(rnb.UserError, match="bins of history"):
        smooth_receptive_fields(recording, lags=5000)


def test_a_problem_solved_before_the_last_iteration_gives_numbers(fields):
    recording = planted_recording(fields, [np.exp, np.exp], frames=white(300))
    found = smooth_receptive_fields(recording, centers=PLACES, lags=LAGS, window=1, strengths=(1e4,))
    assert np.isfinite(found.linear).all()
