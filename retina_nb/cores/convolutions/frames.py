"""Steps that several plans take: in space, in time, and between their two ways to look at a movie.

Movies of many features are kept with the features of a pixel side by side, as (batch, time, pixel, feature) in memory:
every frame is then an image, and every pixel a time course, in the layout that oneDNN is fastest in, without a copy.
"""

from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor


def convolve_traces(
    movie: Float[Tensor, "batch feature time height width"], kernels: Float[Tensor, "feature lag"]
) -> Float[Tensor, "batch feature time_out height width"]:
    """Convolution in time, every feature with a kernel of its own."""
    traces = F.conv2d(movie.flatten(3), kernels[:, None, :, None], groups=len(kernels))
    return traces.unflatten(3, movie.shape[3:])


def to_images(movie: Float[Tensor, "batch feature time height width"]) -> Float[Tensor, "image feature height width"]:
    """All frames as images; no copy if features lie side by side."""
    return movie.permute(0, 2, 3, 4, 1).flatten(0, 1).permute(0, 3, 1, 2)


def to_movie(
    images: Float[Tensor, "image feature height width"], time: int
) -> Float[Tensor, "batch feature time height width"]:
    """Images as movies again; no copy if features lie side by side."""
    return images.permute(0, 2, 3, 1).unflatten(0, (-1, time)).permute(0, 4, 1, 2, 3)


def turned(
    movie: Float[Tensor, "batch feature time height width"],
) -> Float[Tensor, "batch feature time width height"]:
    """Rows as columns, laid out anew, and so are gradients."""
    return _Turned.apply(movie)


class _Turned(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, movie: Tensor) -> Tensor:
        return movie.transpose(3, 4).contiguous(memory_format=torch.channels_last_3d)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> Tensor:
        return grads[0].transpose(3, 4).contiguous(memory_format=torch.channels_last_3d)
