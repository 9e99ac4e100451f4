"""Space-time filters of many neurons, fitted together by penalised Poisson likelihood (Paninski 2004, Network 15:243).

The linear-nonlinear model and the GLM are both this: a filtered stimulus, in the GLM filtered spikes beside it, and an
output nonlinearity. With full filters and an exponential the problem is convex. Otherwise the start matters: it is the
decorrelated spike-triggered average.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from retina_nb.losses import poisson_loss
from retina_nb.models.fitting import Rows, StimulusSpace, filtered, minimized, raised_cosines, stimulus_space
from retina_nb.nonlinearities import nonlinearity
from retina_nb.representations import one_line

# Strengths of the penalty, in nats per spike times training bins: the more bins, the less it weighs. From weak to
# strong, each fit starting from the one before, because a product that was shrunk to nothing does not come back.
_STRENGTHS = (200.0, 800.0, 2000.0, 5000.0)
_FULL_STRENGTHS = (30_000.0, 10_000.0, 3000.0)  # a full filter does, and is found sooner from this side
_ITERATIONS, _FULL_ITERATIONS = 20, 60  # of L-BFGS, for each strength
_BASIS, _FULL_BASIS = 16, 10  # raised cosines in time
_SAMPLE = 20_000  # rows from which correlations in time are estimated
_NO_RATE = -40.0  # logarithm of a rate that is as good as none


@one_line
class Weights(NamedTuple):
    """What is fitted, for each neuron. A full filter has a spatial one for each function of the temporal basis."""

    temporal: Float[Tensor, "neuron rank basis"]
    spatial: Float[Tensor, "neuron rank component"]
    offset: Float[Tensor, " neuron"]
    log_gain: Float[Tensor, " neuron"]
    log_base: Float[Tensor, " neuron"]
    spikes: Float[Tensor, "neuron regressor"]


@one_line
class Filters(NamedTuple):
    """What was fitted: ``rate = gain f(filter * stimulus + spikes * regressors + offset) + base``."""

    temporal: Float[Tensor, "neuron rank history"]
    spatial: Float[Tensor, "neuron rank channel height width"]
    offset: Float[Tensor, " neuron"]
    gain: Float[Tensor, " neuron"]
    base: Float[Tensor, " neuron"]
    spikes: Float[Tensor, "neuron regressor"]


@one_line
@dataclass(frozen=True, eq=False)
class Problem:
    """What to fit, and to what.

    Args:
        rows: stimulus and responses.
        history: bins of the filters, the present included.
        rank: products of a temporal and a spatial filter that make up each neuron's filter; None for any filter.
        nonlinearity: ``"softplus"``, with a gain and a base that are fitted, or ``"exp"``.
        regressors: what drives neurons beside the stimulus.
        connected: 1 for the regressors that may drive a neuron, 0 for the others.
    """

    rows: Rows
    history: int
    rank: int | None
    nonlinearity: str
    regressors: Float[Tensor, "row regressor"]
    connected: Float[Tensor, "neuron regressor"]

    @cached_property
    def space(self) -> StimulusSpace:
        return stimulus_space(self.rows)

    @cached_property
    def basis(self) -> Float[Tensor, "basis history"]:
        return raised_cosines(_BASIS if self.rank else _FULL_BASIS, self.history)

    @cached_property
    def products(self) -> Float[Tensor, "row_out basis_component"]:
        """The components filtered by every function of the basis: the regressors of full filters."""
        made = F.conv1d(self.space.components.T[:, None], self.basis[:, None])  # (component, basis, row_out)
        return made.movedim(-1, 0).mT.flatten(1)

    @property
    def free(self) -> list[str]:
        """Names of the weights that are fitted."""
        bent = ["log_gain", "log_base"] if self.nonlinearity == "softplus" else []
        return ["spatial", "offset", "spikes", *bent, *(["temporal"] if self.rank else [])]


def fit_filters(problem: Problem) -> Filters:
    """The weights of the largest penalised likelihood; validation bins choose how strongly each neuron is penalised.

    Raises:
        UserError: if the stimulus does not vary.
    """
    space = problem.space
    weights = _best_on_path(_start(problem), problem)
    temporal, spatial = weights.temporal @ problem.basis, weights.spatial @ space.pixels
    offset = weights.offset - (temporal.sum(dim=2) * (spatial @ space.mean)).sum(dim=1)
    gain, base = weights.log_gain.exp(), weights.log_base.exp()
    return Filters(temporal, spatial.unflatten(2, space.frame), offset, gain, base, weights.spikes * problem.connected)


def _drive(weights: Weights, problem: Problem) -> Float[Tensor, "row_out neuron"]:
    """The filtered stimulus in all rows but the first, which have no history."""
    if problem.rank is None:
        return problem.products @ weights.spatial.flatten(1).T
    traces = problem.space.components @ weights.spatial.flatten(0, 1).T
    return filtered(traces, weights.temporal @ problem.basis)


def _start(problem: Problem) -> Weights:
    """Filters from the spike-triggered average, scaled to drives of the same variance for all neurons."""
    temporal, spatial = _products(_decorrelated_average(problem), problem.rank)
    log_mean = problem.rows.mean_response.log()
    nothing = torch.zeros_like(log_mean)
    if problem.nonlinearity == "softplus":
        spread, offset, log_gain, log_base = 1.0, nothing, log_mean, log_mean - 4
    else:
        spread, offset, log_gain, log_base = 0.5, log_mean, nothing, nothing + _NO_RATE
    weights = Weights(temporal, spatial, offset, log_gain, log_base, torch.zeros_like(problem.connected))
    spatial = spatial * (spread / (_drive(weights, problem).std(dim=0) + 1e-12))[:, None, None]
    if problem.rank is None:
        return weights._replace(spatial=spatial)
    balance = ((spatial @ problem.space.pixels).norm(dim=2, keepdim=True) + 1e-12).sqrt()
    return weights._replace(temporal=temporal * balance, spatial=spatial / balance)


def _products(filters: Float[Tensor, "neuron component basis"], rank: int | None) -> tuple[Tensor, Tensor]:
    """Temporal and spatial filters whose products add up to the best approximation of this rank."""
    u, size, v = torch.linalg.svd(filters, full_matrices=False)
    spatial = (u * size[:, None]).mT
    if rank is None:  # as smooth as one product is, since where it is strongest tells where the neuron looks
        return torch.eye(filters.shape[2]).expand(len(filters), -1, -1), v[:, 0, :, None] * spatial[:, :1]
    return v[:, :rank], spatial[:, :rank]


def _decorrelated_average(problem: Problem) -> Float[Tensor, "neuron component basis"]:
    """The spike-triggered average, freed of the stimulus's correlations in time; its components have none in space."""
    rows, components, basis = problem.rows, problem.space.components, problem.basis
    response = (rows.responses - rows.mean_response) * rows.train[:, None]
    response = F.pad(response, (0, 0, 0, problem.history - 1))
    following = response.unfold(0, len(components), 1).flip(0)  # (history, neuron, row)
    average = torch.einsum("knt,tc->nck", following, components)
    some, lags = components[:_SAMPLE], torch.arange(problem.history)
    correlation = torch.stack([(some[k:] * some[: len(some) - k]).mean() for k in lags])
    variance, directions = torch.linalg.eigh(basis @ correlation[(lags[:, None] - lags).abs()] @ basis.T)
    return average @ basis.T @ (directions / (variance.clamp(min=0) + 10 * variance.mean()) @ directions.T)


