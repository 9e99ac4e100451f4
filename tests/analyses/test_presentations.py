"""Every neuron is shown its own stimuli, whatever is shown together."""

import numpy as np
import pytest
import torch
from torch import nn

from retina_nb.analyses.presentations import grey_rates, local_responses, responses_to
from retina_nb.analyses.subjects import subject
from retina_nb.analyses.tuning.measures import strongest
from retina_nb.stimuli import Screen, moving_bar, spot

PLACES = {"b": [(1, 2), (4, 4)], "a": [(2, 1), (3, 5), (1, 6)]}


class Pixels(nn.Module):
    """Neurons that answer with what a pixel of their own showed one bin before, plus 1, at 10 Hz."""

    lag = 1
    stimulus_shape = (2, 5, 7)

    def __init__(self):
        super().__init__()
        self.about = {"rate_hz": 10.0, "pixel_um": 50.0, "neurons": {name: len(p) for name, p in PLACES.items()}}

    def forward(self, stimulus, session=None):
        chosen = PLACES[session] if session else PLACES["a"] + PLACES["b"]
        y, x = torch.tensor(chosen).T
        return 1 + stimulus[:, 0, : stimulus.shape[2] - self.lag, y, x]


@pytest.fixture
def model():
    return Pixels()


@pytest.mark.parametrize("batch_size", [1, 3, 100])
def test_spots_are_shown_where_each_neuron_looks(model, batch_size):
    watching, screen = subject(model), Screen.of(model)
    centers = np.array(PLACES["a"] + PLACES["b"], dtype=float)

    def make(place):
        options = {"diameter": 75, "center": place, "before": 0.2, "duration": 0.3, "after": 0.0}
        return [spot(screen, contrast=contrast, **options) for contrast in (1.0, -2.0)]

    found = local_responses(watching, centers, make, lambda rates: rates, batch_size=batch_size)
    assert found.shape == (5, 2, 5)
    expected = 10 * (1 + np.array([[0, 0, 0, 1, 1], [0, 0, 0, -2, -2]]))  # the first bin of a spot is seen a bin later
    np.testing.assert_allclose(found, np.broadcast_to(expected, found.shape), atol=1e-4)


def test_chosen_neurons_keep_their_order(model):
    watching = subject(model, session="b", neurons=[1, 0])
    screen = Screen.of(model)

    def make(place):
        return [spot(screen, diameter=50, center=place, before=0.1, duration=0.3, after=0.0)]

    far = local_responses(watching, np.array([[1.0, 2], [4, 4]]), make, strongest(1), batch_size=8)
    near = local_responses(watching, np.array([[4.0, 4], [1, 2]]), make, strongest(1), batch_size=8)
    np.testing.assert_allclose(far, 10, atol=1e-5)
    assert (near > 15).all()


@pytest.mark.parametrize("batch_size", [1, 2, 5])
def test_bars_of_several_durations_are_seen_to_their_end(model, batch_size):
    watching, screen = subject(model), Screen.of(model)
    bars = [moving_bar(screen, direction=0, speed=speed, width=None, length=100) for speed in (50, 100, 400)]
    found = responses_to(watching, bars, strongest(1), batch_size=batch_size, after=0.5)
    assert found.shape == (5, 3)
    np.testing.assert_allclose(found[:, 0], 20, atol=0.01)


def test_grey_is_what_a_neuron_does_without_a_stimulus(model):
    np.testing.assert_allclose(grey_rates(subject(model)), 10)
