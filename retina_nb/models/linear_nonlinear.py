"""The linear-nonlinear baseline: a filter and an output nonlinearity for each neuron, fitted in seconds.

What a network must beat. Each neuron's filter is a product of a smooth, local one in space and one in time. Filter
and nonlinearity maximise the penalised Poisson likelihood together (Paninski 2004, Network 15:243), starting from the
decorrelated spike-triggered average. The neurons of all sessions that saw the same frames are fitted at once.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple, cast

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from retina_nb.errors import UserError, unknown
from retina_nb.losses import poisson_loss
from retina_nb.recording import Recording, sessions_that_share

# Strengths of the penalty, in nats per spike times training bins: the more bins, the less it weighs. From weak to
# strong, each fit starting from the one before, because a filter that was shrunk to nothing does not come back.
_STRENGTHS = (200.0, 800.0, 2000.0, 5000.0)
_ITERATIONS = 20  # of L-BFGS, for each strength
_FLAT = 0.01  # largest derivative of the loss, in nats per spike, at which it counts as minimal
_BASIS = 16  # raised cosines in time
_REACH_UM = 150.0  # the scale in space at which filters are expected to be smooth and local
_EXPLAINED = 0.98  # variance of the stimulus in the principal components that are kept
_BLOCK = 10_000  # bins of the stimulus that are looked at together


class LinearNonlinear(nn.Module):
    """Linear-nonlinear model of one session's neurons: ``rate = gain softplus(filter * stimulus + offset) + base``.

    Args:
        temporal: filter over the bins before an output, in order of time: the last is the output's own.
        spatial: filter over channels and pixels.
        offset: of the filtered stimulus.
        gain, base: in units of the response.
    """

    def __init__(
        self,
        temporal: Float[Tensor, "neuron history"],
        spatial: Float[Tensor, "neuron channel height width"],
        offset: Float[Tensor, " neuron"],
        gain: Float[Tensor, " neuron"],
        base: Float[Tensor, " neuron"],
    ) -> None:
        super().__init__()
        self.temporal, self.spatial = nn.Parameter(temporal), nn.Parameter(spatial)
        self.offset, self.gain, self.base = nn.Parameter(offset), nn.Parameter(gain), nn.Parameter(base)

    @property
    def lag(self) -> int:
        """Bins of history before the first output."""
        return self.temporal.shape[-1] - 1

    @property
    def filters(self) -> Float[Tensor, "neuron channel history height width"]:
        """Each neuron's filter over the ``lag + 1`` bins up to its output, in order of time."""
        return torch.einsum("nk,nchw->nckhw", self.temporal, self.spatial)

    def forward(
        self, stimulus: Float[Tensor, "batch channel time height width"], session: str | None = None
    ) -> Float[Tensor, "batch time_out neuron"]:
        """Rates; ``time_out = time - lag``. There is one session, whatever its name.

        Raises:
            UserError: if the stimulus does not fit the filters or is too short for them.
        """
        found, wanted = tuple(stimulus.shape[1:2] + stimulus.shape[3:]), tuple(self.spatial.shape[1:])
        if found != wanted:
            raise UserError(f"the filters take stimuli of (channel, height, width) {wanted}, this one has {found}")
        if stimulus.shape[2] <= self.lag:
            raise UserError(f"the filters need more than {self.lag} bins of stimulus, this one has {stimulus.shape[2]}")
        traces = stimulus.movedim(2, 1).flatten(2) @ self.spatial.flatten(1).T
        return self.gain * F.softplus(_filtered(traces, self.temporal) + self.offset) + self.base


class LinearNonlinearBaseline(nn.Module):
    """A `LinearNonlinear` for each session.

    Raises:
        UserError: if a session's name is empty or holds a dot.
    """

    def __init__(self, models: Mapping[str, LinearNonlinear]) -> None:
        super().__init__()
        for session in models:
            if not session or "." in session:
                raise UserError(f"a session's name must not be empty or hold a dot, rename {session!r}")
        self.models = nn.ModuleDict(models)

    @property
    def sessions(self) -> list[str]:
        """The sessions' names, sorted."""
        return sorted(self.models)

    @property
    def lag(self) -> int:
        """Bins of history before the first output."""
        return self[self.sessions[0]].lag

    def __getitem__(self, session: str) -> LinearNonlinear:
        if session not in self.models:
            raise unknown("session", session, self.models)
        return cast(LinearNonlinear, self.models[session])

    def forward(
        self, stimulus: Float[Tensor, "batch channel time height width"], session: str | None = None
    ) -> Float[Tensor, "batch time_out neuron"]:
        """Rates of a session's neurons; of all sessions' in sorted order if None. ``time_out = time - lag``."""
        if session is not None:
            return self[session](stimulus)
        return torch.cat([self[name](stimulus) for name in self.sessions], dim=-1)


