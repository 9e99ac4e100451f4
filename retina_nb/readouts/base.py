"""What every readout is: a module from feature movie to the rates of one session's neurons."""

import copy
from collections.abc import Hashable, Mapping, Sequence
from typing import ClassVar

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from retina_nb import nonlinearities
from retina_nb.errors import UserError
from retina_nb.products import product
from retina_nb.representations import one_line, part_words


@one_line
class Readout(nn.Module):
    """Turns a feature movie into the rates of one session's neurons.

    Subclass it with a ``forward`` from (batch, feature, time, height, width) to (batch, time_out, neuron).
    Nothing else is needed; what follows has a default.
    """

    _in_words = part_words

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
        feature_shape: (feature, time, height, width) of the feature movie; time is not used.
        neurons: number of neurons.
        nonlinearity: name of the output nonlinearity.
        bias: whether the bias is learned; it stays at zero otherwise.
    """

    bias: Tensor  # (neuron,)
    # Axis of the neurons in all that is saved; None if readouts of several sessions cannot be joined to one.
    neuron_axes: ClassVar[Mapping[str, int] | None] = None

    def __init__(
        self,
        feature_shape: tuple[int, int, int, int],
        neurons: int,
        *,
        nonlinearity: str = "softplus",
        bias: bool = True,
    ) -> None:
        super().__init__()
        nonlinearities.nonlinearity(nonlinearity)  # an unknown one is refused here
        self.feature_shape = feature_shape
        self.nonlinearity = nonlinearity
        learned_if(bias, self, "bias", torch.zeros(neurons))

    def weights(self) -> Float[Tensor, "feature height width neuron"]:
        """What every feature in every place counts for each neuron."""
        raise NotImplementedError

    @property
    def is_product(self) -> bool:
        """Whether `forward` is the product of features and `weights`, which can be taken for many readouts at once."""
        return type(self).forward is LinearReadout.forward

    def forward(
        self, features: Float[Tensor, "*batch feature time height width"]
    ) -> Float[Tensor, "*batch time neuron"]:
        check_features(features, self.feature_shape)
        return self.rate(weighted(features, self.weights()))

    @property
    def kind(self) -> Hashable:
        """Equal for readouts that differ in nothing but their neurons; None if they cannot be joined."""
        saved = {*self._parameters, *self._modules, *self._buffers} - self._non_persistent_buffers_set
        if self.neuron_axes is None or saved - self.neuron_axes.keys():
            return None
        return type(self), *(f"{name}={value}" for name, value in vars(self).items() if not name.startswith("_"))

    def rate(self, drive: Float[Tensor, "batch time neuron"]) -> Float[Tensor, "batch time neuron"]:
        """Rates, given the weighted features."""
        return nonlinearities.nonlinearity(self.nonlinearity)(drive + self.bias)

    @torch.no_grad()
    def initialize(self, mean_rate: Float[Tensor, " neuron"], position: Float[Tensor, "neuron 2"]) -> None:
        start_bias(self.bias, self.nonlinearity, mean_rate)


def joined(readouts: Sequence[LinearReadout]) -> LinearReadout:
    """One readout of all neurons of several of a kind, whose parameters are made of theirs and pass gradients on."""
    axes = readouts[0].neuron_axes or {}
    made = {name: torch.cat([getattr(one, name) for one in readouts], dim=axis) for name, axis in axes.items()}
    return _with(readouts[0], made)


def chosen(readout: LinearReadout, neurons: Int[Tensor, " chosen"]) -> LinearReadout:
    """A readout of some of its neurons, whose parameters are taken from it and pass gradients on."""
    axes = readout.neuron_axes or {}
    return _with(readout, {name: getattr(readout, name).index_select(axis, neurons) for name, axis in axes.items()})


def read_neurons(
    readout: Readout,
    features: Float[Tensor, "*batch feature time height width"],
    neurons: Int[Tensor, " chosen"] | None,
) -> Float[Tensor, "*batch time_out _"]:
    """Rates of some of a readout's neurons, without the work for the others where its kind allows it; all if None."""
    if neurons is None:
        return readout(features)
    neurons = neurons.to(features.device)
    if isinstance(readout, LinearReadout) and readout.kind is not None:
        return chosen(readout, neurons)(features)
    return readout(features).index_select(-1, neurons)


def _with(readout: LinearReadout, values: Mapping[str, Tensor]) -> LinearReadout:
    """The same readout with other values of all that neurons differ in."""
    one = copy.copy(readout)
    rest = {name: value for name, value in one._buffers.items() if name not in values}
    vars(one).update(_parameters={}, _buffers=rest, **values)
    return one


def weighted(
    features: Float[Tensor, "batch feature time height width"], weights: Float[Tensor, "feature height width neuron"]
) -> Float[Tensor, "batch time neuron"]:
    """One product over all places and features, which cores keep side by side."""
    seen, weights = features.permute(0, 2, 3, 4, 1).flatten(2), weights.permute(3, 1, 2, 0).flatten(1)
    return product(seen.flatten(0, 1), weights).unflatten(0, seen.shape[:2])


def learned_if(learned: bool, module: nn.Module, name: str, value: Tensor) -> None:
    """Register a parameter, or a buffer of the same name that stays as it is and is saved alike."""
    if learned:
        module.register_parameter(name, nn.Parameter(value))
    else:
        module.register_buffer(name, value)


@torch.no_grad()
def start_bias(bias: Tensor, nonlinearity: str, mean_rate: Float[Tensor, " neuron"]) -> None:
    """Set a learned bias such that without drive each neuron fires at its mean rate; leave a fixed one."""
    if isinstance(bias, nn.Parameter):
        bias.copy_(nonlinearities.inverse(nonlinearity, mean_rate.clamp(min=1e-3)))


def check_features(features: Tensor, feature_shape: tuple[int, int, int, int], *, lag: int = 0) -> None:
    """Refuse a feature movie of another shape than (batch, feature, more than `lag`, height, width).

    Raises:
        UserError: with the axis that does not fit.
    """
    if features.ndim != 5:
        raise UserError(
            f"a readout takes features of (batch, feature, time, height, width), not {tuple(features.shape)}; "
            "add an axis with features[None] if they have no batch"
        )
    for axis, name in ((1, "feature"), (3, "height"), (4, "width")):
        if features.shape[axis] != feature_shape[axis - 1]:
            raise UserError(
                f"the readout was built for features of {name} {feature_shape[axis - 1]}, these have "
                f"{features.shape[axis]}; build it with the feature_shape of its core"
            )
    if features.shape[2] <= lag:
        raise UserError(f"the readout needs more than {lag} bins of features, these have {features.shape[2]}")
