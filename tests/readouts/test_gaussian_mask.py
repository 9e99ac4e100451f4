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
