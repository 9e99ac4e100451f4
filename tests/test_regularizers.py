import math

import pytest
import torch
import torch.nn.functional as F

from retina_nb.errors import UserError
from retina_nb.regularizers import frequency_penalty, group_sparsity, spatial_roughness, temporal_roughness


def draw(*size):
    return torch.randn(size, generator=torch.Generator().manual_seed(0), dtype=torch.float64).requires_grad_()


@pytest.mark.parametrize("padding", [0, 1])
def test_roughness_is_the_energy_of_the_laplacian(padding):
    weights = draw(3, 2, 5, 7)
    kernel = torch.tensor([[0.0, -1, 0], [-1, 4, -1], [0, -1, 0]], dtype=torch.float64)
    laplacian = F.conv2d(weights.flatten(0, 1)[:, None], kernel[None, None], padding=padding)
    expected = laplacian.square().sum() / (weights.square().sum() + 1e-6)
    torch.testing.assert_close(spatial_roughness(weights, padding), expected)


# Of openretina 1.1.1: the Laplacian's energy over that of the kernels, with and without padding by half its size.
PEER = {3: (12.764465, 19.834955), 5: (96.300697, 277.391388), 7: (162.308670, 843.371948)}


@pytest.mark.parametrize("size", PEER)
def test_laplacians_of_every_size_agree_with_the_peer(size):
    weights = torch.randn(3, 2, 9, 11, generator=torch.Generator().manual_seed(0))
    for padding, theirs in zip((0, size // 2), PEER[size], strict=True):
        assert spatial_roughness(weights, padding, size).item() == pytest.approx(theirs, rel=1e-5)


def test_roughness_that_spares_the_center_agrees_with_the_peer():
    """GaussianLaplaceL2 of openretina 1.1.1."""
    weights = torch.randn(3, 2, 9, 11, generator=torch.Generator().manual_seed(0))
    assert spatial_roughness(weights, 1, spare_center=True).item() == pytest.approx(11.303465, rel=1e-5)
    center, edge = torch.zeros(1, 9, 9), torch.zeros(1, 9, 9)
    center[0, 4, 4] = edge[0, 1, 1] = 1
    assert spatial_roughness(center, 1, spare_center=True) < 0.1 * spatial_roughness(edge, 1, spare_center=True)


@pytest.mark.parametrize("spare_center", [False, True])
@pytest.mark.parametrize("size", [3, 5, 7])
def test_small_kernels_have_finite_roughness_and_gradients(size, spare_center):
    for side in range(1, 9):
        weights = draw(2, side, side)
        roughness = spatial_roughness(weights, size=size, spare_center=spare_center)
        roughness.backward()
        assert torch.isfinite(roughness)
        assert torch.isfinite(weights.grad).all()
        assert side >= size or roughness == 0


def test_a_laplacian_of_another_size_is_refused():
    with pytest.raises(UserError, match="3, 5 or 7 pixels, not 4"):
        spatial_roughness(draw(2, 8, 8), size=4)


def test_roughness_in_time_is_that_of_the_second_difference():
    weights = draw(3, 2, 6)
    laplacian = F.conv1d(weights.flatten(0, 1)[:, None], torch.tensor([[[-1.0, 2, -1]]], dtype=torch.float64))
    expected = laplacian.square().sum() / (weights.square().sum() + 1e-6)
    torch.testing.assert_close(temporal_roughness(weights), expected)
    assert temporal_roughness(torch.arange(9.0)[None]) == 0  # a straight line is smooth


def test_kernels_too_small_to_be_rough_cost_nothing():
    assert spatial_roughness(draw(2, 2, 2, 2)) == 0
    assert spatial_roughness(draw(2, 2, 1, 5)) == 0
    assert temporal_roughness(draw(2, 2, 2)) == 0


def test_high_frequencies_cost_more():
    weights = torch.zeros(2, 1, 5)
    costs = []
    for function in range(5):  # cos 0, cos 1, sin 1, cos 2, sin 2
        weights.zero_()[0, 0, function] = 3.0
        costs.append(float(frequency_penalty(weights)))
    assert costs == pytest.approx([9 * weight**2 / 2 for weight in (0.1, 0.5, 0.5, 0.9, 0.9)])


def test_sparsity_is_least_for_one_input_and_most_for_equal_ones():
    one, equal = torch.zeros(2, 9, 3, 3), torch.ones(2, 9, 3, 3)
    one[:, 4] = 1.0
    assert float(group_sparsity(one)) == pytest.approx(2, rel=1e-5)
    assert float(group_sparsity(equal)) == pytest.approx(2 * math.sqrt(9), rel=1e-5)
    assert 2 < group_sparsity(draw(2, 9, 3, 3)).item() < 6


def test_penalties_do_not_depend_on_the_scale_of_kernels():
    weights = draw(3, 4, 5, 7)
    for penalty in (spatial_roughness, temporal_roughness, group_sparsity):
        torch.testing.assert_close(penalty(5 * weights), penalty(weights), rtol=1e-5, atol=0.0)


@pytest.mark.parametrize("penalty", [spatial_roughness, temporal_roughness, group_sparsity])
def test_penalties_have_gradients_even_of_kernels_that_are_zero(penalty):
    assert torch.autograd.gradcheck(penalty, draw(3, 2, 4, 5))
    weights = torch.zeros(3, 2, 4, 5, requires_grad=True)
    penalty(weights).backward()
    assert torch.isfinite(weights.grad).all()
