"""Where sessions saw the same frames for so long that one pass of a core serves them all, and how to cut it up."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from jaxtyping import Bool, Int

# A second length of chunks is worth its own batches if it saves more of the frames than this.
_WORTH = 0.05
_MOST_LENGTHS = 50


@dataclass(frozen=True)
class Runs:
    """Stretches of bins in which everything a causal model knows is the same for all that take part.

    Args:
        starts: (run, timeline) the bin at which each run starts in each timeline; -1 where it does not take part.
        lengths: (run,) bins.
    """

    starts: Int[np.ndarray, "run timeline"]
    lengths: Int[np.ndarray, " run"]

    def cut(self, sizes: Sequence[int]) -> tuple["Runs", Int[np.ndarray, " piece"]]:
        """The runs in pieces of the longer of two sizes and a rest, and the size that holds each piece."""
        size = max(sizes)
        number = -(-self.lengths // size)
        run = np.arange(len(number)).repeat(number)
        offset = size * (np.arange(len(run)) - (number.cumsum() - number).repeat(number))
        lengths = np.minimum(size, self.lengths[run] - offset)
        starts = self.starts[run]
        pieces = Runs(np.where(starts < 0, -1, starts + offset[:, None]), lengths)
        return pieces, np.where(lengths <= min(sizes), min(sizes), size)


def shared_runs(
    frames: Sequence[Int[np.ndarray, " _"]], presentations: Sequence[Int[np.ndarray, " _"]], lag: int
) -> Runs:
    """Runs of bins that count, and that the same timelines share frame by frame with `lag` bins before.

    Every bin that counts is in exactly one run. A timeline that shows something twice takes part in a run for each
    time. What is shared for so short that the history of more pieces would need more frames is left to each timeline.

    Args:
        frames: for each timeline, the frame on screen in every bin.
        presentations: for each timeline, the presentation of every bin that counts, which has `lag` bins before it;
            -1 where a bin does not count.
        lag: bins of history that have to be the same too.
    """
    timeline = np.repeat(np.arange(len(frames)), [len(one) for one in frames])
    bins = np.concatenate([np.arange(len(one)) for one in frames])
    presentation = np.concatenate(presentations)
    used = np.flatnonzero(presentation >= 0)
    window, timeline = _windows(np.concatenate(frames), lag + 1)[used], timeline[used]
    # Whether the next bin that counts is the next one of the same presentation.
    follows = (np.diff(used) == 1) & (np.diff(timeline) == 0) & (np.diff(presentation[used]) == 0)
    follows = np.append(follows, False)
    repeat = pd.DataFrame({"window": window, "timeline": timeline}).groupby(["window", "timeline"]).cumcount()
    kind = pd.factorize(window * len(window) + repeat.to_numpy())[0]
    run = _runs(kind, follows)
    kind = np.where(_saves_frames(run, follows, lag)[run], kind, len(kind) + np.arange(len(kind)))
    run = _runs(pd.factorize(kind)[0], follows)
    begins = _begins(run, follows)
    starts = np.full((run.max() + 1, len(frames)), -1)
    starts[run[begins], timeline[begins]] = bins[used[begins]]
    return Runs(starts, np.bincount(run) // np.bincount(run[begins]))


def best_sizes(lengths: Int[np.ndarray, " run"], most: int, lag: int) -> tuple[int, int]:
    """The two sizes of chunks, of at most so many bins, in which runs of these lengths need the fewest frames.

    A chunk needs `lag` frames more than it has bins. The two are the same where a second one saves next to nothing.
    """
    length, number = np.unique(lengths, return_counts=True)
    even = np.unique(-(-length // -(-length // most)))
    if len(even) > _MOST_LENGTHS:
        even = even[np.linspace(0, len(even) - 1, _MOST_LENGTHS).astype(int)]
    long, short = even[:, None, None], even[None, :, None]
    rest = length % long
    last = np.where(rest == 0, 0, np.where(rest <= short, short, long) + lag)
    frames = ((length // long * (long + lag) + last) * number).sum(axis=-1)
    frames = np.where(even[None] <= even[:, None], frames, frames.max() + 1)
    best = np.unravel_index(frames.argmin(), frames.shape)
    alone = frames.diagonal().argmin()
    if frames[best] > (1 - _WORTH) * frames[alone, alone]:
        best = (alone, alone)
    return int(even[best[0]]), int(even[best[1]])


def _windows(frames: Int[np.ndarray, " time"], length: int) -> Int[np.ndarray, " time"]:
    """A number for the frames up to and with each bin, equal where so many of them are equal.

    Those before the first bin are taken from the end.
    """
    numbers, size = pd.factorize(frames)[0].astype(np.int64), 1
    while size < length:
        step = min(size, length - size)
        numbers = pd.factorize(numbers * len(numbers) + np.roll(numbers, step))[0].astype(np.int64)
        size += step
    return numbers


def _runs(kind: Int[np.ndarray, " bin"], follows: Bool[np.ndarray, " bin"]) -> Int[np.ndarray, " bin"]:
    """The run of each bin, given which are of a kind (at most one of each timeline) and which the next one follows."""
    first, sharing = np.unique(kind, return_index=True)[1], np.bincount(kind)
    after = np.where(follows, np.append(kind[1:], -1), -1)
    # A run goes on where all that share a bin go on to the same next one, and nobody else joins.
    alike = np.bincount(kind, weights=follows & (after == after[first][kind]))
    goes_on = (alike == sharing) & (sharing[after[first]] == sharing)
    heads = np.sort(first)
    joined = np.append(False, goes_on[kind[heads[:-1]]] & (np.diff(heads) == 1))
    of_kind = np.empty(len(first), dtype=np.int64)
    of_kind[kind[heads]] = np.cumsum(~joined) - 1
    return of_kind[kind]


def _begins(run: Int[np.ndarray, " bin"], follows: Bool[np.ndarray, " bin"]) -> Bool[np.ndarray, " bin"]:
    """Where a timeline enters a run."""
    return np.append(True, (np.diff(run) != 0) | ~follows[:-1])


def _saves_frames(
    run: Int[np.ndarray, " bin"], follows: Bool[np.ndarray, " bin"], lag: int
) -> Bool[np.ndarray, " run"]:
    """For each run, whether one pass for all is less than what the history of the pieces around it adds."""
    begins = _begins(run, follows)
    ends = np.append(begins[1:], True)
    sharing = np.bincount(run[begins])
    lengths = np.bincount(run) // sharing
    neighbours = begins & np.append(False, follows[:-1]), ends & follows
    pieces = sum(np.bincount(run[one], minlength=len(sharing)) for one in neighbours) - sharing
    return lengths * (sharing - 1) > lag * (1 + pieces)
