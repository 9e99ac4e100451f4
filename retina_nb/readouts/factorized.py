"""The readout of Klindt et al. 2017: each neuron looks through a mask of any shape."""

from typing import ClassVar

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from retina_nb.errors import UserError, unknown
from retina_nb.readouts.base import LinearReadout
from retina_nb.readouts.places import gaussian_masks, nearest_places, pixel_places

CONSTRAINTS = ("positive", "abs", "norm", "absnorm")


class FactorizedReadout(LinearReadout):
    """A neuron weighs features under a mask of its own, free in every pixel.

    ``rate = nonlinearity(sum_c feature_weight_c * sum_xy mask_xy * feature_cxy + bias)`` (Klindt et al. 2017,
    arXiv:1711.02653). Constraints hold after every step of an optimiser (`constrain`): ``"positive"`` sets negative
    weights to zero, ``"abs"`` turns their sign, ``"norm"`` divides each neuron's weights by their norm, ``"absnorm"``
    does the last two.

    Args:
        feature_shape: (feature, time, height, width) of the feature movie; time is not used.
        neurons: number of neurons.
        mask_constraint: what masks are held to, if anything.
        feature_constraint: what feature weights are held to, if anything.
        initial_width: standard deviation of the Gaussian from which masks start; the longer side is 2.
        bias: whether the bias is learned; it stays at zero otherwise.
        nonlinearity: name of the output nonlinearity.
        mask_penalty: weight of the penalty on absolute masks, summed over pixels.
        feature_penalty: weight of the penalty on absolute feature weights, summed over features.
        roughness_penalty: weight of the penalty on rough masks, `mask_roughness`.

    Raises:
        UserError: if there is no such constraint, or masks are too small to be rough.
    """

    places: Tensor  # (height, width, 2)
    neuron_axes: ClassVar = {"mask": 0, "features": 1, "bias": 0}

    def __init__(
        self,
        feature_shape: tuple[int, int, int, int],
        neurons: int,
        *,
        mask_constraint: str | None = None,
        feature_constraint: str | None = None,
        initial_width: float = 0.3,
        bias: bool = True,
        nonlinearity: str = "softplus",
        mask_penalty: float = 0.0,
        feature_penalty: float = 0.0,
        roughness_penalty: float = 0.0,
    ) -> None:
        super().__init__(feature_shape, neurons, nonlinearity=nonlinearity, bias=bias)
        channels, _, height, width = feature_shape
        for what, constraint in (("mask_constraint", mask_constraint), ("feature_constraint", feature_constraint)):
            if constraint is not None and constraint not in CONSTRAINTS:
                raise unknown(what, constraint, CONSTRAINTS)
        if roughness_penalty and min(height, width) < 3:
            raise UserError(
                f"roughness_penalty needs features of at least 3 x 3 pixels, these have {height} x {width}; set it to 0"
            )
        self.mask_constraint, self.feature_constraint = mask_constraint, feature_constraint
        self.variance = initial_width**2
        self.mask_penalty, self.feature_penalty = mask_penalty, feature_penalty
        self.roughness_penalty = roughness_penalty
        self.register_buffer("places", pixel_places(height, width), persistent=False)
        self.mask = nn.Parameter(self._bumps(torch.zeros(neurons, 2)))
        self.features = nn.Parameter(1 / channels + 0.01 * torch.randn(channels, neurons))
        self.constrain()

    def masks(self) -> Float[Tensor, "neuron height width"]:
        """The masks."""
        return self.mask

    def weights(self) -> Float[Tensor, "feature height width neuron"]:
        return torch.einsum("nhw,cn->chwn", self.mask, self.features)

    def regularizer(self) -> Float[Tensor, ""]:
        mask = self.mask.abs().sum(dim=(1, 2)).mean()
        total = self.mask_penalty * mask + self.feature_penalty * self.features.abs().sum(dim=0).mean()
        return total + self.roughness_penalty * mask_roughness(self.mask) if self.roughness_penalty else total

    @torch.no_grad()
    def constrain(self) -> None:
        self.mask.copy_(_constrained(self.mask.flatten(1), self.mask_constraint).view_as(self.mask))
        self.features.copy_(_constrained(self.features.T, self.feature_constraint).T)

    @torch.no_grad()
    def initialize(self, mean_rate: Float[Tensor, " neuron"], position: Float[Tensor, "neuron 2"]) -> None:
        super().initialize(mean_rate, position)
        self.mask.copy_(self._bumps(position))
        self.constrain()

    def _bumps(self, position: Float[Tensor, "neuron 2"]) -> Float[Tensor, "neuron height width"]:
        centre = nearest_places(self.places, position)
        return gaussian_masks(self.places, centre, centre.new_full((len(centre),), self.variance))


def mask_roughness(masks: Float[Tensor, "neuron height width"]) -> Float[Tensor, ""]:
    """Energy of the Laplacian in the inner pixels of all masks over the energy of all masks.

    That is the mean over neurons of each mask's roughness, in which a mask counts as much as its energy: a mask that
    is hardly there is not smoothed, where the plain mean would smooth it most.
    """
    laplacian = masks.new_tensor([[0.0, -1, 0], [-1, 4, -1], [0, -1, 0]])
    rough = F.conv2d(masks[:, None], laplacian[None, None])
    return rough.square().sum() / (masks.square().sum() + 1e-6)


def _constrained(weights: Float[Tensor, "neuron weight"], constraint: str | None) -> Float[Tensor, "neuron weight"]:
    if constraint == "positive":
        return weights.clamp(min=0)
    if constraint in ("abs", "absnorm"):
        weights = weights.abs()
    if constraint in ("norm", "absnorm"):
        weights = weights / (weights.square().sum(dim=1, keepdim=True) + 1e-5).sqrt()
    return weights
