"""The plan for few input channels: space as one product with Toeplitz matrices, then time as another.

It does a fraction of the dense plan's arithmetic when kernels are large and channels few, as in a first layer.
"""

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor


def pairwise_separable_toeplitz(
    x: Float[Tensor, "batch channel time height width"],
    temporal: Float[Tensor, "feature channel lag"],
    spatial: Float[Tensor, "feature channel kernel_height kernel_width"],
    padding: tuple[int, int] = (0, 0),
) -> Float[Tensor, "batch feature time_out height_out width_out"]:
    """The same as `pairwise_separable_dense`."""
    batch, channels, time, height, width = x.shape
    features = len(spatial)
    space, (height_out, width_out) = _space_toeplitz(spatial, (height, width), padding)
    seen = x.transpose(0, 1).reshape(channels, batch * time, height * width) @ space
    seen = seen.view(channels, batch, time, features, height_out * width_out)
    seen = seen.permute(3, 0, 2, 1, 4)  # (feature, channel, time, batch, place)
    past = _time_toeplitz(temporal, time)  # (feature, time_out, channel * time)
    out = past @ seen.reshape(features, channels * time, batch * height_out * width_out)
    return out.view(features, past.shape[1], batch, height_out, width_out).permute(2, 0, 1, 3, 4)


def _space_toeplitz(
    spatial: Tensor, size: tuple[int, int], padding: tuple[int, int]
) -> tuple[Float[Tensor, "channel pixel feature_place"], tuple[int, int]]:
    """For each channel, the matrix that takes an image to all features in all places; and (height, width) of places."""
    kernel = spatial.shape[2:]
    out = [side + 2 * pad - k + 1 for side, pad, k in zip(size, padding, kernel, strict=True)]
    down, right = (
        torch.arange(side, device=spatial.device)[:, None] + pad - torch.arange(places, device=spatial.device)
        for side, pad, places in zip(size, padding, out, strict=True)
    )
    down, right = down[:, None, :, None], right[None, :, None, :]  # (height, width, height_out, width_out)
    inside = (down >= 0) & (down < kernel[0]) & (right >= 0) & (right < kernel[1])
    # Entries outside the kernel take the zero appended to it.
    entry = torch.where(inside, down * kernel[1] + right, kernel[0] * kernel[1]).flatten()
    matrix = F.pad(spatial.flatten(2), (0, 1))[..., entry].view(*spatial.shape[:2], size[0] * size[1], -1)
    return matrix.permute(1, 2, 0, 3).flatten(2), (out[0], out[1])


def _time_toeplitz(temporal: Tensor, time: int) -> Float[Tensor, "feature time_out channel_time"]:
    """For each feature, the matrix that takes the traces of all channels to its own."""
    features, channels, lag = temporal.shape
    time_out = time - lag + 1
    # Rows that are cut one entry shorter than they were laid out move on by one entry each.
    rows = F.pad(temporal, (0, time_out))[:, :, None].expand(-1, -1, time_out, -1).flatten(2)
    rows = rows[..., : time_out * time].view(features, channels, time_out, time)
    return rows.transpose(1, 2).flatten(2)
