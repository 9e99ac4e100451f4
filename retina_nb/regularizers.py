"""Penalties on the weights of convolutions, as published by Höfling et al. 2024 (eLife 13:e86860).

None depends on the data; `group_sparsity` grows with the number of features, the others do not.
"""

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from retina_nb.errors import UserError

# Laplacians of wider reach: differences with pixels that are further away, so that only coarser structure is rough.
_WIDE_LAPLACIANS = {
    5: ((0, 0, 1, 0, 0), (0, 1, 2, 1, 0), (1, 2, -16, 2, 1), (0, 1, 2, 1, 0), (0, 0, 1, 0, 0)),
    7: (
        (0, 0, 1, 1, 1, 0, 0),
        (0, 1, 3, 3, 3, 1, 0),
        (1, 3, 0, -7, 0, 3, 1),
        (1, 3, -7, -24, -7, 3, 1),
        (1, 3, 0, -7, 0, 3, 1),
        (0, 1, 3, 3, 3, 1, 0),
        (0, 0, 1, 1, 1, 0, 0),
    ),
}
LAPLACIAN_SIZES = (3, *_WIDE_LAPLACIANS)


def spatial_roughness(
    weights: Float[Tensor, "*kernel height width"], padding: int = 0, size: int = 3, spare_center: bool = False
) -> Float[Tensor, ""]:
    """Energy of the Laplacian of kernels, relative to their own energy.

    Args:
        weights: kernels in space; those smaller than the Laplacian have none and cost nothing.
        padding: pixels of zeros around the kernels: with half of `size`, an edge that does not fade costs too.
        size: side of the Laplacian, 3, 5 or 7 pixels.
        spare_center: weigh the Laplacian by one minus a Gaussian in the middle, so that a fine center costs nothing.

    Raises:
        UserError: if there is no Laplacian of this size.
    """
    if size not in LAPLACIAN_SIZES:
        raise UserError(f"roughness is measured with a Laplacian of 3, 5 or 7 pixels, not {size!r}")
    laplacian = _laplacian(F.pad(weights, (padding,) * 4), size)
    if spare_center:
        laplacian = laplacian * (1 - _bump(laplacian, sigma=min(weights.shape[-2:]) / 4))
    return laplacian.square().sum() / (weights.square().sum() + 1e-6)


def _laplacian(images: Tensor, size: int) -> Tensor:
    if size == 3:
        return images.diff(n=2, dim=-2)[..., 1:-1] + images.diff(n=2, dim=-1)[..., 1:-1, :]
    if min(images.shape[-2:]) < size:
        return images[..., :0]
    kernel = images.new_tensor(_WIDE_LAPLACIANS[size])
    return F.conv2d(images.flatten(0, -3)[:, None], kernel[None, None])


def _bump(images: Tensor, sigma: float) -> Tensor:
    """(height, width): a Gaussian in the middle of images, from 0 in the corners to 1."""
    squares = (torch.arange(n, device=images.device, dtype=images.dtype) - (n - 1) / 2 for n in images.shape[-2:])
    down, right = ((-(one**2) / (2 * sigma**2)).exp() for one in squares)
    bump = torch.outer(down, right)
    if not bump.numel():
        return bump
    return (bump - bump.min()) / (bump.max() - bump.min()).clamp(min=1e-12)


def temporal_roughness(weights: Float[Tensor, "*kernel bin"]) -> Float[Tensor, ""]:
    """Energy of the second difference of kernels in time, relative to their own energy."""
    return weights.diff(n=2, dim=-1).square().sum() / (weights.square().sum() + 1e-6)


def frequency_penalty(time_weights: Float[Tensor, "feature channel function"]) -> Float[Tensor, ""]:
    """Mean over features of the energy of their temporal weights, with high frequencies weighted more.

    The functions are ordered as in `temporal_basis`.
    """
    function = torch.arange(time_weights.shape[-1], device=time_weights.device)
    frequency = (function + 1) // 2
    weight = 0.1 + 0.8 * frequency / frequency.max().clamp(min=1)
    return (weight * time_weights).square().sum(dim=(1, 2)).mean()


def group_sparsity(weights: Float[Tensor, "feature channel *kernel"]) -> Float[Tensor, ""]:
    """Sum over features of their kernels' norms over the norm of them all: least if each feature has one input."""
    norms = torch.linalg.vector_norm(weights.flatten(2), dim=2)
    return (norms.sum(dim=1) / (norms.square().sum(dim=1) + 1e-8).sqrt()).sum()
