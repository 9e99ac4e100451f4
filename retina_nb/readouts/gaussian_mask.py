"""The readout of Höfling et al. 2024: each neuron looks through a Gaussian mask."""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from retina_nb.readouts.base import LinearReadout


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
        nonlinearity: name of the output nonlinearity.
        width_penalty: weight of the penalty on the masks' variances.
        feature_penalty: weight of the penalty on absolute feature weights.
    """

    grid: Tensor  # (height, width, 2), y before x

    def __init__(
        self,
        feature_shape: tuple[int, int, int, int],
        neurons: int,
        *,
        position_scale: float = 6.0,
        width_scale: float = 4.0,
        initial_width: float = 0.3,
        positive: bool = True,
        nonlinearity: str = "softplus",
        width_penalty: float = 0.0,
        feature_penalty: float = 0.0,
    ) -> None:
        super().__init__(neurons, nonlinearity=nonlinearity)
        channels, _, height, width = feature_shape
        self.extent = (height / max(height, width), width / max(height, width))
        self.position_scale, self.width_scale, self.positive = position_scale, width_scale, positive
        self.width_penalty, self.feature_penalty = width_penalty, feature_penalty
        y, x = (torch.linspace(-e, e, n) for e, n in zip(self.extent, (height, width), strict=True))
        self.register_buffer("grid", torch.stack(torch.meshgrid(y, x, indexing="ij"), dim=-1), persistent=False)
        self.position = nn.Parameter(torch.zeros(neurons, 2))
        log_variance = 2 * torch.tensor(initial_width).log() / width_scale
        self.log_variance = nn.Parameter(log_variance.expand(neurons).clone())
        self.features = nn.Parameter(1 / channels + 0.01 * torch.randn(channels, neurons))
        self.scale = nn.Parameter(torch.ones(neurons))

    def masks(self) -> Float[Tensor, "neuron height width"]:
        """The masks; each sums to one."""
        offset = self.grid - self.position_scale * self.position[:, None, None]
        variance = (self.width_scale * self.log_variance).clamp(-20, 20).exp()[:, None, None]
        exponent = offset.square().sum(dim=-1) / (variance + 1e-8)
        mask = torch.exp(-0.5 * exponent.clamp(max=20))
        return mask / mask.sum(dim=(1, 2), keepdim=True)

    def weights(self) -> Float[Tensor, "feature height width neuron"]:
        return torch.einsum("nhw,cn,n->chwn", self.masks(), self.features, self.scale)

    def regularizer(self) -> Float[Tensor, ""]:
        variance = (self.width_scale * self.log_variance).exp().mean()
        return self.width_penalty * variance + self.feature_penalty * self.features.abs().sum(dim=0).mean()

    @torch.no_grad()
    def constrain(self) -> None:
        if self.positive:
            self.features.clamp_(min=0)

    @torch.no_grad()
    def initialize(self, mean_rate: Float[Tensor, " neuron"], position: Float[Tensor, "neuron 2"]) -> None:
        super().initialize(mean_rate, position)
        edge = self.grid[-1, -1]
        last = torch.tensor(self.grid.shape[:2], device=edge.device) - 1
        place = 2 * position / last.clamp(min=1) * edge
        self.position.copy_(place.clamp(-edge, edge) / self.position_scale)
