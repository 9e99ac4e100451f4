import pytest
import torch

from retina_nb.cores.convolutions import (
    pairwise_separable,
    pairwise_separable_dense,
    pairwise_separable_toeplitz,
)

SHAPES = [  # batch, channel, time, height, width, feature, lag, kernel height, kernel width, padding
    (2, 2, 9, 7, 8, 4, 5, 3, 4, (0, 0)),
    (1, 1, 6, 5, 7, 3, 6, 5, 7, (0, 0)),
    (3, 3, 8, 5, 7, 2, 1, 3, 3, (1, 1)),
    (1, 2, 7, 4, 9, 3, 3, 5, 3, (2, 0)),
]


def operands(shape, dtype=torch.float64):
    batch, channel, time, height, width, feature, lag, down, right, padding = shape
    random = torch.Generator().manual_seed(0)

    def draw(*size):
        return torch.randn(size, generator=random, dtype=dtype).requires_grad_()

    return (
        draw(batch, channel, time, height, width),
        draw(feature, channel, lag),
        draw(feature, channel, down, right),
        padding,
    )


def test_dense_is_the_definition():
    x, temporal, spatial, _ = operands(SHAPES[0])
    out = pairwise_separable_dense(x, temporal, spatial)
    b, o, t, y, z = 1, 2, 3, 4, 1
    patch = x[b, :, t : t + 5, y : y + 3, z : z + 4]
    torch.testing.assert_close(out[b, o, t, y, z], torch.einsum("cthw,ct,chw->", patch, temporal[o], spatial[o]))


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("plan", [pairwise_separable_toeplitz, pairwise_separable])
def test_plans_give_the_same_numbers_and_gradients(shape, plan):
    x, temporal, spatial, padding = operands(shape)
    expected = pairwise_separable_dense(x, temporal, spatial, padding)
    found = plan(x, temporal, spatial, padding)
    torch.testing.assert_close(found, expected)
    weight = torch.randn_like(expected)
    for one, other in zip(
        torch.autograd.grad((found * weight).sum(), (x, temporal, spatial)),
        torch.autograd.grad((expected * weight).sum(), (x, temporal, spatial)),
        strict=True,
    ):
        torch.testing.assert_close(one, other)


def test_the_layers_of_the_low_res_preset_agree_in_single_precision():
    x, temporal, spatial, padding = operands((2, 2, 50, 18, 16, 16, 21, 11, 11, (0, 0)), torch.float32)
    with torch.no_grad():
        expected = pairwise_separable_dense(x.double(), temporal.double(), spatial.double(), padding)
        found = pairwise_separable(x, temporal, spatial, padding)
    assert (found - expected).abs().max() < 1e-5 * expected.abs().max()