def fit_linear_nonlinear(recordings: Mapping[str, Recording], *, history: float = 0.7) -> LinearNonlinearBaseline:
    """Fit the baseline to the training bins; the validation bins choose how strongly each neuron is penalised.

    A bin counts if all its history lies in its own presentation. The same recordings give the same fit.

    Args:
        recordings: sessions by name, all at one rate.
        history: how far the filters reach back (s).

    Raises:
        UserError: if the rates differ, or a session has no training or no validation bins with enough history, or
            saw nothing that varies.
    """
    rates = {recording.rate for recording in recordings.values()}
    if len(rates) != 1:
        raise UserError(f"the sessions of one baseline must have one rate, not {sorted(rates)} Hz")
    lag = max(1, round(history * rates.pop()))
    models: dict[str, LinearNonlinear] = {}
    for names in sessions_that_share(recordings):
        members = [recordings[name] for name in names]
        parts = zip(*(weight.split([r.n_neurons for r in members]) for weight in _fit(members, lag)), strict=True)
        models |= {name: LinearNonlinear(*map(torch.clone, part)) for name, part in zip(names, parts, strict=True)}
    return LinearNonlinearBaseline(models)


@dataclass(frozen=True)
class _Data:
    """What sessions that saw the same frames give to the fit. Rows are the bins that are needed, in order of time."""

    components: Float[Tensor, "row component"]  # of the stimulus, uncorrelated
    pixels: Float[Tensor, "component pixel"]  # takes a filter over components to one over pixels
    mean: Float[Tensor, " pixel"]
    responses: Float[Tensor, "row neuron"]
    train: Float[Tensor, " row"]  # 1 / number of training bins in these, 0 elsewhere
    validation: Float[Tensor, " row"]
    frame: tuple[int, int, int]  # (channel, height, width)
    reach: float  # pixels

    @property
    def mean_response(self) -> Float[Tensor, " neuron"]:
        return (self.train @ self.responses).clamp(min=1e-6)


class _Weights(NamedTuple):
    """What is fitted, for each neuron."""

    temporal: Float[Tensor, "neuron basis"]
    spatial: Float[Tensor, "neuron component"]
    offset: Float[Tensor, " neuron"]
    log_gain: Float[Tensor, " neuron"]
    log_base: Float[Tensor, " neuron"]


def _fit(recordings: Sequence[Recording], lag: int) -> tuple[Tensor, ...]:
    """What makes one `LinearNonlinear` of the neurons of all these sessions."""
    data, basis = _data(recordings, lag), _raised_cosines(lag)
    with torch.enable_grad():
        weights = _best_on_path(_start(data, basis), data, basis)
    temporal, spatial = weights.temporal @ basis, weights.spatial @ data.pixels
    offset = weights.offset - temporal.sum(dim=1) * (spatial @ data.mean)
    return temporal, spatial.unflatten(1, data.frame), offset, weights.log_gain.exp(), weights.log_base.exp()


def _data(recordings: Sequence[Recording], lag: int) -> _Data:
    first = recordings[0]
    bins = np.arange(len(first))
    history = bins - first.onsets[np.searchsorted(first.onsets, bins, side="right") - 1]
    counts = {split: (first.split == split) & (history >= lag) for split in ("train", "validation")}
    for split, counted in counts.items():
        if not counted.any():
            raise UserError(f"session {first.session} has no {split} bin with {lag} bins of history; label more bins")
    counted_later = np.convolve(counts["train"] | counts["validation"], np.ones(lag + 1))[lag:]
    needed = np.flatnonzero(counted_later)
    mean, to_components = _principal_components(first, needed)
    _, height, width = first.movie.frame_shape
    return _Data(
        components=torch.cat([(block - mean) @ to_components for block in _blocks(first, needed)]),
        pixels=to_components.T.contiguous(),
        mean=mean,
        responses=torch.from_numpy(np.concatenate([r.responses[needed] for r in recordings], axis=1)),
        **{split: torch.from_numpy(counted[needed] / counted.sum()).float() for split, counted in counts.items()},
        frame=first.movie.frame_shape,
        reach=_REACH_UM / first.pixel_um if np.isfinite(first.pixel_um) else max(height, width) / 6,
    )


