"""Batch normalisation of feature movies."""

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn


class BatchNorm(nn.BatchNorm3d):
    """The same as `nn.BatchNorm3d`, and exact where features lie side by side.

    There, on a CPU, torch adds up the bins of a batch one by one: in single precision that costs two digits of the
    statistics, and as many of every gradient below.
    """

    def forward(self, x: Float[Tensor, "batch feature *place"]) -> Float[Tensor, "batch feature *place"]:
        values = x.numel() // self.num_features
        plain = x.device.type != "cpu" or x.is_contiguous() or x.dtype not in (torch.float32, torch.float64)
        if not self.training or plain or values < 2:
            return super().forward(x)
        out, mean, variance = _Normalized.apply(x, self.weight, self.bias, self.eps)
        self._remember(mean, variance * (values / (values - 1)))
        return out

    def _remember(self, mean: Tensor, variance: Tensor) -> None:
        self.num_batches_tracked.add_(1)  # type: ignore[union-attr]
        # Not in place: torch's own normalisation of an earlier batch may need these for its gradients.
        self.running_mean = self.running_mean.lerp(mean, self.momentum)  # type: ignore[union-attr, arg-type]
        self.running_var = self.running_var.lerp(variance, self.momentum)  # type: ignore[union-attr, arg-type]


class _Normalized(torch.autograd.Function):
    """Normalised and scaled, and the mean and variance of each feature."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor, eps: float) -> tuple[Tensor, Tensor, Tensor]:
        rows = _rows(x)
        mean = rows.mean(dim=0)
        variance = (rows - mean).square_().mean(dim=0)
        inverse = torch.rsqrt(variance + eps)
        ctx.save_for_backward(x, weight, mean, inverse)
        ctx.mark_non_differentiable(mean, variance)
        scale = weight * inverse
        return _movie(torch.addcmul(bias - mean * scale, rows, scale), x), mean, variance

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, Tensor, Tensor, None]:
        x, weight, mean, inverse = ctx.saved_tensors
        rows = _rows(grads[0])
        normal = (_rows(x) - mean) * inverse
        of_weight, of_bias = (rows * normal).sum(dim=0), rows.sum(dim=0)
        # What the statistics, which depend on every value, pass on.
        of_rows = torch.addcmul(rows - of_bias / len(rows), normal, -of_weight / len(rows))
        return _movie(of_rows * (weight * inverse), x), of_weight, of_bias, None


def _rows(x: Tensor) -> Tensor:
    """(value, feature); no copy if features lie side by side."""
    return x.movedim(1, -1).flatten(0, -2)


def _movie(rows: Tensor, like: Tensor) -> Tensor:
    return rows.view(len(like), *like.shape[2:], -1).movedim(-1, 1)
