"""Places on the feature movie, y before x, and Gaussians around them."""

import torch
from jaxtyping import Float
from torch import Tensor


def pixel_places(height: int, width: int) -> Float[Tensor, "height width 2"]:
    """Place of every pixel, in units in which the longer side runs from -1 to 1."""
    longer = max(height, width)
    y, x = (torch.linspace(-size / longer, size / longer, size) for size in (height, width))
    return torch.stack(torch.meshgrid(y, x, indexing="ij"), dim=-1)


def nearest_places(
    places: Float[Tensor, "height width 2"], position: Float[Tensor, "neuron 2"]
) -> Float[Tensor, "neuron 2"]:
    """Positions in pixels from the centre as places; those off the feature movie are put at its edge."""
    edge = places[-1, -1]
    last = torch.tensor(places.shape[:2], device=places.device) - 1
    return (2 * position.to(places) / last.clamp(min=1) * edge).clamp(-edge, edge)


def gaussian_masks(
    places: Float[Tensor, "height width 2"], centre: Float[Tensor, "neuron 2"], variance: Float[Tensor, " neuron"]
) -> Float[Tensor, "neuron height width"]:
    """Isotropic Gaussians that each sum to one; cut off where they fall below exp(-10) of their peak."""
    distance = (places - centre[:, None, None]).square().sum(dim=-1)
    mask = torch.exp(-0.5 * (distance / (variance[:, None, None] + 1e-8)).clamp(max=20))
    return mask / mask.sum(dim=(1, 2), keepdim=True)
