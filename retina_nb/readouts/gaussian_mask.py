"""The readout of Höfling et al. 2024: each neuron looks through a Gaussian mask."""

from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor, nn

from retina_nb.readouts.base import LinearReadout, learned_if
from retina_nb.readouts.places import gaussian_masks, nearest_places, pixel_places


class GaussianMaskReadout(LinearReadout):
    """A neuron weighs features under an isotropic Gaussian mask of its own place and width.

    ``rate = nonlinearity(scale * sum_c feature_weight_c * sum_xy mask_xy * feature_cxy + bias)``, where masks sum to
    one (Höfling et al. 2024, eLife 13:e86860). Places are in units in which the longer side of the feature
    movie runs from -1 to 1.

    Args:
        feature_shape: (feature, time, height, width) of the feature movie; time is not used.
        neurons: number of neurons.
        position_scale: factor between the parameter and the mask's place; larger learns places faster.
        width_scale: factor between the parameter and the mask's log variance.
        initial_width: standard deviation of the masks at the start.
        positive: whether feature weights are kept at or above zero.
        scale: whether a factor for each neuron is learned; it stays at one otherwise.
        bias: whether the bias is learned; it stays at zero otherwise.
        nonlinearity: name of the output nonlinearity.
        width_penalty: weight of the penalty on the masks' variances.
        position_penalty: weight of the penalty on the masks' squared distance from the centre.
        feature_penalty: weight of the penalty on absolute feature weights.
    """

    places: Tensor  # (height, width, 2)
    scale: Tensor  # (neuron,)
    neuron_axes: ClassVar = {"position": 0, "log_variance": 0, "features": 1, "scale": 0, "bias": 0}

    def __init__(
        self,
        feature_shape: tuple[int, int, int, int],
        neurons: int,
        *,
        position_scale: float = 6.0,
        width_scale: float = 4.0,
        initial_width: float = 0.3,
        positive: bool = True,
        scale: bool = True,
        bias: bool = True,
        nonlinearity: str = "softplus",
        width_penalty: float = 0.0,
        position_penalty: float = 0.0,
        feature_penalty: float = 0.0,
    ) -> None:
        super().__init__(feature_shape, neurons, nonlinearity=nonlinearity, bias=bias)
        channels, _, height, width = feature_shape
        self.position_scale, self.width_scale, self.positive = position_scale, width_scale, positive
        self.width_penalty, self.position_penalty = width_penalty, position_penalty
        self.feature_penalty = feature_penalty
        self.register_buffer("places", pixel_places(height, width), persistent=False)
        self.position = nn.Parameter(torch.zeros(neurons, 2))
        log_variance = 2 * torch.tensor(initial_width).log() / width_scale
        self.log_variance = nn.Parameter(log_variance.repeat(neurons))
        self.features = nn.Parameter(1 / channels + 0.01 * torch.randn(channels, neurons))
        learned_if(scale, self, "scale", torch.ones(neurons))
        self.constrain()

    def masks(self) -> Float[Tensor, "neuron height width"]:
        """The masks; each sums to one."""
        variance = (self.width_scale * self.log_variance).clamp(-20, 20).exp()
        return gaussian_masks(self.places, self.position_scale * self.position, variance)

    def weights(self) -> Float[Tensor, "feature height width neuron"]:
        return torch.einsum("nhw,cn,n->chwn", self.masks(), self.features, self.scale)

    def regularizer(self) -> Float[Tensor, ""]:
        variance = (self.width_scale * self.log_variance).exp().mean()
        distance = (self.position_scale * self.position).square().sum(dim=1).mean()
        features = self.features.abs().sum(dim=0).mean()
        return self.width_penalty * variance + self.position_penalty * distance + self.feature_penalty * features

    @torch.no_grad()
    def constrain(self) -> None:
        if self.positive:
            self.features.clamp_(min=0)

    @torch.no_grad()
    def initialize(self, mean_rate: Float[Tensor, " neuron"], position: Float[Tensor, "neuron 2"]) -> None:
        super().initialize(mean_rate, position)
        self.position.copy_(nearest_places(self.places, position) / self.position_scale)
