"""Penalties on the weights of convolutions, as published by Höfling et al. 2024 (eLife 13:e86860).

None depends on the data; `group_sparsity` grows with the number of features, the others do not.
"""

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor


def spatial_roughness(weights: Float[Tensor, "*kernel height width"], padding: int = 0) -> Float[Tensor, ""]:
    """Energy of the Laplacian of kernels, relative to their own energy.

    Args:
        weights: kernels in space; those smaller than 3 pixels have no Laplacian and cost nothing.
        padding: pixels of zeros around the kernels: with 1, an edge that does not fade costs too.
    """
    padded = F.pad(weights, (padding,) * 4)
    laplacian = padded.diff(n=2, dim=-2)[..., 1:-1] + padded.diff(n=2, dim=-1)[..., 1:-1, :]
    return laplacian.square().sum() / (weights.square().sum() + 1e-6)


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
