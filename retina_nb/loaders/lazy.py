"""Movies whose frames are made or read where they are looked at."""

from collections.abc import Callable
from typing import Any

import numpy as np
from jaxtyping import Float32, Int64


class LazyFrames:
    """A (channel, frame, height, width) movie that is made or read frame by frame.

    It is indexed as an array is: the frame by a number, a slice or an array of any shape, the other axes by
    whatever else they admit. A frame that is asked for several times at once is made once.

    Args:
        shape: (channel, frame, height, width).
        dtype: of the pixels.
    """

    def __init__(self, shape: tuple[int, int, int, int], dtype: np.dtype) -> None:
        self.shape, self.dtype, self._numbers = shape, dtype, np.arange(shape[1])

    def __getitem__(self, index: Any) -> np.ndarray:
        channel, frame, row, column = for_each_axis(index)
        numbers = self._numbers[frame]
        distinct, place = np.unique(numbers, return_inverse=True)
        pixels = np.empty((self.shape[0], len(distinct), *self.shape[2:]), self.dtype)
        self._read(distinct, pixels)
        if not np.array_equal(distinct, numbers):
            pixels = pixels[:, place.reshape(numbers.shape)]
        return pixels[channel][..., row, column]

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        return np.asarray(self[:], dtype)

    def _read(self, numbers: np.ndarray, pixels: np.ndarray) -> None:
        """Put frames, by their ascending numbers, into (channel, frame, height, width) pixels."""
        raise NotImplementedError


class DrawnFrames(LazyFrames):
    """A (1, frame, height, width) float32 movie that is drawn.

    Args:
        draw: from numbers of frames (n,), ascending and each once, to their pixels (n, height, width).
        n: number of frames.
        height, width: size of a frame in pixels.
    """

    def __init__(
        self,
        draw: Callable[[Int64[np.ndarray, " n"]], Float32[np.ndarray, "n height width"]],
        n: int,
        height: int,
        width: int,
    ) -> None:
        super().__init__((1, n, height, width), np.dtype(np.float32))
        self._draw = draw

    def _read(self, numbers: np.ndarray, pixels: np.ndarray) -> None:
        pixels[0] = self._draw(numbers)


def for_each_axis(index: Any) -> tuple[Any, ...]:
    """The index of each of the four axes, the whole axis where nothing is asked for."""
    parts = index if isinstance(index, tuple) else (index,)
    gap = next((at for at, part in enumerate(parts) if part is ...), None)
    before, after = (parts, ()) if gap is None else (parts[:gap], parts[gap + 1 :])
    return (*before, *[slice(None)] * (4 - len(before) - len(after)), *after)
