"""Movies in units of their own contrast: one mean and one standard deviation over all pixels."""

import math
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from jaxtyping import Float32
from numpy.typing import ArrayLike

from retina_nb.arrays import as_integers, describe
from retina_nb.errors import UserError
from retina_nb.recording import Frames, Movie

Zscored = Float32[np.ndarray, "channel _ height width"]

_BLOCK = 2**24  # pixels of a movie that are looked at together


def normalize(movie: Movie, *, frames: ArrayLike | None = None) -> Movie:
    """A movie in units of its own contrast: its mean is 0 and its standard deviation 1, over all pixels.

    What it was normalised by is kept, and what it was normalised by before as well: `Movie.original` undoes both. A
    movie in memory is copied, any other one is normalised where it is looked at.

    Args:
        movie: in any units.
        frames: (n,) numbers of the frames that count, e.g. of those shown for training; by default all.

    Raises:
        UserError: if there is no such frame, a pixel is not finite, or all are the same.
    """
    if not isinstance(movie, Movie):
        raise UserError(f"normalize needs a Movie(frames), not {describe(movie)}")
    numbers = np.arange(len(movie)) if frames is None else np.unique(as_integers(frames, "frames", "(frame,)"))
    if numbers[0] < 0 or numbers[-1] >= len(movie):
        raise UserError(
            f"frames must be numbers from 0 to {len(movie) - 1}, of those that the movie has, not {describe(frames)}"
        )
    mean, std = _moments(movie, numbers)
    scaled: Frames = ZscoredFrames(movie.frames, mean, std)
    if type(movie.frames) is np.ndarray:  # a mapped file is one, too, but of another type
        scaled = scaled[:]
    return replace(movie, frames=scaled, mean=movie.mean + movie.std * mean, std=movie.std * std)


def mean_and_std(movie: np.ndarray, *, where: str = "the movie") -> tuple[float, float]:
    """Mean and standard deviation (n - 1) over all pixels of a movie.

    Reduced by torch in float32, as openretina does: the last digits depend on it.

    Args:
        movie: numbers of any shape.
        where: what to call the movie in an error.

    Raises:
        UserError: if a pixel is not finite, or all are the same.
    """
    pixels = torch.tensor(movie, dtype=torch.float32)
    mean, std = pixels.mean().item(), pixels.std().item()
    if not np.isfinite([mean, std]).all():
        raise UserError(f"{where} has pixels that are not finite; mend the file or get it again")
    if std == 0:
        raise UserError(f"{where} is {mean:g} in all pixels of all frames; get the file again")
    return mean, std


def zscore(train: np.ndarray, *others: np.ndarray, where: str = "the movie") -> tuple[list[Zscored], float, float]:
    """Movies normalised by the mean and the standard deviation of the first of them.

    Args:
        train: (channel, frame, height, width) the movie that sets the units.
        others: movies to be brought to the same units.
        where: what to call the first movie in an error.

    Returns:
        All movies in the order in which they were given, and the mean and standard deviation: the original is
        ``movie * std + mean``.

    Raises:
        UserError: if a pixel of `train` is not finite, or all are the same.
    """
    mean, std = mean_and_std(train, where=where)
    return [_scaled(movie, mean, std) for movie in (train, *others)], mean, std


class ZscoredFrames:
    """A movie that is kept as it was published, one byte a pixel, and normalised where it is looked at.

    Args:
        frames: (channel, frame, height, width), anything that can be indexed as an array.
        mean, std: what the normalised movie is made with: ``(frames - mean) / std``.
    """

    dtype = np.dtype(np.float32)

    def __init__(self, frames: Frames, mean: float, std: float) -> None:
        self.frames, self.mean, self.std = frames, mean, std
        self.shape = tuple(frames.shape)

    def __getitem__(self, index: Any) -> np.ndarray:
        return _scaled(self.frames[index], self.mean, self.std)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        return np.asarray(self[:], dtype)


def _moments(movie: Movie, numbers: np.ndarray) -> tuple[float, float]:
    """Mean and standard deviation (n - 1) over all pixels of some frames, which need not fit into memory together."""
    step = max(1, _BLOCK // math.prod(movie.frame_shape))
    count, mean, squares = 0, 0.0, 0.0  # as in Chan et al. 1979: the squares are of what differs from the mean
    for start in range(0, len(numbers), step):
        pixels = np.asarray(movie.frames[:, numbers[start : start + step]], dtype=np.float32)
        difference = float(pixels.mean(dtype=np.float64)) - mean
        squares += float(pixels.var(dtype=np.float64)) * pixels.size
        squares += difference**2 * count * pixels.size / (count + pixels.size)
        count += pixels.size
        mean += difference * pixels.size / count
    std = math.sqrt(squares / max(count - 1, 1))
    if not math.isfinite(mean + std):
        raise UserError("the movie has pixels that are not finite; mend it")
    if std == 0:
        raise UserError(f"the movie is {mean:g} in all pixels of all frames, so it cannot be normalised")
    return mean, std


def _scaled(pixels: Any, mean: float, std: float) -> np.ndarray:
    with np.errstate(over="ignore", invalid="ignore"):  # whoever loads a movie looks for pixels that are not finite
        scaled = np.array(pixels, dtype=np.float32)  # a copy, to be changed in place
        scaled -= np.float32(mean)
        scaled /= np.float32(std)
    return scaled
