"""Small stand-ins for frames, so that long movies can be compared without being held in memory.

Of each frame that is looked at there is a hash of its pixels, which is the same for exact copies only, and its means
over a coarse grid, which is alike for near copies and serves as a coarse stimulus.
"""

import hashlib
import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float32, Int64, UInt64

from retina_nb.recording import Movie, Recording, sessions_that_share
from retina_nb.representations import one_line

_BLOCK = 2**22  # pixels of a movie that are looked at together
_STRETCH = 10.0  # seconds of a timeline that are looked at or left out together


@one_line
@dataclass(frozen=True)
class Fingerprints:
    """What is kept of some frames of a movie.

    Args:
        numbers: of the frames, ascending.
        hashes: of their pixels.
        coarse: means over the grid, in the movie's units.
        blank: whether each channel is the same all over the frame.
        mean, std: over all pixels of these frames.
    """

    numbers: Int64[np.ndarray, " frame"]
    hashes: UInt64[np.ndarray, " frame"]
    coarse: Float32[np.ndarray, "frame feature"]
    blank: Bool[np.ndarray, " frame"]
    mean: float
    std: float


@one_line
@dataclass(frozen=True)
class Watched:
    """A session, the bins of it that are looked at, and the row of `prints` that each of them showed (-1 for others).

    Sessions that saw the same at the same times are one `group`.
    """

    recording: Recording
    prints: Fingerprints
    rows: Int64[np.ndarray, " time"]
    group: int


def watch(recordings: Mapping[str, Recording], max_frames: int, features: int) -> dict[str, Watched]:
    """Look at the frames that were on screen, each once, however many sessions saw it.

    Args:
        recordings: sessions by name.
        max_frames: of a movie with more of them only so many are looked at (about): stretches of 10 s at even
            distances, up to half of them of validation and test bins.
        features: at most so many means are taken of a frame.
    """
    groups = sessions_that_share(recordings)
    by_movie: dict[int, list[list[str]]] = {}
    for names in groups:
        by_movie.setdefault(id(recordings[names[0]].movie), []).append(names)
    watched: dict[str, Watched] = {}
    for members in by_movie.values():
        firsts = [recordings[names[0]] for names in members]
        bins = [_bins_to_watch(one, max_frames, firsts) for one in firsts]
        shown = [one.frames[looked] for one, looked in zip(firsts, bins, strict=True)]
        prints = take_fingerprints(firsts[0].movie, np.unique(np.concatenate(shown)), features)
        for names, one, looked in zip(members, firsts, bins, strict=True):
            rows = np.full(len(one), -1)
            rows[looked] = np.searchsorted(prints.numbers, one.frames[looked])
            watched |= {name: Watched(recordings[name], prints, rows, groups.index(names)) for name in names}
    return {name: watched[name] for name in recordings}


def take_fingerprints(movie: Movie, numbers: Int64[np.ndarray, " frame"], features: int) -> Fingerprints:
    """Read frames block by block and keep their fingerprints."""
    channel, height, width = movie.frame_shape
    side = max(1, math.isqrt(features // channel))
    rows, columns = (np.linspace(0, n, min(side, n) + 1).astype(int) for n in (height, width))
    step = max(1, _BLOCK // math.prod(movie.frame_shape))
    hashes, coarse, blank, sums = [], [], [], np.zeros(2)
    for start in range(0, len(numbers), step):
        # A zero is not to have a sign, for hashes.
        frames = np.asarray(movie.frames[:, numbers[start : start + step]], dtype=np.float32).swapaxes(0, 1) + 0.0
        hashes += [hashlib.blake2b(frame.tobytes(), digest_size=8).digest() for frame in frames]
        blank.append((np.ptp(frames, axis=(2, 3)) == 0).all(axis=1))
        means = np.add.reduceat(np.add.reduceat(frames, rows[:-1], axis=2), columns[:-1], axis=3)
        coarse.append((means / np.diff(rows)[:, None] / np.diff(columns)).reshape(len(frames), -1))
        sums += frames.sum(dtype=np.float64), np.square(frames, dtype=np.float64).sum()
    mean, square = sums / (len(numbers) * math.prod(movie.frame_shape))
    return Fingerprints(
        numbers,
        np.frombuffer(b"".join(hashes), dtype=np.uint64),
        np.concatenate(coarse).astype(np.float32),
        np.concatenate(blank),
        float(mean),
        math.sqrt(max(square - mean**2, 0.0)),
    )


def _bins_to_watch(recording: Recording, max_frames: int, sharing: list[Recording]) -> Bool[np.ndarray, " time"]:
    """(time,) which bins are looked at, where several timelines share the frames of a movie."""
    shown = np.zeros(len(recording.movie), dtype=bool)
    for one in sharing:
        shown[one.frames] = True
    if shown.sum() <= max_frames:
        return np.ones(len(recording), dtype=bool)
    budget = max_frames / len(sharing)
    held = np.isin(recording.split, ("validation", "test"))
    n_held, n_other = (len(np.unique(recording.frames[bins])) for bins in (held, ~held))
    of_held = min(1.0, budget / 2 / max(n_held, 1))
    of_others = min(1.0, (budget - of_held * n_held) / max(n_other, 1))
    stretch = np.arange(len(recording)) // round(_STRETCH * recording.rate)
    looked = np.where(held, _every(stretch, of_held), _every(stretch, of_others))
    return looked if looked.any() else stretch == 0


def _every(stretch: np.ndarray, part: float) -> np.ndarray:
    """Whether a stretch is among a part of all of them, at even distances."""
    return np.floor((stretch + 1) * part) > np.floor(stretch * part)
