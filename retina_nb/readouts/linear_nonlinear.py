"""The linear-nonlinear readout: each neuron filters the stimulus in space and time, for cores that pass it through."""

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from retina_nb import nonlinearities
from retina_nb.errors import UserError
from retina_nb.readouts.base import Readout, check_features, learned_if, start_bias
from retina_nb.readouts.places import gaussian_masks, nearest_places, pixel_places
from retina_nb.regularizers import LAPLACIAN_SIZES, spatial_roughness


class LinearNonlinearReadout(Readout):
    """A neuron filters the stimulus: ``rate = nonlinearity(sum filter * last bins of stimulus + bias)``.

    With Poisson noise this is the LNP model (Chichilnisky 2001; Paninski 2004). A filter is free in every pixel
    and bin, or a sum of `rank` products of a course in time and a map in space.

    Args:
        feature_shape: (channel, time, height, width) of the stimulus; time is not used.
        neurons: number of neurons.
        temporal_kernel_size: bins that a filter covers, the last is the present; 1 sees the present alone.
        rank: number of products that filters are sums of; None for free filters.
        initial_width: standard deviation of the Gaussian under which filters start; the longer side is 2.
        bias: whether the bias is learned; it stays at zero otherwise.
        nonlinearity: name of the output nonlinearity.
        roughness_penalty: weight of the penalty on the energy of the filters' Laplacian over their energy.
        roughness_size: side of the Laplacian, 3, 5 or 7 pixels.
        roughness_spares_center: whether only roughness away from the middle of the stimulus is penalized.
        speed_penalty: weight of the same for the second difference in time.
        sparsity_penalty: weight of the penalty on the mean absolute weight of a filter.

    Raises:
        UserError: if a filter has no bin or no product, or there is no Laplacian of this size.
    """

    bias: Tensor  # (neuron,)
    time_filters: nn.Parameter | None  # (neuron, rank, time)
    places: Tensor  # (height, width, 2)

    def __init__(
        self,
        feature_shape: tuple[int, int, int, int],
        neurons: int,
        *,
        temporal_kernel_size: int = 1,
        rank: int | None = None,
        initial_width: float = 0.3,
        bias: bool = True,
        nonlinearity: str = "softplus",
        roughness_penalty: float = 0.0,
        roughness_size: int = 3,
        roughness_spares_center: bool = False,
        speed_penalty: float = 0.0,
        sparsity_penalty: float = 0.0,
    ) -> None:
        super().__init__()
        nonlinearities.nonlinearity(nonlinearity)  # an unknown one is refused here
        for name, size in (("temporal_kernel_size", temporal_kernel_size), ("rank", 1 if rank is None else rank)):
            if size < 1:
                raise UserError(f"linear-nonlinear readout: {name} must be at least 1, not {size}")
        channels, _, height, width = feature_shape
        self.feature_shape, self.nonlinearity, self.variance = feature_shape, nonlinearity, initial_width**2
        self.lag = temporal_kernel_size - 1
        self.roughness_penalty, self.speed_penalty = roughness_penalty, speed_penalty
        self.sparsity_penalty = sparsity_penalty
        if roughness_size not in LAPLACIAN_SIZES:
            raise UserError(
                f"linear-nonlinear readout: roughness_size must be one of {LAPLACIAN_SIZES}, not {roughness_size!r}"
            )
        self.roughness_options = (roughness_size // 2, roughness_size, roughness_spares_center)
        self.register_buffer("places", pixel_places(height, width), persistent=False)
        learned_if(bias, self, "bias", torch.zeros(neurons))
        space = rank or temporal_kernel_size
        self.space_filters = nn.Parameter(torch.empty(neurons, space, channels, height, width))
        courses = None if rank is None else nn.Parameter(torch.randn(neurons, rank, temporal_kernel_size))
        self.register_parameter("time_filters", courses)
        self._look_at(torch.zeros(neurons, 2))

    def filters(self) -> Float[Tensor, "neuron channel time height width"]:
        """The filter of each neuron in space and time; the last bin is the present."""
        if self.time_filters is None:
            return self.space_filters.movedim(1, 2)
        return torch.einsum("nkt,nkchw->ncthw", self.time_filters, self.space_filters)

    def forward(
        self, features: Float[Tensor, "*batch channel time height width"]
    ) -> Float[Tensor, "*batch time_out neuron"]:
        check_features(features, self.feature_shape, lag=self.lag)
        if self.time_filters is None:
            series = features.movedim(2, -1).flatten(1, 3)  # (batch, channel * height * width, time)
            drive = F.conv1d(series, self.space_filters.flatten(2).movedim(1, 2))
        else:
            pictures = features.movedim(2, 1).flatten(2)  # (batch, time, channel * height * width)
            maps = pictures @ self.space_filters.flatten(2).flatten(0, 1).T
            drive = F.conv1d(maps.movedim(1, 2), self.time_filters, groups=len(self.time_filters))
        return nonlinearities.nonlinearity(self.nonlinearity)(drive.movedim(1, 2) + self.bias)

    def regularizer(self) -> Float[Tensor, ""]:
        total = self.roughness_penalty * spatial_roughness(self.space_filters, *self.roughness_options)
        if self.time_filters is None:
            courses = self.space_filters.flatten(2).movedim(1, 2)
            size = self.space_filters.abs().mean()
        else:
            courses = self.time_filters
            # Of a sum of products no more than this, and of a single one exactly.
            size = (self.time_filters.abs().mean(2) * self.space_filters.abs().mean((2, 3, 4))).sum(dim=1).mean()
        return total + self.speed_penalty * temporal_roughness(courses) + self.sparsity_penalty * size

    @torch.no_grad()
    def initialize(self, mean_rate: Float[Tensor, " neuron"], position: Float[Tensor, "neuron 2"]) -> None:
        start_bias(self.bias, self.nonlinearity, mean_rate)
        self._look_at(position)

    @torch.no_grad()
    def _look_at(self, position: Float[Tensor, "neuron 2"]) -> None:
        """Small random filters under Gaussians around these positions."""
        centre = nearest_places(self.places, position)
        bumps = gaussian_masks(self.places, centre, centre.new_full((len(centre),), self.variance))
        random = torch.randn_like(self.space_filters[..., :1, :1])
        self.space_filters.copy_(0.1 * random * bumps[:, None, None])


def temporal_roughness(courses: Float[Tensor, "neuron course time"]) -> Float[Tensor, ""]:
    """Energy of the second difference of courses in time, zero before and after, over their energy."""
    bent = F.pad(courses, (1, 1))
    return (2 * courses - bent[..., :-2] - bent[..., 2:]).square().sum() / (courses.square().sum() + 1e-6)
