"""A readout that reads what another one reads: the same cells in a second recording."""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from retina_nb.errors import UserError
from retina_nb.readouts.base import Readout


class ClonedReadout(Readout):
    """Rates of another readout, with a scale and an offset for each neuron: ``scale * rate + offset``.

    For cells that were recorded twice, e.g. before and under a drug. What it reads stays the other's: it is trained
    by both sessions, but constrained, penalised, saved and moved to devices with its own. So both belong in one
    `SessionReadouts`.

    Args:
        original: the readout of the other session.
        neurons: number of neurons, which is the original's.
        positive: whether scales and offsets are kept at or above zero, so that rates stay rates.
        penalty: weight of the penalty on squared offsets and on squared differences of scales from one.

    Raises:
        UserError: if the original is itself a clone.
    """

    def __init__(self, original: Readout, neurons: int, *, positive: bool = True, penalty: float = 0.0) -> None:
        super().__init__()
        if isinstance(original, ClonedReadout):
            raise UserError("the original is itself a clone: clone the readout that it reads")
        # In a list, so that its weights do not become the clone's, which would train and save them twice.
        self._original = [original]
        self.lag, self.positive, self.penalty = original.lag, positive, penalty
        self.scale = nn.Parameter(torch.ones(neurons))
        self.offset = nn.Parameter(torch.zeros(neurons))

    @property
    def original(self) -> Readout:
        """The readout that is read."""
        return self._original[0]

    def forward(
        self, features: Float[Tensor, "*batch feature time height width"]
    ) -> Float[Tensor, "*batch time_out neuron"]:
        return self.rescale(self.original(features))

    def rescale(self, rate: Float[Tensor, "batch time neuron"]) -> Float[Tensor, "batch time neuron"]:
        """Rates in this session, given the original's."""
        return self.scale * rate + self.offset

    def regularizer(self) -> Float[Tensor, ""]:
        return self.penalty * ((self.scale - 1).square() + self.offset.square()).mean()

    @torch.no_grad()
    def constrain(self) -> None:
        if self.positive:
            self.scale.clamp_(min=0)
            self.offset.clamp_(min=0)

    @torch.no_grad()
    def initialize(self, mean_rate: Float[Tensor, " neuron"], position: Float[Tensor, "neuron 2"]) -> None:
        """Start from scales that make the original's rates without features the mean rates, if it can tell them."""
        shape = getattr(self.original, "feature_shape", None)
        if shape is None:
            return
        channels, _, height, width = shape
        rest = self.original(self.scale.new_zeros(1, channels, self.lag + 1, height, width))[0, 0]
        self.scale.copy_(torch.where(rest > 0, mean_rate / rest, 1))
        self.offset.copy_(mean_rate - self.scale * rest)