def _best_on_path(weights: Weights, problem: Problem) -> Weights:
    """Change the penalty step by step and keep, for each neuron, what predicts its validation bins best."""
    kept, kept_loss = weights, torch.full_like(weights.offset, torch.inf)
    for strength in _STRENGTHS if problem.rank else _FULL_STRENGTHS:
        weights = _calibrated(_penalized(weights, strength, problem), problem)
        loss = _loss(_drive(weights, problem), weights, problem, problem.rows.validation)
        better = loss < kept_loss
        kept_loss = torch.where(better, loss, kept_loss)
        kept = Weights(*(torch.where(_beside(new, better), new, old) for new, old in zip(weights, kept, strict=True)))
    return kept


def _beside(values: Tensor, per_neuron: Tensor) -> Tensor:
    return per_neuron.reshape(-1, *[1] * (values.ndim - 1))


def _penalized(start: Weights, strength: float, problem: Problem) -> Weights:
    """Filters and nonlinearity together, under a penalty."""
    envelope = _envelope(start, problem.space)

    def loss(**free: Tensor) -> Tensor:
        weights = start._replace(**free)
        penalty = strength * problem.rows.train.max() * _penalty(weights, start, problem.space, envelope)
        return _loss(_drive(weights, problem), weights, problem, problem.rows.train) + penalty

    iterations = _ITERATIONS if problem.rank else _FULL_ITERATIONS
    return start._replace(**minimized(loss, {name: getattr(start, name) for name in problem.free}, iterations))


