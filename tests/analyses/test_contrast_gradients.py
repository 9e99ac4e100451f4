import copy

import numpy as np
import pytest
import torch
from analyses.planted import Planted, tiny_twin

import retina_nb as rnb
from retina_nb.analyses import contrast_gradients, equal_contrast
from retina_nb.analyses.subjects import subject

STIMULUS = np.random.default_rng(0).standard_normal((2, 14, 7, 9)).astype(np.float32)


def one_pass_each(model, stimulus, first, second, *, session, neuron, window):
    """(contrast, contrast, 3): response and its two derivatives by autograd, one stimulus after another."""
    made = np.zeros((len(first), len(second), 3))
    for i, a in enumerate(first):
        for j, b in enumerate(second):
            contrast = torch.tensor([a, b], dtype=torch.float32, requires_grad=True)
            shown = torch.from_numpy(stimulus) * contrast[:, None, None, None]
            rate = model(shown[None], session)[0, window[0] - model.lag : window[1] - model.lag, neuron].mean()
            rate.backward()
            made[i, j] = [rate.item(), *contrast.grad]
    return made


@pytest.mark.parametrize("window", [None, (10, 13)])
def test_the_grid_equals_one_pass_for_each_point(window):
    twin = tiny_twin()
    found = contrast_gradients(twin, STIMULUS, step=0.5, session="b", neurons=[2, 0], window=window, batch_size=7)
    assert found.gradient.shape == (2, 2, 5, 5)
    for row, neuron in enumerate([2, 0]):
        whole = window or (twin.lag, 14)
        expected = one_pass_each(twin, STIMULUS, found.first, found.second, session="b", neuron=neuron, window=whole)
        np.testing.assert_allclose(found.response[row], expected[..., 0], rtol=1e-5, atol=1e-6)
        np.testing.assert_allclose(found.gradient[row], np.moveaxis(expected[..., 1:], -1, 0), rtol=1e-5, atol=1e-5)


def test_gradients_of_planted_cells_are_their_derivatives():
    """Linear: 2 x mean of the green pixel; even: 2 x contrast x mean of the squared pixel."""
    found = contrast_gradients(Planted(), STIMULUS, start=-2, stop=1, step=0.3, window=(3, 9), session="a")
    green, uv = STIMULUS[0, 2:8, 2, 3], STIMULUS[1, 2:8, 2, 3]
    np.testing.assert_allclose(found.first, -2 + 0.3 * np.arange(11))
    np.testing.assert_allclose(found.gradient[0, 0], 2 * green.mean(), rtol=1e-4)
    np.testing.assert_allclose(found.gradient[0, 1], 0)
    even = 2 * found.first * np.square(STIMULUS[0, 2:8, 4, 6]).mean()
    np.testing.assert_allclose(found.gradient[1, 0], np.repeat(even[:, None], 11, axis=1), atol=1e-5)
    a, b = found.first[:, None, None], found.second[:, None]
    opponent = np.exp(a * green - b * uv)
    np.testing.assert_allclose(found.response[2], opponent.mean(axis=-1), rtol=1e-4)
    np.testing.assert_allclose(found.gradient[2, 1], (-uv * opponent).mean(axis=-1), rtol=1e-3, atol=1e-5)
    np.testing.assert_allclose(found.norm, np.hypot(found.gradient[:, 0], found.gradient[:, 1]), rtol=1e-6)
    table = found.to_dataframe()
    np.testing.assert_allclose(table["same_direction"][0], 1, rtol=1e-5)
    assert table["best_first"][1] == -2


def test_a_truth_and_every_neuron_with_a_stimulus_of_its_own():
    truth = rnb.load_truth(sessions=1, cells_per_session=12, size=(13, 15), clips=6, test_clips=1)
    stimuli = np.random.default_rng(1).standard_normal((2, 2, 33, 13, 15)).astype(np.float32)
    found = contrast_gradients(truth, stimuli, channels=("UV", "green"), step=1, neurons=[10, 3])
    assert found.channels == ("UV", "green")
    for row, neuron in enumerate([10, 3]):
        one = subject(truth, neurons=[neuron])
        by_hand = [
            one.rates(stimuli[[row]] * np.float32([[b], [a]])[:, :, None, None]).mean() for a, b in ((1, 1), (0, 1))
        ]
        np.testing.assert_allclose(found.response[row, [2, 1], 2], by_hand, rtol=1e-4)


