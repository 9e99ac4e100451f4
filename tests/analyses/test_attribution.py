import numpy as np
import pytest
import torch
from analyses.planted import Planted, tiny_twin

import retina_nb as rnb
from retina_nb.analyses import conductance, integrated_gradients

RNG = np.random.default_rng(0)
STIMULUS = RNG.standard_normal((2, 14, 7, 9)).astype(np.float32)


def test_pixels_of_planted_cells_get_what_they_are_owed():
    """A linear cell's pixel times its weight, an even cell's pixel squared; nothing outside the window."""
    found = integrated_gradients(Planted(), STIMULUS, window=(3, 9), session="a")
    linear, even = np.zeros((2, *STIMULUS.shape))
    linear[0, 2:8, 2, 3] = 2 * STIMULUS[0, 2:8, 2, 3] / 6
    even[0, 2:8, 4, 6] = STIMULUS[0, 2:8, 4, 6] ** 2 / 6
    np.testing.assert_allclose(found.parts[:2], [linear, even], rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(found.baseline, [5, 0, 1], atol=1e-6)
    np.testing.assert_allclose(found.error, 0, atol=1e-5)


@pytest.mark.parametrize("from_noise", [False, True])
def test_parts_add_up_to_the_change_of_the_response(from_noise):
    twin = tiny_twin()
    baseline = RNG.standard_normal(STIMULUS.shape).astype(np.float32) if from_noise else None
    options = {"baseline": baseline, "window": (9, 12), "session": "b", "neurons": [2, 0]}
    pixels = integrated_gradients(twin, STIMULUS, steps=200, **options)
    change = np.abs(pixels.response - pixels.baseline)
    assert pixels.parts.shape == (2, *STIMULUS.shape)
    assert (np.abs(pixels.error) < 0.01 * change).all()
    for layer, units in (("core.layers.0", 4), ("core.layers.1", 3), ("core", 3)):
        channels = conductance(twin, STIMULUS, layer, steps=200, **options)
        assert channels.parts.shape == (2, units, 14)
        assert (np.abs(channels.error) < 0.02 * change).all()
        assert not channels.parts[:, :, 12:].any()
        np.testing.assert_allclose(channels.response, pixels.response, rtol=1e-5)
    assert set(channels.to_dataframe()) == {"session", "neuron", "response", "baseline", "error"}


def test_a_channel_that_is_not_read_conducts_nothing():
    twin = tiny_twin()
    with torch.no_grad():
        twin.session_readout("a").features[1, 0] = 0
    parts = conductance(twin, STIMULUS, "core", session="a", steps=4).parts
    assert not parts[0, 1].any()
    assert parts[1, 1].any()


def test_the_conductance_of_a_linear_layer_is_its_share_of_the_sum():
    """One step is enough where the response is linear in the layer, which is linear in the stimulus."""

    class Sum(Planted):
        def __init__(self):
            super().__init__()
            self.layer = torch.nn.Identity()

        def forward(self, stimulus, session=None):
            return self.layer(stimulus)[:, :, 1:].sum(dim=(1, 3, 4))[..., None].expand(-1, -1, 3)

    found = conductance(Sum(), STIMULUS, "layer", steps=1, neurons=[1], window=(2, 14))
    expected = STIMULUS.sum(axis=(2, 3)) / 12
    np.testing.assert_allclose(found.parts[0, :, 2:], expected[:, 2:], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"stimulus": STIMULUS[:1]}, "do not fit the model"),
        ({"baseline": STIMULUS[:, :5]}, "must have the shape of the stimulus"),
        ({"window": (3, 40)}, "it must be in bins"),
        ({"steps": 0}, "one step or more"),
    ],
)
def test_bad_input_is_refused_in_a_sentence(options, message):
    stimulus = options.pop("stimulus", STIMULUS)
    twin = tiny_twin()
    with pytest.raises(rnb.UserError, match=message):
        integrated_gradients(twin, stimulus, **options)
    with pytest.raises(rnb.UserError, match=message):
        conductance(twin, stimulus, "core", **options)


@pytest.mark.parametrize(
    ("layer", "message"),
    [("cor", "did you mean 'core'"), ("readout.readouts.a", "does not make one feature movie")],
)
def test_a_layer_that_cannot_be_looked_at_is_refused(layer, message):
    with pytest.raises(rnb.UserError, match=message):
        conductance(tiny_twin(), STIMULUS, layer, session="a")
    with pytest.raises(rnb.UserError, match="was reached 0 times"):
        conductance(tiny_twin(), STIMULUS, "readout.readouts.a", session="b")