def _blocks(recording: Recording, bins: np.ndarray) -> Iterator[Float[Tensor, "row pixel"]]:
    for start in range(0, len(bins), _BLOCK):
        stimulus = torch.from_numpy(recording.stimulus_at(bins[start : start + _BLOCK]))
        yield stimulus.movedim(1, 0).flatten(1)


def _principal_components(recording: Recording, bins: np.ndarray) -> tuple[Tensor, Tensor]:
    """Mean frame (pixel,), and the leading components of the rest (pixel, component), strong ones scaled down.

    With components of about equal variance, L-BFGS needs few iterations. Weak ones stay weak, because they are
    ruled by the penalty, not by the responses.
    """
    every = -(-len(bins) // (2 * _BLOCK))
    sample = torch.cat(list(_blocks(recording, bins[::every])))
    mean = sample.mean(dim=0)
    covariance = (sample - mean).T @ (sample - mean) / len(sample)
    variance, directions = (values.flip(-1) for values in torch.linalg.eigh(covariance))
    if variance[0] <= 1e-10:
        raise UserError(f"session {recording.session}: the stimulus of the training bins does not vary")
    kept = int((variance.cumsum(0) < _EXPLAINED * variance.sum()).sum()) + 1
    return mean, directions[:, :kept] / (variance[:kept] + variance.mean()).sqrt()


def _raised_cosines(lag: int) -> Float[Tensor, "basis history"]:
    """Orthonormal functions of the bins up to an output, finer close to it (Pillow et al. 2008)."""
    before = np.log(np.arange(lag, -1, -1) + 10)
    centers, step = np.linspace(before[-1], before[0], min(_BASIS, lag + 1), retstep=True)
    bumps = 1 + np.cos(np.pi * np.clip((before[:, None] - centers) / (2 * step), -1, 1))
    return torch.from_numpy(np.linalg.qr(bumps)[0].T.astype(np.float32))


def _filtered(
    traces: Float[Tensor, "*batch time neuron"], temporal: Float[Tensor, "neuron history"]
) -> Float[Tensor, "*batch time_out neuron"]:
    """Every neuron's trace by its own temporal filter; ``time_out = time - history + 1``."""
    return F.conv1d(traces.mT, temporal[:, None], groups=len(temporal)).mT


def _drive(weights: _Weights, data: _Data, basis: Tensor) -> Float[Tensor, "row_out neuron"]:
    """The filtered stimulus in all rows but the first, which have no history."""
    return _filtered(data.components @ weights.spatial.T, weights.temporal @ basis)


def _start(data: _Data, basis: Tensor) -> _Weights:
    """The leading product of space and time in the spike-triggered average, decorrelated, at unit variance."""
    history = basis.shape[1]
    mean = data.mean_response
    response = F.pad((data.responses - mean) * data.train[:, None], (0, 0, 0, history - 1))
    following = response.unfold(0, len(data.responses), 1).flip(0)  # (history, neuron, row)
    average = torch.einsum("knt,tc->nck", following, data.components)
    some = data.components[: 2 * _BLOCK]
    correlation = torch.stack([(some[k:] * some[: len(some) - k]).mean() for k in range(history)])
    distance = (torch.arange(history)[:, None] - torch.arange(history)).abs()
    variance, directions = torch.linalg.eigh(basis @ correlation[distance] @ basis.T)
    decorrelate = directions / (variance.clamp(min=0) + 10 * variance.mean()) @ directions.T
    u, size, v = torch.linalg.svd(average @ basis.T @ decorrelate, full_matrices=False)
    spatial = u[..., 0] * size[:, :1]
    nothing, log_mean = torch.zeros_like(mean), mean.log()
    weights = _Weights(v[:, 0], spatial, nothing, log_mean, log_mean - 4)
    spatial = spatial / (_drive(weights, data, basis).std(dim=0)[:, None] + 1e-12)
    balance = ((spatial @ data.pixels).norm(dim=1, keepdim=True) + 1e-12).sqrt()
    return weights._replace(temporal=v[:, 0] * balance, spatial=spatial / balance)


def _best_on_path(weights: _Weights, data: _Data, basis: Tensor) -> _Weights:
    """Strengthen the penalty step by step and keep, for each neuron, what predicts its validation bins best."""
    kept, kept_loss = weights, torch.full_like(data.mean_response, torch.inf)
    for strength in _STRENGTHS:
        weights = _calibrated(_penalized(weights, strength, data, basis), data, basis)
        with torch.no_grad():
            loss = _loss(_drive(weights, data, basis), weights, data, data.validation)
        better = loss < kept_loss
        kept_loss = torch.where(better, loss, kept_loss)
        kept = _Weights(*(torch.where(_beside(new, better), new, old) for new, old in zip(weights, kept, strict=True)))
    return kept


def _beside(values: Tensor, per_neuron: Tensor) -> Tensor:
    return per_neuron.reshape(-1, *[1] * (values.ndim - 1))


def _penalized(start: _Weights, strength: float, data: _Data, basis: Tensor) -> _Weights:
    """Filters and nonlinearity together, under a penalty."""
    envelope = _envelope(start, data)

    def loss(*parameters: Tensor) -> Tensor:
        weights = _Weights(*parameters)
        penalty = strength * data.train.max() * _penalty(weights, start, data, envelope)
        return _loss(_drive(weights, data, basis), weights, data, data.train) + penalty

    return _Weights(*_minimized(loss, start))


def _calibrated(weights: _Weights, data: _Data, basis: Tensor) -> _Weights:
    """The same filters up to their scale, with the nonlinearity that fits best: the penalty bends it towards an
    exponential, which needs the least drive.
    """
    with torch.no_grad():
        drive = _drive(weights, data, basis)

    def loss(log_scale: Tensor, *nonlinearity: Tensor) -> Tensor:
        return _loss(drive * log_scale.exp(), _Weights(*weights[:2], *nonlinearity), data, data.train)

    log_scale, *nonlinearity = _minimized(loss, (torch.zeros_like(weights.offset), *weights[2:]))
    return _Weights(weights.temporal * log_scale.exp()[:, None], weights.spatial, *nonlinearity)


def _loss(drive: Tensor, weights: _Weights, data: _Data, counted: Tensor) -> Float[Tensor, " neuron"]:
    """Nats per spike in the bins that are counted."""
    rows = slice(len(data.responses) - len(drive), None)
    rate = weights.log_gain.exp() * F.softplus(drive + weights.offset) + weights.log_base.exp()
    return counted[rows] @ poisson_loss(rate, data.responses[rows]) / data.mean_response


def _minimized(loss: Callable[..., Float[Tensor, " neuron"]], start: Sequence[Tensor]) -> list[Tensor]:
    """The arguments of a loss where it is least, summed over neurons."""
    found = [weight.clone(memory_format=torch.contiguous_format).requires_grad_() for weight in start]
    optimizer = torch.optim.LBFGS(
        found, max_iter=_ITERATIONS, tolerance_grad=_FLAT, tolerance_change=0, line_search_fn="strong_wolfe"
    )

    def total() -> Tensor:
        optimizer.zero_grad()
        value = loss(*found).sum()
        value.backward()
        return value

    optimizer.step(total)
    return [weight.detach() for weight in found]


def _penalty(weights: _Weights, start: _Weights, data: _Data, envelope: Tensor) -> Float[Tensor, " neuron"]:
    """Roughness and extent of the spatial filter, size of the temporal one, and how far the nonlinearity has moved.

    For a given product of two filters the sum of their squares is least, twice the product of their norms, where they
    are balanced: what is penalised is the size of the product, as in the nuclear norm. Without the last term, filters
    could shrink while the gain grows.
    """
    maps = (weights.spatial @ data.pixels).unflatten(1, data.frame)
    rough = _sum(maps.diff(dim=-1).square()) + _sum(maps.diff(dim=-2).square())
    extent = _sum(envelope[:, None] * maps.square())
    moved = (weights.log_gain - start.log_gain).square() + (weights.log_base - start.log_base).square()
    return (data.reach / 4) ** 2 * rough + extent + _sum(weights.temporal.square()) + 0.1 * moved


def _sum(values: Float[Tensor, "neuron ..."]) -> Float[Tensor, " neuron"]:
    return values.flatten(1).sum(dim=1)


@torch.no_grad()
def _envelope(weights: _Weights, data: _Data) -> Float[Tensor, "neuron height width"]:
    """What a pixel's weight costs: it grows with the squared distance from where the filter is strongest."""
    power = (weights.spatial @ data.pixels).square().unflatten(1, data.frame).sum(dim=1)
    smooth = F.avg_pool2d(power, 3, stride=1, padding=1, count_include_pad=False)
    _, height, width = data.frame
    peak_y, peak_x = (at[:, None, None] for at in torch.unravel_index(smooth.flatten(1).argmax(dim=1), (height, width)))
    squared_distance = (torch.arange(height)[:, None] - peak_y) ** 2 + (torch.arange(width) - peak_x) ** 2
    return 0.1 + squared_distance / data.reach**2
