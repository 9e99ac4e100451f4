import math

import pytest
import torch

from retina_nb.readouts import GaussianMaskReadout

SHAPE = (4, 10, 5, 9)


def test_masks_are_normalised_gaussians_at_their_place():
    readout = GaussianMaskReadout(SHAPE, 2, initial_width=0.2)
    readout.initialize(torch.ones(2), torch.tensor([[0.0, 0.0], [-1.0, 3.0]]))
    masks = readout.masks()
    assert masks.shape == (2, 5, 9)
    torch.testing.assert_close(masks.sum(dim=(1, 2)), torch.ones(2))
    assert masks[0].argmax() == 2 * 9 + 4
    assert masks[1].argmax() == 1 * 9 + 7


def test_rates_are_those_of_the_formula():
    torch.manual_seed(0)
    readout = GaussianMaskReadout(SHAPE, 3)
    features = torch.randn(2, *SHAPE)
    looked = torch.einsum("bcthw,nhw->bctn", features, readout.masks())
    drive = torch.einsum("bctn,cn->btn", looked, readout.features)
    torch.testing.assert_close(readout(features), torch.nn.functional.softplus(readout.scale * drive + readout.bias))


def test_without_features_a_neuron_fires_at_its_mean_rate():
    readout = GaussianMaskReadout(SHAPE, 3)
    rates = torch.tensor([0.01, 0.5, 20.0])
    readout.initialize(rates, torch.zeros(3, 2))
    torch.testing.assert_close(readout(torch.zeros(1, *SHAPE))[0, 0], rates)


def test_a_place_off_the_feature_movie_starts_at_its_edge():
    readout = GaussianMaskReadout(SHAPE, 1)
    readout.initialize(torch.ones(1), torch.tensor([[-50.0, 50.0]]))
    assert readout.masks()[0].argmax() == 8


def test_positive_weights_are_kept_so_after_a_step_and_never_in_forward():
    readout = GaussianMaskReadout(SHAPE, 3, positive=True)
    with torch.no_grad():
        readout.features -= 10
    before = readout.features.clone()
    readout(torch.randn(1, *SHAPE))
    torch.testing.assert_close(readout.features, before)
    readout.constrain()
    assert (readout.features >= 0).all()


def test_the_penalty_is_a_mean_over_neurons():
    few, many = (GaussianMaskReadout(SHAPE, n, width_penalty=1.0, feature_penalty=1.0) for n in (2, 200))
    for readout in (few, many):
        torch.nn.init.constant_(readout.features, 0.3)
    torch.testing.assert_close(few.regularizer(), many.regularizer())


def test_the_penalty_is_that_of_the_formula():
    torch.manual_seed(0)
    readout = GaussianMaskReadout(SHAPE, 3, width_penalty=0.5, position_penalty=0.2, feature_penalty=0.1)
    with torch.no_grad():
        readout.position.normal_(std=0.1)
        readout.log_variance.normal_(std=0.1)
    places, widths = (6 * readout.position).tolist(), (4 * readout.log_variance).tolist()
    expected = [
        0.5 * math.exp(width) + 0.2 * (y**2 + x**2) + 0.1 * sum(map(abs, features))
        for width, (y, x), features in zip(widths, places, readout.features.T.tolist(), strict=True)
    ]
    assert readout.regularizer().item() == pytest.approx(sum(expected) / 3, rel=1e-5)


def test_scale_and_bias_can_be_fixed_and_are_saved_alike():
    readout = GaussianMaskReadout(SHAPE, 3, scale=False, bias=False)
    assert {name for name, _ in readout.named_parameters()} == {"position", "log_variance", "features"}
    assert readout.state_dict().keys() == GaussianMaskReadout(SHAPE, 3).state_dict().keys()
    readout.initialize(torch.full((3,), 5.0), torch.zeros(3, 2))
    torch.testing.assert_close(readout.bias, torch.zeros(3))
