import math

import pytest
import torch
import torch.nn.functional as F

from retina_nb.cores.full import FullConv
from retina_nb.cores.separable import PairwiseSeparableConv, SeparableConv, temporal_basis

KINDS = [PairwiseSeparableConv, SeparableConv, FullConv]


def make(kind, **options):
    torch.manual_seed(0)
    return kind(2, 4, **{"temporal_kernel_size": 6, "spatial_kernel_size": 3} | options)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("padding", [(0, 0), (2, 1)])
def test_it_convolves_with_its_kernels(kind, padding):
    conv = make(kind, padding=padding).double()
    movie = torch.randn(2, 2, 9, 5, 7, dtype=torch.float64)
    torch.testing.assert_close(conv(movie), F.conv3d(movie, conv.kernels(), padding=(0, *padding)))


@pytest.mark.parametrize("kind", KINDS)
def test_noise_of_unit_variance_gives_features_of_about_unit_variance(kind):
    torch.manual_seed(0)
    conv = kind(2, 64, temporal_kernel_size=21, spatial_kernel_size=5)
    assert 0.7 < conv(torch.randn(2, 2, 60, 9, 9)).std() < 1.4


@pytest.mark.parametrize("kind", KINDS)
def test_smooth_kernels_are_less_rough(kind):
    conv = make(kind, spatial_kernel_size=9)
    weights = conv.weights if kind is FullConv else conv.space_weights
    rough = conv.roughness()
    y, x = torch.meshgrid(torch.arange(9.0) - 4, torch.arange(9.0) - 4, indexing="ij")
    with torch.no_grad():
        weights.copy_(torch.exp(-(y**2 + x**2) / 8))
    assert conv.roughness() < 0.1 * rough


@pytest.mark.parametrize("kind", KINDS)
def test_every_penalty_has_a_gradient(kind):
    conv = make(kind)
    for penalty in (conv.roughness, conv.speed, conv.sparsity):
        (gradient,) = (
            torch.autograd.grad(penalty(), [conv.time_weights if penalty == conv.speed else conv.space_weights])
            if kind is not FullConv
            else torch.autograd.grad(penalty(), [conv.weights])
        )
        assert gradient.abs().sum() > 0


def test_the_temporal_basis_is_the_published_one():
    basis = temporal_basis(21)
    assert basis.shape == (13, 21)
    window = basis[0]
    expected = [0.12, 0.27, 0.50, 0.73, 0.88, 0.95]
    torch.testing.assert_close(window[:6], torch.tensor(expected), atol=0.006, rtol=0.0)
    for place, time in enumerate(range(-21, 0)):
        phase = 2 * math.pi * 2 * time / 21
        assert float(basis[3, place]) == pytest.approx(float(window[place]) * math.cos(phase), abs=1e-5)
        assert float(basis[4, place]) == pytest.approx(float(window[place]) * math.sin(phase), abs=1e-5)
    assert temporal_basis(5).shape == (1, 5)


def test_speed_stretches_the_temporal_basis():
    torch.testing.assert_close(temporal_basis(21, 1.0), temporal_basis(21))
    fast = temporal_basis(21, torch.tensor(2.0))
    # Twice as fast: cos 1 at time t is cos 1 at 2 t, and the window is half as long.
    time = torch.arange(-21, 0.0)
    torch.testing.assert_close(fast[0], torch.sigmoid(time + 19 / 2))
    torch.testing.assert_close(fast[1], fast[0] * torch.cos(2 * math.pi * 2 * time / 21), atol=1e-5, rtol=0.0)
