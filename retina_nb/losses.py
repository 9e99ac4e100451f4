"""Losses by name, and how much each neuron counts.

A loss gives one value for each neuron: its mean over the bins that count, wherever in a batch they are. The loss of a
batch is the mean over all its bins and neurons, so that none depends on batch, chunk or session size.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from retina_nb.errors import UserError, unknown
from retina_nb.recording import Recording, by_name
from retina_nb.representations import one_line

WINDOW = 30  # bins, of the scaled correlation
# (rate, response, weights) -> loss of each neuron
Loss = Callable[[Tensor, Tensor, Tensor], Tensor]


def poisson_loss(rate: Float[Tensor, "*shape"], response: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
    """Negative Poisson log-likelihood of every element, without the term that depends on the response alone."""
    return rate - response * torch.log(rate + 1e-8)


def l1_poisson_loss(
    rate: Float[Tensor, "*shape"], response: Float[Tensor, "*shape"], *, penalty: float = 1e-3
) -> Float[Tensor, "*shape"]:
    """`poisson_loss` and a penalty on activity, which favours sparse rates."""
    return poisson_loss(rate, response) + penalty * rate.abs()


def squared_error(rate: Float[Tensor, "*shape"], response: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
    """Squared difference of every element."""
    return (rate - response).square()


def correlation_loss(
    rate: Float[Tensor, "*row neuron"], response: Float[Tensor, "*row neuron"], weights: Float[Tensor, "*row"]
) -> Float[Tensor, " neuron"]:
    """One minus Pearson's correlation over all bins that count, of all rows together.

    Means and variances are those of the whole batch, not of each chunk: how bins are cut into chunks does not matter,
    and of the batch size only that a correlation over few bins is a noisy one. It is 1 for a rate or a response that
    does not vary, and leaves the rate's scale and offset free: it fits correlations and nothing else.
    """
    rate = rate - over_bins(rate, weights)
    response = response - over_bins(response, weights)
    powers = (over_bins(one.square(), weights) + 1e-8 for one in (rate, response))
    return 1 - over_bins(rate * response, weights) / torch.sqrt(next(powers) * next(powers))


def scaled_correlation_loss(
    rate: Float[Tensor, "*row neuron"], response: Float[Tensor, "*row neuron"], weights: Float[Tensor, "*row"]
) -> Float[Tensor, " neuron"]:
    """One minus Pearson's correlation within windows of 30 bins of each row, averaged over the windows by their bins.

    What changes more slowly than a window does not count (Nikolić et al. 2012). The last axis of rows is time.
    """
    rest = -rate.shape[-2] % WINDOW
    rate, response = (F.pad(one, (0, 0, 0, rest)).unflatten(-2, (-1, WINDOW)) for one in (rate, response))
    weights = F.pad(weights, (0, rest)).unflatten(-1, (-1, WINDOW))[..., None]
    count = weights.sum(dim=-2)
    rate, response = (
        one - (one * weights).sum(dim=-2, keepdim=True) / count.clamp(min=1)[..., None] for one in (rate, response)
    )
    product, *powers = (
        (one * weights).sum(dim=-2) / count.clamp(min=1) for one in (rate * response, rate.square(), response.square())
    )
    correlation = product / torch.sqrt((powers[0] + 1e-8) * (powers[1] + 1e-8))
    count = count * (count > 1)  # a single bin has no correlation
    return 1 - (count * correlation).flatten(0, -2).sum(dim=0) / count.sum().clamp(min=1)


def over_bins(values: Float[Tensor, "*row neuron"], weights: Float[Tensor, "*row"]) -> Float[Tensor, " neuron"]:
    """Mean over the bins that count; 0 if none does."""
    return (values * weights[..., None]).flatten(0, -2).sum(dim=0) / weights.sum().clamp(min=1e-12)


def bin_by_bin(loss: Callable[[Tensor, Tensor], Tensor]) -> Loss:
    """A loss of every element as the mean over the bins that count."""
    return lambda rate, response, weights: over_bins(loss(rate, response), weights)


LOSSES: dict[str, Loss] = {
    "poisson": bin_by_bin(poisson_loss),
    "l1_poisson": bin_by_bin(l1_poisson_loss),
    "mse": bin_by_bin(squared_error),
    "correlation": correlation_loss,
    "scaled_correlation": scaled_correlation_loss,
}


def loss_named(name: str | Loss) -> Loss:
    """A loss by name, or the function that was given: ``(rate, response, weights) -> (neuron,)``.

    Raises:
        UserError: if there is no such loss.
    """
    if isinstance(name, str) and name not in LOSSES:
        raise unknown("loss", name, LOSSES)
    return LOSSES[name] if isinstance(name, str) else name


@one_line
class Part(NamedTuple):
    """What one session has in a batch: (row, time, neuron), (row, time), (neuron,)."""

    rate: Tensor
    response: Tensor
    bin_weights: Tensor
    neuron_weights: Tensor


def mean_loss(loss: Loss, parts: Iterable[Part], count: float | None = None) -> Float[Tensor, ""]:
    """Mean over the bins that count and the neurons of all parts; if these are only some of a batch's, what they add
    to its mean, given the batch's `count` of bins times neurons.

    The mean of a batch is the mean of its pieces, each counted by its bins times neurons (but for the noise of
    `correlation_loss`).
    """
    total, own = [], []
    for rate, response, bin_weights, neuron_weights in parts:
        bins, of_neurons = bin_weights.sum(), loss(rate, response, bin_weights)
        _check_loss(of_neurons, rate)
        total.append(bins * (neuron_weights * of_neurons).sum())
        own.append(bins * rate.shape[-1])
    return torch.stack(total).sum() / (torch.stack(own).sum() if count is None else count)


def _check_loss(value: Any, rate: Tensor) -> None:
    """Raise a `UserError` if a loss of one's own gives something that would train the twin for something else."""
    if not isinstance(value, Tensor) or value.shape not in ((), rate.shape[-1:]):
        found = tuple(value.shape) if isinstance(value, Tensor) else type(value).__name__
        raise UserError(f"the loss must give a tensor with a value for each of {rate.shape[-1]} neurons, not {found}")
    if rate.requires_grad and not value.requires_grad:
        raise UserError("the loss has no gradient by the rate: compute it with torch from the rate, not detached")


