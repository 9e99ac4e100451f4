"""Movies in several parts that are looked at as one, without a copy of them."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from retina_nb.arrays import describe
from retina_nb.errors import UserError
from retina_nb.loaders.lazy import for_each_axis
from retina_nb.recording import Frames, check_frames


class JoinedFrames:
    """Several (channel, frame, height, width) movies one after the other, each left where it is, in memory or on disk.

    It is indexed as an array is.

    Args:
        parts: the movies, alike in all but their length.

    Raises:
        UserError: if they are not.
    """

    def __init__(self, parts: Sequence[Frames]) -> None:
        if isinstance(parts, str | bytes) or not isinstance(parts, Sequence) or not parts:
            raise UserError(f"movies that are joined must be a list of one or more, not {describe(parts)}")
        if not all(hasattr(part, "shape") for part in parts):
            raise UserError("movies that are joined must be arrays (channel, frame, height, width)")
        shapes = {(part.shape[:1], part.shape[2:]) for part in parts}
        if len(shapes) != 1 or len(parts[0].shape) != 4:
            raise UserError(
                "movies can only be joined if they have the same channels and size, not "
                + " and ".join(str(tuple(part.shape)) for part in parts)
            )
        for part in parts:
            check_frames(part)
        self.parts = tuple(parts)
        self.dtype = np.result_type(*(part[:, np.arange(1)].dtype for part in parts))
        self._starts = np.cumsum([0, *(part.shape[1] for part in parts)])
        channel, _, height, width = parts[0].shape
        self.shape = (channel, int(self._starts[-1]), height, width)

    def __getitem__(self, index: Any) -> np.ndarray:
        channel, frame, row, column = for_each_axis(index)
        numbers = np.asarray(np.arange(self.shape[1])[frame])
        return self._frames(numbers)[channel][..., row, column]

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        return np.concatenate([part[:] for part in self.parts], axis=1).astype(dtype or self.dtype, copy=False)

    def _frames(self, numbers: np.ndarray) -> np.ndarray:
        part = np.searchsorted(self._starts, numbers, side="right") - 1
        if part.size and (part == part.flat[0]).all():
            first = int(part.flat[0])
            return self.parts[first][:, numbers - self._starts[first]]
        channel, _, height, width = self.shape
        frames = np.empty((channel, *numbers.shape, height, width), dtype=self.dtype)
        for number, movie in enumerate(self.parts):
            inside = part == number
            frames[:, inside] = movie[:, numbers[inside] - self._starts[number]]
        return frames
