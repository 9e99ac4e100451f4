"""What every readout is: a module from feature movie to the rates of one session's neurons."""

import torch
from jaxtyping import Float
from torch import Tensor, nn


class Readout(nn.Module):
    """Turns a feature movie into the rates of one session's neurons.

    Subclass it with a ``forward`` from (batch, feature, time, height, width) to (batch, time, neuron).
    Nothing else is needed; what follows has a default.
    """

    def regularizer(self) -> Float[Tensor, ""]:
        """Penalty added to the mean loss: the mean over neurons of each one's penalty; none by default."""
        return torch.zeros((), device=next(self.parameters()).device)

    def constrain(self) -> None:
        """Bring the weights back into their allowed range after an optimiser's step; nothing by default."""

    def initialize(self, mean_rate: Float[Tensor, " neuron"], position: Float[Tensor, "neuron 2"]) -> None:
        """Start from what the data say at once; nothing by default.

        Args:
            mean_rate: mean response of each neuron.
            position: place (y, x) of each neuron's receptive field, in pixels of the feature movie from its centre.
        """


def inverse_softplus(y: Tensor) -> Tensor:
    """The x at which ``softplus(x) == y``."""
    return y + torch.log(-torch.expm1(-y))
