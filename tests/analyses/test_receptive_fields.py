import numpy as np
import torch
from helpers import small_recording
from torch import nn

import retina_nb as rnb
from retina_nb.analyses.receptive_fields import receptive_fields, spike_triggered_averages
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


def test_a_gradient_finds_place_lag_and_polarity_of_planted_cells():
    recording = small_recording(neurons=2)
    twin = rnb.models.CoreReadout(Delay(), Square(), stimulus_shape=(2, 7, 9))
    fields = receptive_fields(twin, recording)
    assert fields.linear.shape == (2, 2, 4, 7, 9)
    np.testing.assert_allclose(fields.centers, [[2, 3], [4, 6]], atol=0.3)
    assert np.unravel_index(fields.linear[0].argmax(), fields.linear[0].shape) == (0, 0, 2, 3)
    np.testing.assert_allclose(fields.linear[0].sum(), 1, rtol=1e-5)
    assert np.abs(fields.linear[1]).max() < 0.7 * fields.sensitivity[1].max() * np.sqrt(8)


def test_reverse_correlation_finds_planted_pixels_and_delay():
    recording = small_recording(time=3000)
    fields = spike_triggered_averages(recording, lags=5)
    assert fields.linear.shape == (3, 2, 5, 7, 9)
    for neuron, place in enumerate([(2, 3), (3, 4), (4, 3)]):
        assert np.unravel_index(fields.linear[neuron].argmax(), fields.linear.shape[1:]) == (0, 3, *place)
        np.testing.assert_allclose(fields.centers[neuron], place, atol=0.6)
