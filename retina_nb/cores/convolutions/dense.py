"""The plain plan: multiply the kernels out and convolve in three dimensions."""

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor


def dense(
    x: Float[Tensor, "batch channel time height width"],
    time_weights: Float[Tensor, "feature channel function"],
    basis: Float[Tensor, "function lag"],
    spatial: Float[Tensor, "feature channel kernel_height kernel_width"],
    padding: tuple[int, int] = (0, 0),
) -> Float[Tensor, "batch feature time_out height_out width_out"]:
    """Convolve with a kernel that is a product of time and space for every pair of feature and channel.

    The temporal kernels are sums of a few functions of time, ``time_weights @ basis``. Only space is padded, so that no
    output sees the future: ``time_out = time - lag + 1``.
    """
    kernel = torch.einsum("oct,ochw->octhw", time_weights @ basis, spatial)
    return F.conv3d(x, kernel, padding=(0, *padding))
