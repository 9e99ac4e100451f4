import pytest
import torch

from retina_nb.cores import StackedCore
from retina_nb.cores.convolutions import PLANS, choose_plan
from retina_nb.cores.separable import PairwiseSeparableConv, temporal_basis

SHAPES = [  # batch, channel, time, height, width, feature, function, lag, kernel height, kernel width, padding
    (2, 2, 9, 7, 8, 4, 3, 5, 3, 4, (0, 0)),
    (1, 1, 6, 5, 7, 3, 2, 6, 5, 7, (0, 0)),
    (3, 3, 8, 5, 7, 2, 1, 1, 3, 3, (1, 1)),
    (1, 2, 7, 4, 9, 3, 3, 3, 5, 3, (2, 0)),
    (2, 1, 5, 5, 17, 2, 2, 3, 3, 16, (1, 2)),  # wider than what is convolved in one piece
]
NAMES = [name for name in PLANS if name != "dense"]


def operands(shape, dtype=torch.float64):
    batch, channel, time, height, width, feature, function, lag, down, right, padding = shape
    random = torch.Generator().manual_seed(0)

    def draw(*size):
        return torch.randn(size, generator=random, dtype=dtype).requires_grad_()

    return (
        draw(batch, channel, time, height, width),
        draw(feature, channel, function),
        draw(function, lag),
        draw(feature, channel, down, right),
        padding,
    )


def test_dense_is_the_definition():
    x, weights, basis, spatial, _ = operands(SHAPES[0])
    out = PLANS["dense"](x, weights, basis, spatial)
    b, o, t, y, z = 1, 2, 3, 4, 1
    patch = x[b, :, t : t + 5, y : y + 3, z : z + 4]
    expected = torch.einsum("cthw,cn,nt,chw->", patch, weights[o], basis, spatial[o])
    torch.testing.assert_close(out[b, o, t, y, z], expected)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("plan", NAMES)
def test_plans_give_the_same_numbers_and_gradients(shape, plan):
    *tensors, padding = operands(shape)
    expected, found = (PLANS[name](*tensors, padding) for name in ("dense", plan))
    torch.testing.assert_close(found, expected)
    weight = torch.randn_like(expected)
    for one, other in zip(
        torch.autograd.grad((found * weight).sum(), tensors),
        torch.autograd.grad((expected * weight).sum(), tensors),
        strict=True,
    ):
        torch.testing.assert_close(one, other)


LAYERS = {  # of the presets, with fewer movies: batch, channel, time, height, width, feature, lag, kernel, padding
    "low-res, first": (2, 2, 50, 18, 16, 16, 21, 11, 0),
    "low-res, second": (2, 16, 30, 8, 6, 16, 11, 5, 2),
    "high-res, first": (1, 2, 16, 36, 40, 16, 13, 15, 0),
    "high-res, second": (1, 16, 12, 13, 11, 4, 11, 15, 5),
    "high-res, third": (1, 16, 8, 25, 21, 16, 5, 7, 5),
}


@pytest.mark.parametrize("plan", PLANS)
@pytest.mark.parametrize("layer", LAYERS)
def test_plans_are_exact_in_single_precision(layer, plan):
    batch, channel, time, height, width, feature, lag, kernel, padding = LAYERS[layer]
    basis, random = temporal_basis(lag), torch.Generator().manual_seed(0)
    tensors = [
        torch.randn(size, generator=random).requires_grad_()
        for size in (
            (batch, channel, time, height, width),
            (feature, channel, len(basis)),
            (feature, channel, kernel, kernel),
        )
    ]

    def results(name, x, weights, spatial):
        out = PLANS[name](x, weights, basis.to(x.dtype), spatial, (padding, padding))
        return out, *torch.autograd.grad(out.square().mean(), (x, weights, spatial))

    expected = results("dense", *(one.detach().double().requires_grad_() for one in tensors))
    for found, exact in zip(results(plan, *tensors), expected, strict=True):
        assert (found - exact).abs().max() < 2e-5 * exact.abs().max()


def test_a_layer_takes_the_plan_that_it_is_told():
    torch.manual_seed(0)
    conv = PairwiseSeparableConv(3, 4, temporal_kernel_size=7, spatial_kernel_size=3, padding=(1, 1))
    x = torch.randn(2, 3, 9, 5, 7)
    expected = conv(x)
    for name in PLANS:
        conv.plan = name
        torch.testing.assert_close(conv(x), expected, rtol=1e-4, atol=1e-5)


def test_each_layer_of_a_core_can_be_asked_for_its_plan():
    core = StackedCore(
        in_channels=2, hidden_channels=[4, 4, 4], temporal_kernel_sizes=[5, 3, 3], spatial_kernel_sizes=[11, 9, 5]
    )
    assert core.plans("cpu") == ["channelwise", "fourier", "basis_first"]
    assert core.plans("cuda") == ["dense", "dense", "dense"]
    assert choose_plan("cpu", 1, 400) in ("channelwise", "fourier")
