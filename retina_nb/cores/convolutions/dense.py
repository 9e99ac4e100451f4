"""The plain plan: multiply the kernels out and convolve in three dimensions."""

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor


def pairwise_separable_dense(
    x: Float[Tensor, "batch channel time height width"],
    temporal: Float[Tensor, "feature channel lag"],
    spatial: Float[Tensor, "feature channel kernel_height kernel_width"],
    padding: tuple[int, int] = (0, 0),
) -> Float[Tensor, "batch feature time_out height_out width_out"]:
    """Convolve with a kernel that is a product of time and space for every pair of feature and channel.

    Only space is padded, so that no output sees the future: ``time_out = time - lag + 1``.
    """
    kernel = torch.einsum("oct,ochw->octhw", temporal, spatial)
    return F.conv3d(x, kernel, padding=(0, *padding))
