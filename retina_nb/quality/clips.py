"""The clips of sessions: hashes by which exact copies are found, and glimpses by which near ones are."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float32, Int64, UInt64

from retina_nb.quality.fingerprints import Watched
from retina_nb.representations import one_line

_GLIMPSES = 4  # frames by which clips are compared at first
_POWER = np.uint64(6364136223846793005)  # Knuth's multiplier, for hashes of sequences


@one_line
@dataclass(frozen=True)
class Clips:
    """Clips of one length and split in several sessions.

    Args:
        length: in bins.
        sessions: numbers of the sessions that they are of.
        starts: their first bins.
        hashes: of their frames, the same for exact copies only.
    """

    length: int
    sessions: Int64[np.ndarray, " clip"]
    starts: Int64[np.ndarray, " clip"]
    hashes: UInt64[np.ndarray, " clip"]

    def __len__(self) -> int:
        return len(self.starts)

    def some(self, which: Bool[np.ndarray, " clip"] | Int64[np.ndarray, " n"] | slice) -> "Clips":
        return Clips(self.length, self.sessions[which], self.starts[which], self.hashes[which])


def clips_of(shown: Iterable[Watched], split: str, length: int) -> Clips:
    """All clips of a split, but for those that are blank all the time, and always the same."""
    sessions, starts, hashes = [], [], []
    for number, one in enumerate(shown):
        first = np.flatnonzero(ages(one, split) >= length) - length + 1
        frames = one.prints.hashes[one.rows]
        code, still = np.zeros(len(first), dtype=np.uint64), one.prints.blank[one.rows[first]]
        for offset in range(length):
            code = code * _POWER + frames[first + offset]
            still &= frames[first + offset] == frames[first]
        sessions.append(np.full((~still).sum(), number))
        starts.append(first[~still])
        hashes.append(code[~still])
    return Clips(length, np.concatenate(sessions), np.concatenate(starts), np.concatenate(hashes))


def ages(one: Watched, split: str) -> Int64[np.ndarray, " time"]:
    """For each bin of a split, how many have been looked at since its stretch or presentation started; 0 elsewhere."""
    inside = (one.recording.split == split) & (one.rows >= 0)
    starts = inside & ~np.append(False, inside[:-1])
    starts[one.recording.onsets] = True
    bins = np.arange(len(inside))
    return np.where(inside, bins - np.maximum.accumulate(np.where(starts, bins, 0)) + 1, 0)


def lasting(shown: Iterable[Watched], clips: Clips, split: str, source: str) -> Bool[np.ndarray, " clip"]:
    """Whether the frame in which each clip starts stayed on screen for bins of both splits."""
    found = np.zeros(len(clips), dtype=bool)
    for number, one in enumerate(shown):
        inside, frames = clips.sessions == number, one.recording.frames
        starts = np.append(True, np.diff(frames) != 0)
        starts[one.recording.onsets] = True
        run = np.cumsum(starts) - 1
        both = np.ones(run[-1] + 1, dtype=bool)
        for label in (split, source):
            both &= np.bincount(run, one.recording.split == label) > 0
        found[inside] = both[run[clips.starts[inside]]]
    return found


def distinct(clips: Clips) -> Clips:
    """The first of all clips that are the same."""
    return clips.some(np.sort(np.unique(clips.hashes, return_index=True)[1]))


def apart(clips: Clips) -> Clips:
    """Distinct clips that do not overlap."""
    clips, chosen, end = distinct(clips), [], (-1, -1)
    for number, place in enumerate(zip(clips.sessions.tolist(), clips.starts.tolist(), strict=True)):
        if place >= end:
            chosen.append(number)
            end = (place[0], place[1] + clips.length)
    return clips.some(np.array(chosen, dtype=np.int64))


def glimpses(watched: Sequence[Watched], clips: Clips) -> Float32[np.ndarray, "clip feature"]:
    """A few coarse frames of each clip, minus their mean and of length 1; 0 if nothing varies."""
    offsets = np.unique(np.linspace(0, clips.length - 1, _GLIMPSES).astype(int))
    coarse = watched[clips.sessions[0]].prints.coarse
    rows = np.zeros((len(clips), len(offsets)), dtype=np.int64)
    for session in np.unique(clips.sessions):
        inside = clips.sessions == session
        rows[inside] = watched[session].rows[clips.starts[inside][:, None] + offsets]
    flat = coarse[rows].reshape(len(clips), -1)
    flat = flat - flat.mean(axis=1, keepdims=True)
    norm = np.linalg.norm(flat, axis=1, keepdims=True)
    return np.where(norm > 1e-6, flat / np.maximum(norm, 1e-6), 0)


def pixels(watched: Sequence[Watched], clips: Clips, number: int) -> Float32[np.ndarray, " pixel"]:
    """All pixels of a clip, minus their mean."""
    recording = watched[clips.sessions[number]].recording
    frames = recording.frames[clips.starts[number] + np.arange(clips.length)]
    pixels = np.asarray(recording.movie.frames[:, frames], dtype=np.float32).ravel()
    return pixels - pixels.mean()
