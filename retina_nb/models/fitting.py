"""What the fits of single-cell models share: the bins that count, bases in time and a minimiser."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from retina_nb.errors import UserError
from retina_nb.recording import Recording
from retina_nb.representations import one_line

_BLOCK = 10_000  # bins of the stimulus that are looked at together
_SAMPLE = 20_000  # bins from which the stimulus's covariance is estimated
_EXPLAINED = 0.98  # variance of the stimulus in the principal components that are kept
_REACH_UM = 150.0  # the scale in space at which filters are expected to be smooth and local
_FLAT = 0.01  # largest derivative of a loss, in nats per spike, at which it counts as minimal


@one_line
@dataclass(frozen=True, eq=False)
class Rows:
    """The bins that a fit needs of sessions that saw the same frames: those that count, and their history.

    Args:
        recording: one of the sessions, for its stimulus.
        bins: the recording's bins that the rows are, in order of time.
        responses: of the neurons of all sessions.
        train, validation: 1 / number of bins in those that count, 0 elsewhere.
    """

    recording: Recording
    bins: np.ndarray
    responses: Float[Tensor, "row neuron"]
    train: Float[Tensor, " row"]
    validation: Float[Tensor, " row"]

    @cached_property
    def mean_response(self) -> Float[Tensor, " neuron"]:
        """Mean over training bins; a little more than nothing for silent neurons."""
        return (self.train @ self.responses).clamp(min=1e-6)

    def frames(self, every: int = 1) -> Iterator[Float[Tensor, "row pixel"]]:
        """What was on screen in the rows, some at a time; the pixels of all channels in one axis."""
        bins = self.bins[::every]
        for start in range(0, len(bins), _BLOCK):
            stimulus = torch.from_numpy(self.recording.stimulus_at(bins[start : start + _BLOCK]))
            yield stimulus.movedim(1, 0).flatten(1)

    def stimuli(self, history: int) -> Iterator[Float[Tensor, "1 channel time height width"]]:
        """What was on screen, some rows at a time, each with its history: models give all rows but the first ones."""
        for start in range(history, len(self.bins), _BLOCK):
            yield torch.from_numpy(self.recording.stimulus_at(self.bins[start - history : start + _BLOCK]))[None]


def needed_rows(recordings: Sequence[Recording], history: int) -> Rows:
    """The training and validation bins that have so many bins of history in their own presentation, and that history.

    Args:
        recordings: sessions that saw the same frames.
        history: bins before the present.

    Raises:
        UserError: if there are no such bins.
    """
    first = recordings[0]
    counts = {split: (first.split == split) & (first.history >= history) for split in ("train", "validation")}
    for split, counted in counts.items():
        if not counted.any():
            raise UserError(
                f"session {first.session} has no {split} bin with {history} bins of history; label more bins"
            )
    needed = np.flatnonzero(np.convolve(counts["train"] | counts["validation"], np.ones(history + 1))[history:])
    return Rows(
        recording=first,
        bins=needed,
        responses=torch.from_numpy(np.concatenate([r.responses[needed] for r in recordings], axis=1)),
        **{split: torch.from_numpy(counted[needed] / counted.sum()).float() for split, counted in counts.items()},
    )


@one_line
@dataclass(frozen=True, eq=False)
class StimulusSpace:
    """The stimulus in uncorrelated numbers of about equal variance.

    Args:
        components: the stimulus in the rows.
        pixels: takes a filter over components to one over pixels.
        mean: the mean frame.
        frame: (channel, height, width).
        reach: the scale in space at which filters are expected to be smooth and local (pixels).
    """

    components: Float[Tensor, "row component"]
    pixels: Float[Tensor, "component pixel"]
    mean: Float[Tensor, " pixel"]
    frame: tuple[int, int, int]
    reach: float


def stimulus_space(rows: Rows) -> StimulusSpace:
    """The leading principal components of the stimulus, strong ones scaled down.

    With components of about equal variance, L-BFGS needs few iterations. Weak ones stay weak, because they are
    ruled by the penalty, not by the responses.

    Raises:
        UserError: if the stimulus does not vary.
    """
    recording = rows.recording
    sample = torch.cat(list(rows.frames(every=-(-len(rows.bins) // _SAMPLE))))
    mean = sample.mean(dim=0)
    covariance = (sample - mean).T @ (sample - mean) / len(sample)
    variance, directions = (values.flip(-1) for values in torch.linalg.eigh(covariance))
    if variance[0] <= 1e-10:
        raise UserError(f"session {recording.session}: the stimulus of the training bins does not vary")
    kept = int((variance.cumsum(0) < _EXPLAINED * variance.sum()).sum()) + 1
    to_components = directions[:, :kept] / (variance[:kept] + variance.mean()).sqrt()
    _, height, width = recording.movie.frame_shape
    return StimulusSpace(
        components=torch.cat([(block - mean) @ to_components for block in rows.frames()]),
        pixels=to_components.T.contiguous(),
        mean=mean,
        frame=recording.movie.frame_shape,
        reach=_REACH_UM / recording.pixel_um if np.isfinite(recording.pixel_um) else max(height, width) / 6,
    )


def bins_of(recordings: Mapping[str, Recording], seconds: float) -> int:
    """A time in bins of the sessions' one rate, at least one.

    Raises:
        UserError: if there are no sessions or their rates differ.
    """
    rates = {recording.rate for recording in recordings.values()}
    if len(rates) != 1:
        raise UserError(f"sessions that are fitted together must have one rate, not {sorted(rates)} Hz")
    return max(1, round(seconds * rates.pop()))


def raised_cosines(count: int, bins: int, offset: float = 10.0) -> Float[Tensor, "basis {bins}"]:
    """Orthonormal functions of the last bins that span raised cosines of the logarithm of time (Pillow et al. 2008).

    Args:
        count: number of functions; there are not more than bins.
        bins: how far they reach back. The last is the most recent.
        offset: bins added before the logarithm: the fewer, the finer they are close to the present.
    """
    before = np.log(np.arange(bins - 1, -1, -1) + offset)
    centers, step = np.linspace(before[-1], before[0], min(count, bins), retstep=True)
    if len(centers) == 1:
        return torch.full((1, bins), bins**-0.5)
    bumps = 1 + np.cos(np.pi * np.clip((before[:, None] - centers) / (2 * step), -1, 1))
    return torch.from_numpy(np.linalg.qr(bumps)[0].T.astype(np.float32))


def filtered(
    traces: Float[Tensor, "*batch time trace"], temporal: Float[Tensor, "neuron rank history"]
) -> Float[Tensor, "*batch time_out neuron"]:
    """Each neuron's ``rank`` traces, which lie side by side, by its temporal filters and summed.

    ``time_out = time - history + 1``.
    """
    return F.conv1d(traces.mT, temporal, groups=len(temporal)).mT


def minimized(loss: Callable[..., Tensor], start: Mapping[str, Tensor], iterations: int) -> dict[str, Tensor]:
    """The arguments of a loss where it is least, by L-BFGS.

    Args:
        loss: called with the arguments by name; a number for each neuron, of which the sum is minimised.
        start: where to start.
        iterations: at most so many.
    """
    found = {name: value.clone(memory_format=torch.contiguous_format).requires_grad_() for name, value in start.items()}
    optimizer = torch.optim.LBFGS(
        found.values(), max_iter=iterations, tolerance_grad=_FLAT, tolerance_change=0, line_search_fn="strong_wolfe"
    )

    def total() -> Tensor:
        optimizer.zero_grad()
        value = loss(**found).sum()
        if not torch.isfinite(value):  # an exponential overflows where a step is too long; the search comes back
            for weight in found.values():
                weight.grad = torch.zeros_like(weight)
            return torch.tensor(1e30)
        value.backward()
        return value

    with torch.enable_grad():
        optimizer.step(total)
    return {name: value.detach() for name, value in found.items()}
