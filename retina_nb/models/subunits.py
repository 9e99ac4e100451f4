"""The subunit model: many small rectified filters of one shape, pooled by each neuron with weights of its own.

After McFarland, Cui & Butts 2013 (PLoS Comput. Biol. 9:e1003143) and Vintch, Movshon & Simoncelli 2015 (J. Neurosci.
35:14829). Subunits are round, as bipolar cells' receptive fields are, so that their shape takes few numbers.
"""

from collections.abc import Mapping
from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Float, Shaped
from torch import Tensor, nn

from retina_nb.models.single_cell import check_stimulus
from retina_nb.representations import model_words, one_line

_BLOCK = 32  # bins that a temporal filter is applied to at once


@one_line
class SubunitModel(nn.Module):
    """Subunit model of one session's neurons: ``rate = gain softplus(sign sum_s pooling_s f(u_s) + offset) + base``.

    ``u_s`` is what subunit s sees through its neuron's spatial and temporal filter, and
    ``f(u) = relu(u) + other_polarity relu(-u)``.

    Args:
        center: place (y, x) of the middle of each neuron's subunits (pixels from the middle of the top left one).
        places: places (y, x) of all subunits relative to it.
        widths: standard deviations of the Gaussians that make up a subunit (pixels).
        shape: their weights, for each channel.
        temporal: filter over the bins before an output, in order of time: the last is the output's own.
        pooling: weight of each subunit, at least 0.
        other_polarity: how much subunits respond to the opposite of what they like, at least 0; 1 for ON-OFF cells.
        sign: -1 for neurons that their subunits silence, else 1.
        offset: of the pooled subunits.
        gain, base: in units of the response.
        about: what is known of the recording.
    """

    _in_words = model_words

    kind = "subunits"
    center: Tensor
    places: Tensor
    widths: Tensor
    sign: Tensor

    def __init__(
        self,
        center: Float[Tensor, "neuron 2"],
        places: Float[Tensor, "subunit 2"],
        widths: Float[Tensor, " width"],
        shape: Float[Tensor, "neuron channel width"],
        temporal: Float[Tensor, "neuron history"],
        pooling: Float[Tensor, "neuron subunit"],
        other_polarity: Float[Tensor, " neuron"],
        sign: Float[Tensor, " neuron"],
        offset: Float[Tensor, " neuron"],
        gain: Float[Tensor, " neuron"],
        base: Float[Tensor, " neuron"],
        *,
        frame: tuple[int, int, int],
        about: dict[str, Any] | None = None,
    ) -> None:
        super().__init__()
        for name, value in (("center", center), ("places", places), ("widths", widths), ("sign", sign)):
            self.register_buffer(name, value)
        self.shape, self.temporal, self.pooling = nn.Parameter(shape), nn.Parameter(temporal), nn.Parameter(pooling)
        self.other_polarity, self.offset = nn.Parameter(other_polarity), nn.Parameter(offset)
        self.gain, self.base = nn.Parameter(gain), nn.Parameter(base)
        self.frame = frame
        self.about = about or {}

    @property
    def config(self) -> dict[str, Any]:
        """Shapes; `from_config` makes a model of them."""
        neurons, subunits = self.pooling.shape
        sizes = {"neurons": neurons, "subunits": subunits, "widths": len(self.widths)}
        return {**sizes, "history": self.temporal.shape[1], "frame": list(self.frame)}

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> "SubunitModel":
        """A model of these shapes, whose weights mean nothing yet."""
        neurons, subunits, widths = config["neurons"], config["subunits"], config["widths"]
        channel, height, width = config["frame"]
        shapes = [(neurons, 2), (subunits, 2), (widths,), (neurons, channel, widths), (neurons, config["history"])]
        shapes += [(neurons, subunits), *[(neurons,)] * 5]
        return cls(*map(torch.zeros, shapes), frame=(channel, height, width))

    @property
    def lag(self) -> int:
        """Bins of history before the first output."""
        return self.temporal.shape[1] - 1

    @property
    def subunit_places(self) -> Float[Tensor, "neuron subunit 2"]:
        """Places (y, x) of each neuron's subunits in pixels."""
        return self.center[:, None] + self.places

    def subunit_filters(self, neuron: int) -> Float[Tensor, "subunit channel height width"]:
        """Spatial filters of one neuron's subunits."""
        seen = gaussians(self.subunit_places[neuron], self.widths, self.frame[1:])
        return torch.einsum("cw,swyx->scyx", self.shape[neuron], seen)

    def forward(
        self, stimulus: Shaped[Tensor, "batch channel time height width"], session: str | None = None
    ) -> Float[Tensor, "batch time_out neuron"]:
        """Rates; ``time_out = time - lag``. There is one session, whatever its name.

        Raises:
            UserError: if the stimulus does not fit the filters or is too short for them.
        """
        check_stimulus(stimulus, self.frame, self.lag, self.temporal)
        pixels = stimulus.movedim(1, 2).flatten(2)
        drives = []
        # Neuron by neuron, since every subunit has a trace of its own.
        for neuron, temporal in enumerate(self.temporal):
            traces = (pixels @ self.subunit_filters(neuron).flatten(1).T).mT
            seen = through_time(traces.flatten(0, 1), temporal).unflatten(0, traces.shape[:2])
            drives.append(pooled(seen, self.pooling[neuron], self.other_polarity[neuron]))
        drive = self.sign * torch.stack(drives, dim=-1) + self.offset
        return self.gain * F.softplus(drive) + self.base


def gaussians(
    places: Float[Tensor, "subunit 2"], widths: Float[Tensor, " width"], size: tuple[int, int]
) -> Float[Tensor, "subunit width {size[0]} {size[1]}"]:
    """Gaussians of sum 1 (on an endless screen) around places (y, x), on a screen of (height, width) pixels."""
    grid = torch.stack(torch.meshgrid(*(torch.arange(side) for side in size), indexing="ij"), dim=-1).to(places)
    distance = (grid - places[:, None, None]).square().sum(dim=-1)[:, None]
    variance = widths[:, None, None].square()
    return torch.exp(-distance / (2 * variance)) / (2 * torch.pi * variance)


def through_time(
    traces: Float[Tensor, "trace time"], temporal: Float[Tensor, " history"]
) -> Float[Tensor, "trace time_out"]:
    """Many traces by one temporal filter, in blocks by a Toeplitz matrix; ``time_out = time - history + 1``."""
    lag = len(temporal) - 1
    size = max(_BLOCK, lag)
    time_out = traces.shape[1] - lag
    count = -(-time_out // size)
    blocks = F.pad(traces, (0, (count + 1) * size - traces.shape[1])).view(len(traces), count + 1, size)
    # Rows that are cut one entry shorter than they were laid out move on by one entry each.
    matrix = F.pad(temporal, (0, 2 * size - lag)).repeat(size)[: 2 * size * size].view(size, 2 * size)
    now, later = matrix.T.split(size)
    return (blocks[:, :-1] @ now + blocks[:, 1:] @ later).flatten(1)[:, :time_out]


def pooled(
    seen: Float[Tensor, "*batch subunit time"], pooling: Float[Tensor, " subunit"], other_polarity: Float[Tensor, ""]
) -> Float[Tensor, "*batch time"]:
    """The weighted sum of rectified subunits."""
    # relu(-u) is relu(u) - u
    return (1 + other_polarity) * (pooling @ F.relu(seen)) - other_polarity * (pooling @ seen)
