import numpy as np
import pytest
import torch

import retina_nb as rnb
from retina_nb.analyses.receptive_fields import record_noise, spike_triggered_averages


@pytest.fixture(scope="module")
def truth():
    return rnb.load_truth(sessions=2, cells_per_session=3, size=(11, 13), clips=12, test_clips=1, repeats=2)


def test_responses_are_the_models_to_the_noise_up_to_each_bin(truth):
    recording = record_noise(truth, duration=25, session="simulated_2", seed=3)
    assert recording.responses.shape == (750, 3)
    assert recording.movie.frame_shape == (2, 11, 13)
    for bin_ in (100, 599, 600, 749):  # also where one block ends and the next starts
        seen = torch.from_numpy(recording.stimulus_at(np.arange(bin_ - truth.lag, bin_ + 1)))[None]
        np.testing.assert_allclose(recording.responses[bin_], truth(seen, "simulated_2")[0, -1], rtol=1e-4, atol=1e-6)


def test_averages_of_it_know_whose_they_are_and_where_they_look(truth):
    recording = record_noise(truth, duration=100, neurons=[5, 2])
    fields = spike_triggered_averages(recording, lags=10)
    assert fields.neurons.values.tolist() == [["simulated_2", 2], ["simulated_1", 2]]
    places = [truth.neurons(session)[["y", "x"]].to_numpy()[2] for session in ("simulated_2", "simulated_1")]
    np.testing.assert_allclose(fields.centers, places, atol=1)


def test_noise_that_does_not_exist_is_refused(truth):
    with pytest.raises(rnb.UserError, match="kind of noise"):
        record_noise(truth, kind="pink")
    with pytest.raises(rnb.UserError, match="no neuron 6"):
        record_noise(truth, neurons=6)
