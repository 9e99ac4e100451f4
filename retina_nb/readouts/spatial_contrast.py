"""The spatial contrast model of Sridhar et al. 2025: mean and spread of the stimulus within the receptive field."""

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, nn

from retina_nb.errors import UserError
from retina_nb.nonlinearities import inverse
from retina_nb.readouts.base import Readout, check_features


class SpatialContrastReadout(Readout):
    """A neuron responds to the local mean and the local spatial contrast of the stimulus, filtered in time.

    ``rate = gain * softplus(slope * (mean + contrast_weight * contrast) + bias)``. The filtered stimulus f in each
    pixel is weighed by the neuron's spatial filter s: ``mean = sum(s f) / sum(s)``,
    ``contrast = sqrt(sum(s (f - mean)^2) / sum(s))`` (Sridhar et al. 2025, after Liu & Gollisch 2021). Filters
    come from the cells' spike-triggered averages and are not learned; for cores that pass the stimulus through.

    Args:
        feature_shape: (channel, time, height, width) of the stimulus; time is not used.
        neurons: number of neurons.
        spatial_filters: how much each pixel counts, at or above zero; the fewer are not zero the faster.
        temporal_filters: the filter's course in time for each channel, with the cell's polarity; the last bin is the
            present.
        contrast_weight, gain, slope, bias: where the learned numbers start. A negative contrast weight is a cell
            that spatial contrast suppresses.
        chunk_size: neurons that are computed at once; fewer need less memory.

    Raises:
        UserError: if filters do not fit neurons, channels and pixels.
    """

    spatial_filters: Tensor  # (neuron, height, width)
    temporal_filters: Tensor  # (neuron, channel, time)

    def __init__(
        self,
        feature_shape: tuple[int, int, int, int],
        neurons: int,
        *,
        spatial_filters: Float[Tensor, "neuron height width"],
        temporal_filters: Float[Tensor, "neuron channel time"],
        contrast_weight: float = 0.0,
        gain: float = 4.0,
        slope: float = 1.0,
        bias: float = -5.0,
        chunk_size: int = 32,
    ) -> None:
        super().__init__()
        channels, _, height, width = feature_shape
        course = (neurons, channels, temporal_filters.shape[-1])
        for what, filters, shape in (
            ("spatial_filters (neuron, height, width)", spatial_filters, (neurons, height, width)),
            ("temporal_filters (neuron, channel, time)", temporal_filters, course),
        ):
            if filters.shape != shape:
                raise UserError(f"{what} must have shape {shape}, not {tuple(filters.shape)}")
        self.feature_shape, self.chunk_size = feature_shape, chunk_size
        self.lag = temporal_filters.shape[-1] - 1
        for name, filters in (("spatial_filters", spatial_filters), ("temporal_filters", temporal_filters)):
            self.register_buffer(name, filters.clone(memory_format=torch.contiguous_format))
        starts = (contrast_weight, gain, slope, bias)
        self.contrast_weight, self.gain, self.slope, self.bias = (
            nn.Parameter(torch.full((neurons,), start)) for start in starts
        )

    def forward(
        self, features: Float[Tensor, "*batch channel time height width"]
    ) -> Float[Tensor, "*batch time_out neuron"]:
        check_features(features, self.feature_shape, lag=self.lag)
        mean, contrast = mean_and_contrast(features, self.spatial_filters, self.temporal_filters, self.chunk_size)
        return self.gain * F.softplus(self.slope * (mean + self.contrast_weight * contrast) + self.bias)

    @torch.no_grad()
    def constrain(self) -> None:
        self.gain.clamp_(min=0)

    @torch.no_grad()
    def initialize(self, mean_rate: Float[Tensor, " neuron"], position: Float[Tensor, "neuron 2"]) -> None:
        self.bias.copy_(inverse("softplus", mean_rate.clamp(min=1e-3) / self.gain))


def mean_and_contrast(
    stimulus: Float[Tensor, "*batch channel time height width"],
    spatial: Float[Tensor, "neuron height width"],
    temporal: Float[Tensor, "neuron channel lag"],
    chunk_size: int = 32,
) -> tuple[Float[Tensor, "*batch time_out neuron"], Float[Tensor, "*batch time_out neuron"]]:
    """Local mean and local spatial contrast of the stimulus filtered in time, in units of that.

    Args:
        stimulus: what is on the screen.
        spatial: how much each pixel counts.
        temporal: courses of the filters; the last bin is the present.
        chunk_size: neurons that are computed at once.
    """
    pictures = stimulus.flatten(3)  # (batch, channel, time, pixel)
    chunks = [
        _moments(pictures, *chunk)
        for chunk in zip(*(one.split(chunk_size) for one in (*_seen_pixels(spatial), temporal)), strict=True)
    ]
    mean, contrast = (torch.cat(part, dim=-1) for part in zip(*chunks, strict=True))
    return mean, contrast


def _seen_pixels(
    spatial: Float[Tensor, "neuron height width"],
) -> tuple[Float[Tensor, "neuron pixel"], Int[Tensor, "neuron pixel"]]:
    """How much each pixel counts and where it is, without those that count for no neuron."""
    filters = spatial.flatten(1)
    seen = filters.shape[1] if filters.is_meta else max(1, int((filters != 0).sum(dim=1).max()))
    pixels = filters.abs().topk(seen, dim=1).indices
    return filters.gather(1, pixels) / (filters.sum(dim=1, keepdim=True) + 1e-8), pixels


def _moments(
    pictures: Float[Tensor, "batch channel time height_width"],
    shares: Float[Tensor, "neuron pixel"],
    pixels: Int[Tensor, "neuron pixel"],
    courses: Float[Tensor, "neuron channel lag"],
) -> tuple[Float[Tensor, "batch time_out neuron"], Float[Tensor, "batch time_out neuron"]]:
    """Weighted mean and standard deviation over each neuron's pixels, filtered in time."""
    seen = pictures[..., pixels].permute(0, 4, 3, 1, 2)  # (batch, pixel, neuron, channel, time)
    seen = F.conv1d(seen.flatten(2, 3).flatten(0, 1), courses, groups=len(courses)).unflatten(0, seen.shape[:2])
    mean = torch.einsum("bpnt,np->bnt", seen, shares)
    variance = torch.einsum("bpnt,np->bnt", (seen - mean[:, None]).square(), shares)
    # A contrast of zero would have no gradient.
    return mean.movedim(1, 2), variance.clamp(min=1e-6).sqrt().movedim(1, 2)
