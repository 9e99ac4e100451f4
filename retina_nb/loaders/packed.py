"""Movies of two grey levels, kept as one bit a pixel."""

from typing import Any

import numpy as np
from jaxtyping import UInt8

from retina_nb.loaders.lazy import for_each_axis


class PackedFrames:
    """A (1, frame, height, width) movie of -1 and 1 that is unpacked, as int8, where it is looked at.

    It is indexed as an array is: the frame by a number, a slice or an array of any shape, the other axes by
    whatever else they admit.

    Args:
        bits: pixels of each frame, row by row, in the order of `numpy.packbits`; 1 stands for 1, 0 for -1.
        height, width: size of a frame in pixels.
    """

    dtype = np.dtype(np.int8)

    def __init__(self, bits: UInt8[np.ndarray, "frame byte"], height: int, width: int) -> None:
        self.bits = bits
        self.shape = (1, len(bits), height, width)

    def __getitem__(self, index: Any) -> np.ndarray:
        _, _, height, width = self.shape
        channel, frame, row, column = for_each_axis(index)
        pixels = np.unpackbits(self.bits[frame], axis=-1, count=height * width).view(np.int8)
        pixels = (2 * pixels - 1).reshape(*pixels.shape[:-1], height, width)
        return pixels[None][channel][..., row, column]

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        return np.asarray(self[:], dtype)