def _calibrated(weights: Weights, problem: Problem) -> Weights:
    """The same filters up to their scale, with the nonlinearity that fits best: the penalty bends it towards an
    exponential, which needs the least drive.
    """
    drive, filters = _drive(weights, problem), ("temporal", "spatial", "spikes")

    def loss(log_scale: Tensor, **free: Tensor) -> Tensor:
        return _loss(drive * log_scale.exp(), weights._replace(**free), problem, problem.rows.train)

    start = {name: getattr(weights, name) for name in problem.free if name not in filters}
    found = minimized(loss, {"log_scale": torch.zeros_like(weights.offset), **start}, _ITERATIONS)
    scale = found.pop("log_scale").exp()[:, None, None]
    if problem.rank is None:
        return weights._replace(**found, spatial=weights.spatial * scale)
    return weights._replace(**found, temporal=weights.temporal * scale)


def _loss(drive: Tensor, weights: Weights, problem: Problem, counted: Tensor) -> Float[Tensor, " neuron"]:
    """Nats per spike in the bins that are counted."""
    rows = slice(len(counted) - len(drive), None)
    drive = drive + problem.regressors[rows] @ (weights.spikes * problem.connected).T + weights.offset
    rate = weights.log_gain.exp() * nonlinearity(problem.nonlinearity)(drive) + weights.log_base.exp()
    return counted[rows] @ poisson_loss(rate, problem.rows.responses[rows]) / problem.rows.mean_response


def _penalty(weights: Weights, start: Weights, space: StimulusSpace, envelope: Tensor) -> Float[Tensor, " neuron"]:
    """Roughness and extent of spatial filters, size of temporal ones, and how far the nonlinearity has moved.

    For a given product of two filters the sum of their squares is least, twice the product of their norms, where they
    are balanced: what is penalised is the size of the product, as in the nuclear norm. Without the last term, filters
    could shrink while the gain grows.
    """
    maps = (weights.spatial @ space.pixels).unflatten(2, space.frame)
    rough = _sum(maps.diff(dim=-1).square()) + _sum(maps.diff(dim=-2).square())
    extent = _sum(envelope[:, None, None] * maps.square())
    moved = (weights.log_gain - start.log_gain).square() + (weights.log_base - start.log_base).square()
    others = _sum(weights.temporal.square()) + 0.1 * moved + 0.03 * _sum(weights.spikes.square())
    return (space.reach / 4) ** 2 * rough + extent + others


def _sum(values: Float[Tensor, "neuron ..."]) -> Float[Tensor, " neuron"]:
    return values.flatten(1).sum(dim=1)


def _envelope(weights: Weights, space: StimulusSpace) -> Float[Tensor, "neuron height width"]:
    """What a pixel's weight costs: it grows with the squared distance from where the filter is strongest."""
    power = (weights.spatial @ space.pixels).square().unflatten(2, space.frame).sum(dim=(1, 2))
    smooth = F.avg_pool2d(power, 3, stride=1, padding=1, count_include_pad=False)
    _, height, width = space.frame
    peak_y, peak_x = (at[:, None, None] for at in torch.unravel_index(smooth.flatten(1).argmax(dim=1), (height, width)))
    squared_distance = (torch.arange(height)[:, None] - peak_y) ** 2 + (torch.arange(width) - peak_x) ** 2
    return 0.1 + squared_distance / space.reach**2
