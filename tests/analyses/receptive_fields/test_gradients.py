from dataclasses import replace

import numpy as np
import pytest
import torch
from helpers import small_recording
from torch import nn

import retina_nb as rnb
from retina_nb.analyses.receptive_fields import operating_points, receptive_fields
from retina_nb.cores import Core
from retina_nb.readouts import Readout


class Square(Readout):
    """Two planted cells: a linear one that sees (2, 3), and one that responds to both polarities at (4, 6)."""

    def __init__(self):
        super().__init__()
        self.unused = nn.Parameter(torch.zeros(1))

    def forward(self, features):
        return torch.stack([features[:, 0, :, 2, 3] + 5, features[:, 0, :, 4, 6] ** 2], dim=-1)


class Delay(Core):
    lag = 3

    def __init__(self):
        super().__init__()
        self.unused = nn.Parameter(torch.zeros(1))

    def forward(self, x):
        return x[:, :, : x.shape[2] - self.lag]


@pytest.fixture
def twin():
    about = {"rate_hz": 30.0, "pixel_um": 50.0, "neurons": {"a": 2}}
    return rnb.models.CoreReadout(Delay(), Square(), stimulus_shape=(2, 7, 9), about=about)


def test_a_gradient_finds_place_lag_and_polarity_of_planted_cells(twin):
    fields = receptive_fields(twin, operating_points(small_recording(neurons=2), twin.lag))
    assert fields.linear.shape == (2, 2, 4, 7, 9)
    np.testing.assert_allclose(fields.centers, [[2, 3], [4, 6]], atol=0.3)
    assert np.unravel_index(fields.linear[0].argmax(), fields.linear[0].shape) == (0, 0, 2, 3)
    np.testing.assert_allclose(fields.linear[0].sum(), 1, rtol=1e-5)
    assert np.abs(fields.linear[1]).max() < 0.7 * fields.sensitivity[1].max() * np.sqrt(8)
    assert fields.to_dataframe().columns.tolist() == ["session", "neuron", "y", "x"]


def test_a_cell_of_both_polarities_has_no_field_at_grey(twin):
    fields = receptive_fields(twin)
    np.testing.assert_allclose(fields.centers[0], [2, 3], atol=0.3)
    assert np.isnan(fields.centers[1]).all()


def test_the_model_keeps_its_weights_trainable_and_without_gradients(twin):
    receptive_fields(twin)
    assert all(parameter.requires_grad and parameter.grad is None for parameter in twin.parameters())


def test_neurons_of_several_sessions_come_in_the_order_asked_for():
    truth = rnb.load_truth(sessions=2, cells_per_session=3, size=(11, 13), clips=12, test_clips=1, repeats=2)
    every, some = receptive_fields(truth), receptive_fields(truth, neurons=[5, 0, 3])
    assert some.neurons.values.tolist() == [["simulated_2", 2], ["simulated_1", 0], ["simulated_2", 0]]
    np.testing.assert_array_equal(some.linear, every.linear[[5, 0, 3]])
    one = receptive_fields(truth, session="simulated_2", neurons=2)
    np.testing.assert_array_equal(one.linear, some.linear[:1])


def test_operating_points_are_what_the_retina_saw():
    recording = small_recording()
    points = operating_points(recording, 4, stimuli=3)
    assert points.shape == (3, 2, 5, 7, 9)
    bins = recording.bins("validation")
    seen = [recording.stimulus_at(np.arange(end - 4, end + 1)) for end in bins]
    assert all(any(np.array_equal(point, one) for one in seen) for point in points)
    np.testing.assert_array_equal(points, operating_points(recording, 4, stimuli=3))


def test_operating_points_are_of_one_presentation():
    recording = small_recording()  # a presentation starts at bin 400
    early = replace(recording, split=np.where(np.arange(480) < 410, "", "train"), repeats={})
    points = operating_points(early, 10, stimuli=80, split="train")
    later = replace(recording, onsets=np.array([420]), split=early.split, repeats={})
    assert (len(points), len(operating_points(later, 10, stimuli=80, split="train"))) == (70, 60)


def test_what_does_not_fit_is_refused(twin):
    with pytest.raises(rnb.UserError, match="do not fit the model"):
        receptive_fields(twin, np.zeros((1, 2, 4, 9, 7), dtype=np.float32))
    with pytest.raises(rnb.UserError, match="there is no neuron 2"):
        receptive_fields(twin, neurons=2)
    with pytest.raises(rnb.UserError, match="400 bins of history"):
        operating_points(small_recording(), 400)
