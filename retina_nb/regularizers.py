"""Penalties on weights. All are means over what they penalise, as the losses are."""

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor


def spatial_roughness(weights: Float[Tensor, "feature channel height width"]) -> Float[Tensor, ""]:
    """Energy of the Laplacian of spatial kernels, relative to their own energy."""
    laplacian = torch.tensor([[0.0, -1, 0], [-1, 4, -1], [0, -1, 0]], device=weights.device, dtype=weights.dtype)
    rough = F.conv2d(weights.flatten(0, 1)[:, None], laplacian[None, None], padding=1)
    return rough.square().sum() / (weights.square().sum() + 1e-6)


def frequency_penalty(time_weights: Float[Tensor, "feature channel function"]) -> Float[Tensor, ""]:
    """Mean energy of the temporal weights, with high frequencies weighted more.

    The functions are ordered as in `temporal_basis`.
    """
    function = torch.arange(time_weights.shape[-1], device=time_weights.device)
    frequency = (function + 1) // 2
    weight = 0.1 + 0.8 * frequency / frequency.max().clamp(min=1)
    return (weight * time_weights).square().sum(dim=(1, 2)).mean()


def group_sparsity(norms: Float[Tensor, "feature channel"]) -> Float[Tensor, ""]:
    """Mean over features of the sum of their kernels' norms over the norm of them all: few inputs for each feature."""
    return (norms.sum(dim=1) / (norms.norm(dim=1) + 1e-6)).mean()
