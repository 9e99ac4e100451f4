"""The plan for small kernels: time first, once for every function of the basis, then space.

All temporal kernels are sums of the same few functions, so that a convolution in space of as many channels as there are
functions does the rest.
"""

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from retina_nb.cores.convolutions.frames import convolve_traces, to_images, to_movie, turned

# oneDNN convolves a row at a time, and rows of fewer pixels leave it idle.
_FULL_ROW = 12


def basis_first(
    x: Float[Tensor, "batch channel time height width"],
    time_weights: Float[Tensor, "feature channel function"],
    basis: Float[Tensor, "function lag"],
    spatial: Float[Tensor, "feature channel kernel_height kernel_width"],
    padding: tuple[int, int] = (0, 0),
) -> Float[Tensor, "batch feature time_out height_out width_out"]:
    """The same as `dense`."""
    if x.shape[4] < min(_FULL_ROW, x.shape[3]):
        padding = (padding[1], padding[0])
        return turned(basis_first(turned(x), time_weights, basis, spatial.transpose(2, 3), padding))
    x = x.contiguous(memory_format=torch.channels_last_3d)
    out = None
    for function, weights in zip(basis, time_weights.unbind(dim=2), strict=True):
        past = to_images(convolve_traces(x, function.expand(x.shape[1], -1)))
        seen = F.conv2d(past, spatial * weights[..., None, None], padding=padding)
        out = seen if out is None else out.add_(seen)
    assert out is not None
    return to_movie(out, x.shape[2] - basis.shape[1] + 1)
