import pytest
import torch
from torch import nn

from retina_nb.cores.normalization import BatchNorm

SIZE = (8, 3, 20, 5, 7)


def movie(size=SIZE, dtype=torch.float32):
    random = torch.Generator().manual_seed(0)
    x = 3 + 2 * torch.randn(size, generator=random, dtype=dtype)
    return x.contiguous(memory_format=torch.channels_last_3d).requires_grad_()


def normed(cls, x, **options):
    """What a fresh norm gives in training, its gradients, and what it remembers."""
    norm = cls(x.shape[1], **options).to(x.dtype)
    norm.load_state_dict({**norm.state_dict(), "weight": torch.arange(1.0, x.shape[1] + 1), "bias": norm.bias + 0.5})
    out = norm(x)
    weight = x.detach().square()  # such that sums do not cancel
    return [out, *torch.autograd.grad((out * weight).sum(), (x, *norm.parameters())), *norm.buffers()]


@pytest.mark.parametrize("size", [SIZE, (1, 2, 1, 1, 2)])
def test_it_is_batch_normalisation(size):
    x = movie(size, torch.float64)
    for found, expected in zip(normed(BatchNorm, x), normed(nn.BatchNorm3d, x), strict=True):
        torch.testing.assert_close(found, expected)


def test_sums_of_many_values_are_exact_in_single_precision():
    x = movie((64, 3, 40, 9, 11))
    exact = normed(nn.BatchNorm3d, x.detach().double().requires_grad_())
    for found, expected in zip(normed(BatchNorm, x), exact, strict=True):
        assert (found - expected).abs().max() <= 1e-6 * expected.abs().max()


def test_features_stay_side_by_side():
    out, gradient, *_ = normed(BatchNorm, movie())
    assert out.is_contiguous(memory_format=torch.channels_last_3d)
    assert gradient.is_contiguous(memory_format=torch.channels_last_3d)


def test_what_it_remembers_normalises_in_evaluation():
    x, norm, plain = movie(), BatchNorm(3), nn.BatchNorm3d(3)
    norm(x), plain(x)
    torch.testing.assert_close(norm.eval()(x), plain.eval()(x))
