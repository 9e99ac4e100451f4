"""Every readout finds what another one of its kind was given, from Poisson responses to smooth noise."""

import torch
import torch.nn.functional as F

from retina_nb.losses import poisson_loss
from retina_nb.readouts import (
    FactorizedReadout,
    GaussianMaskReadout,
    LinearNonlinearReadout,
    PointGaussianReadout,
    SpatialContrastReadout,
)

SHAPE = (4, 60, 9, 13)
POSITIONS = torch.tensor([[-2.0, 3.5], [0.0, -4.0], [2.6, 1.2], [1.5, -2.5], [-1.0, 0.4]])  # pixels from the centre
RATES = torch.ones(5)


def smooth_noise(seed, shape=SHAPE, batch=8, blur=5):
    """Noise of unit variance that is alike in neighbouring pixels, as features are."""
    noise = torch.randn(batch * shape[0], *shape[1:], generator=torch.Generator().manual_seed(seed))
    smooth = F.avg_pool2d(F.avg_pool2d(noise, blur, 1, blur // 2), blur, 1, blur // 2) if blur else noise
    return (smooth / smooth.std()).unflatten(0, (batch, shape[0]))


def train(readout, truth, *, steps=120, rate=0.03, **noise):
    """A few steps of Adam on responses of the truth; the readout starts in the centre."""
    truth.eval()
    optimiser = torch.optim.Adam(readout.parameters(), lr=rate)
    generator = torch.Generator().manual_seed(0)
    for step in range(steps):
        features = smooth_noise(step, **noise)
        with torch.no_grad():
            responses = torch.poisson(truth(features), generator=generator)
        loss = poisson_loss(readout(features), responses).mean() + readout.regularizer()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        readout.constrain()
    return readout.eval()


def correlation(a, b):
    return torch.corrcoef(torch.stack([a.detach().flatten(), b.detach().flatten()]))[0, 1].item()


def test_gaussian_masks_find_their_places_within_half_a_pixel():
    torch.manual_seed(0)
    truth = GaussianMaskReadout(SHAPE, 5, initial_width=0.15, positive=False)
    truth.initialize(RATES, POSITIONS)
    torch.nn.init.normal_(truth.features)
    # Without the penalty, a mask whose features start with the wrong sign may leave the movie for good.
    start = GaussianMaskReadout(SHAPE, 5, positive=False, position_penalty=0.01)
    readout = train(start, truth, steps=150, rate=0.01)
    wrong = 6 * (readout.position - truth.position) * 6  # places, then pixels: 12 of them are 2 long
    assert wrong.norm(dim=1).max() < 0.5


def test_points_find_their_places_within_half_a_pixel():
    torch.manual_seed(0)
    truth = PointGaussianReadout(SHAPE, 5)
    truth.initialize(RATES, POSITIONS)
    torch.nn.init.normal_(truth.features, std=0.5)
    readout = train(PointGaussianReadout(SHAPE, 5, initial_spread=0.3), truth)
    wrong = (readout.positions() - truth.positions()) * torch.tensor([4.0, 6.0])
    assert wrong.norm(dim=1).max() < 0.5
    spread = readout.spread @ readout.spread.mT
    assert spread.diagonal(dim1=1, dim2=2).sqrt().mean() < 0.15  # surer than at the start


def test_free_masks_find_masks_of_any_shape():
    torch.manual_seed(0)
    truth = FactorizedReadout(SHAPE, 2)
    with torch.no_grad():
        truth.mask.zero_()
        truth.mask[0, 2, 3:9] = truth.mask[0, 2:7, 3] = 0.1  # a corner
        truth.mask[1, 5:8, 9:12] = 0.1
        truth.features.copy_(torch.tensor([[1.0, 0.5], [-1.0, 0.0], [0.5, 1.0], [0.0, -1.0]]))
    start = FactorizedReadout(SHAPE, 2, mask_constraint="positive", mask_penalty=0.01, initial_width=0.6)
    readout = train(start, truth, blur=0)
    for found, planted in zip(readout.mask, truth.mask, strict=True):
        assert correlation(found, planted) > 0.85
    for found, planted in zip(readout.features.T, truth.features.T, strict=True):
        assert correlation(found, planted) > 0.95


def test_filters_in_space_and_time_are_found():
    torch.manual_seed(0)
    shape = (2, 60, 5, 7)
    truth = LinearNonlinearReadout(shape, 2, temporal_kernel_size=5, rank=1)
    truth.initialize(torch.ones(2), torch.tensor([[-1.0, 2.0], [1.0, 0.0]]))
    with torch.no_grad():
        truth.time_filters.copy_(torch.tensor([0.0, -0.3, -0.7, 0.5, 1.0]).expand(2, 1, 5))
        truth.space_filters.mul_(truth.space_filters.flatten(1).norm(dim=1).reciprocal()[:, None, None, None, None])
    for options in ({}, {"rank": 1}):
        start = LinearNonlinearReadout(shape, 2, temporal_kernel_size=5, **options)
        readout = train(start, truth, shape=shape, blur=0, batch=16)
        for found, planted in zip(readout.filters(), truth.filters(), strict=True):
            assert correlation(found, planted) > 0.9


def test_weights_of_spatial_contrast_are_found_with_their_sign():
    torch.manual_seed(0)
    shape = (1, 60, 9, 13)
    space = GaussianMaskReadout(shape, 3, initial_width=0.3).masks().detach()
    filters = {"spatial_filters": space, "temporal_filters": torch.tensor([-0.4, 0.3, 1.0]).expand(3, 1, 3)}
    truth = SpatialContrastReadout(shape, 3, **filters, gain=3.0, bias=0.0)
    planted = torch.tensor([-1.0, 0.0, 1.5])
    truth.contrast_weight.data.copy_(planted)
    readout = train(
        SpatialContrastReadout(shape, 3, **filters, bias=0.0), truth, shape=shape, blur=3, steps=150, rate=0.1, batch=4
    )
    torch.testing.assert_close(readout.contrast_weight.detach(), planted, rtol=0.2, atol=0.2)