def weigh_neurons(
    recordings: Recording | Mapping[str, Recording], by: str = "none"
) -> dict[str, Float[Tensor, " neuron"]]:
    """How much each neuron of each session counts in the loss.

    Args:
        recordings: the sessions, with training bins.
        by: ``"none"``, all alike; ``"rate"``, as the mean response of all over its own, so that quiet neurons count as
            much as busy ones in a Poisson loss; ``"type"``, so that every type in ``recording.neurons["type"]`` counts
            alike over all sessions, with weights of mean 1.

    Raises:
        UserError: if there is no such weighting, or a session does not know the types of its neurons.
    """
    if not isinstance(by, str) or by not in _WEIGHTS:
        raise unknown("weighting of neurons", str(by), _WEIGHTS)
    recordings = by_name(recordings)
    flat = _WEIGHTS[by](recordings).to(torch.float32)
    sizes = [one.n_neurons for one in recordings.values()]
    return dict(zip(recordings, flat.split(sizes), strict=True))


def _alike(recordings: Mapping[str, Recording]) -> Tensor:
    return torch.ones(sum(one.n_neurons for one in recordings.values()))


def _by_rate(recordings: Mapping[str, Recording]) -> Tensor:
    means = torch.cat([torch.from_numpy(one.response("train").mean(axis=0)) for one in recordings.values()])
    # A neuron that hardly ever fires does not get to decide alone.
    return means.mean() / means.clamp(min=0.05 * means.mean())


def _by_type(recordings: Mapping[str, Recording]) -> Tensor:
    for session, one in recordings.items():
        if "type" not in one.neurons:
            raise UserError(
                f"session {session} does not say the types of its neurons, which neuron_weights='type' needs: "
                "give its recording neurons={'type': ...} or take another weighting"
            )
    types = np.concatenate([one.neurons["type"].astype(str) for one in recordings.values()])
    _, kind, count = np.unique(types, return_inverse=True, return_counts=True)
    return torch.from_numpy(len(types) / len(count) / count[kind])


_WEIGHTS: dict[str, Any] = {"none": _alike, "rate": _by_rate, "type": _by_type}