def test_channels_that_are_not_varied_stay_and_one_channel_alone_is_refused():
    class Third(Planted):
        stimulus_shape = (3, 7, 9)

        def forward(self, stimulus, session=None):
            return stimulus[:, :, 1:, 0, 0].prod(dim=1)[..., None].expand(-1, -1, 3)

    model = Third()
    model.about["channels"] = ["red", "green", "blue"]
    found = contrast_gradients(model, np.full((3, 4, 7, 9), 2, np.float32), channels=("red", 2), step=1, neurons=1)
    np.testing.assert_allclose(found.response[0], 8 * np.outer([-1, 0, 1], [-1, 0, 1]))
    np.testing.assert_allclose(found.gradient[0, 0], 8 * np.tile([-1, 0, 1], (3, 1)))


def test_nothing_is_left_behind_in_the_model():
    twin = tiny_twin()
    before = copy.deepcopy(twin.state_dict())
    contrast_gradients(twin, STIMULUS, step=1, session="a", neurons=1)
    assert all(weights.requires_grad and weights.grad is None for weights in twin.parameters())
    assert all(torch.equal(before[name], value) for name, value in twin.state_dict().items())


def test_channels_of_equal_contrast():
    stimulus = STIMULUS * np.array([3, 0.5], np.float32)[:, None, None, None]
    equal = equal_contrast(stimulus)
    norms = np.linalg.norm(equal.reshape(2, -1), axis=1)
    np.testing.assert_allclose(norms, norms[0], rtol=1e-6)
    np.testing.assert_allclose(np.linalg.norm(equal), np.linalg.norm(stimulus), rtol=1e-6)
    np.testing.assert_allclose(equal[0] / stimulus[0], (equal[0] / stimulus[0])[0, 0, 0], rtol=1e-5)
    np.testing.assert_allclose(
        equal_contrast(np.stack([stimulus, 2 * stimulus])), np.stack([equal, 2 * equal]), rtol=1e-5
    )
    with pytest.raises(rnb.UserError, match="a channel of the stimulus is 0 everywhere"):
        equal_contrast(np.zeros_like(stimulus))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"channels": (0, 5)}, "unknown channel of the stimulus '5'"),
        ({"channels": ("green", "grey")}, "did you mean 'green'"),
        ({"channels": (1, "UV")}, "must differ, both are UV"),
        ({"step": 0}, "a step above 0"),
        ({"start": 1, "stop": -1}, "start <= stop"),
        ({"window": (0, 5)}, "it must be in bins 1 to 14"),
        ({"window": (5, 5)}, "no response in all of the window"),
        ({"neurons": [0, 3]}, "there is no neuron 3"),
        ({"stimulus": STIMULUS[:, :, :5]}, "do not fit the model"),
        ({"stimulus": np.stack([STIMULUS] * 2)}, "2 stimuli for 3 neurons"),
    ],
)
def test_bad_input_is_refused_in_a_sentence(options, message):
    stimulus = options.pop("stimulus", STIMULUS)
    with pytest.raises(rnb.UserError, match=message):
        contrast_gradients(Planted(), stimulus, **options)


def test_the_gradient_of_an_ensemble_is_the_mean_of_its_members():
    twins = [tiny_twin(seed) for seed in (0, 1)]
    options = {"step": 1, "session": "a", "window": (10, 13)}
    whole = contrast_gradients(rnb.models.Ensemble(twins), STIMULUS, **options)
    members = [contrast_gradients(twin, STIMULUS, **options).gradient for twin in twins]
    np.testing.assert_allclose(whole.gradient, np.mean(members, axis=0), rtol=1e-4, atol=1e-5)


def test_a_model_without_a_rate_is_refused():
    model = Planted()
    model.about["rate_hz"] = None
    with pytest.raises(rnb.UserError, match="does not know its rate"):
        contrast_gradients(model, STIMULUS)
