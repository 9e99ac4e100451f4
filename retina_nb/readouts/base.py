"""What every readout is: a module from feature movie to the rates of one session's neurons."""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from retina_nb.nonlinearities import inverse, nonlinearity


class Readout(nn.Module):
    """Turns a feature movie into the rates of one session's neurons.

    Subclass it with a ``forward`` from (batch, feature, time, height, width) to (batch, time_out, neuron).
    Nothing else is needed; what follows has a default.
    """

    lag: int = 0  # bins of features before the first output

    def regularizer(self) -> Float[Tensor, ""]:
        """Penalty added to the mean loss: the mean over neurons of each one's penalty; none by default."""
        parameter = next(self.parameters(), None)
        return torch.zeros((), device=None if parameter is None else parameter.device)

    def constrain(self) -> None:
        """Bring the weights back into their allowed range after an optimiser's step; nothing by default."""

    def initialize(self, mean_rate: Float[Tensor, " neuron"], position: Float[Tensor, "neuron 2"]) -> None:
        """Start from what the data say at once; nothing by default.

        Args:
            mean_rate: mean response of each neuron.
            position: place (y, x) of each neuron's receptive field, in pixels of the feature movie from its centre.
        """


class LinearReadout(Readout):
    """A readout that weighs the features of a bin: ``rate = nonlinearity(sum weights * features + bias)``.

    Subclasses say what the weights are; the readouts of many sessions are then one product (`SessionReadouts`).

    Args:
        neurons: number of neurons.
        nonlinearity: name of the output nonlinearity.
    """

    def __init__(self, neurons: int, *, nonlinearity: str = "softplus") -> None:
        super().__init__()
        self.nonlinearity = nonlinearity
        self.bias = nn.Parameter(torch.zeros(neurons))

    def weights(self) -> Float[Tensor, "feature height width neuron"]:
        """What every feature in every place counts for each neuron."""
        raise NotImplementedError

    def forward(self, features: Float[Tensor, "batch feature time height width"]) -> Float[Tensor, "batch time neuron"]:
        return self.rate(weighted(features, self.weights()))

    def rate(self, drive: Float[Tensor, "batch time neuron"]) -> Float[Tensor, "batch time neuron"]:
        """Rates, given the weighted features."""
        return nonlinearity(self.nonlinearity)(drive + self.bias)

    @torch.no_grad()
    def initialize(self, mean_rate: Float[Tensor, " neuron"], position: Float[Tensor, "neuron 2"]) -> None:
        self.bias.copy_(inverse(self.nonlinearity, mean_rate.clamp(min=1e-3)))


def weighted(
    features: Float[Tensor, "batch feature time height width"], weights: Float[Tensor, "feature height width neuron"]
) -> Float[Tensor, "batch time neuron"]:
    """One product over all features and places."""
    return features.movedim(2, 1).flatten(2) @ weights.flatten(0, 2)
