"""Movies that stay in their HDF5 file and are read where they are looked at."""

import math
import os
from contextlib import ExitStack
from itertools import pairwise
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from retina_nb.loaders import h5
from retina_nb.loaders.packed import for_each_axis

# A movie of up to so many bytes is held in memory, where batches are made of it much faster.
IN_MEMORY = 2**31

_AXES = ("channel", "frame", "height", "width")


class OnDiskFrames:
    """A (channel, frame, height, width) movie in an HDF5 file, of the dtype it has there.

    It is indexed as an array is: the frame by a number, a slice or an array of any shape, the other axes by
    whatever else they admit. A frame that is asked for several times at once is read once. The file stays open, so
    that it can be replaced meanwhile; every process opens it for itself.

    Args:
        path: the file.
        key: the dataset in it.
        axes: the names of the dataset's axes in its order, ``"frame width height"``; without a channel it is one.

    Raises:
        UserError: if the file or the dataset cannot be read, or has other axes.
    """

    def __init__(self, path: str | Path, key: str, axes: str = "channel frame height width") -> None:
        self.path, self.key, self._axes = Path(path), key, axes.split()
        self._opened: tuple[int, ExitStack, h5py.Dataset] | None = None
        found = self._dataset()
        sizes = dict(zip(self._axes, found.shape, strict=True))
        self.shape = tuple(sizes.get(axis, 1) for axis in _AXES)
        self.dtype = found.dtype
        self._numbers = np.arange(self.shape[1])

    def __getitem__(self, index: Any) -> np.ndarray:
        channel, frame, row, column = for_each_axis(index)
        numbers = self._numbers[frame]
        distinct, place = np.unique(numbers, return_inverse=True)
        pixels = self._read(distinct)
        if not np.array_equal(distinct, numbers):
            pixels = pixels[:, place.reshape(numbers.shape)]
        return pixels[channel][..., row, column]

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        return np.asarray(self[:], dtype)

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_opened": None}

    def _dataset(self) -> h5py.Dataset:
        if self._opened is None or self._opened[0] != os.getpid():
            opened = ExitStack()  # closes the file when it is forgotten
            file = opened.enter_context(h5.open_h5(self.path))
            found = h5.dataset(file, self.key, axes=" ".join(self._axes), kind=h5.NUMBERS + "b")
            self._opened = os.getpid(), opened, found
        return self._opened[2]

    def _read(self, numbers: np.ndarray) -> np.ndarray:
        """(channel, frame, height, width): frames by their ascending numbers, each run of them in one piece."""
        found, at = self._dataset(), self._axes.index("frame")
        pixels = np.empty((self.shape[0], len(numbers), *self.shape[2:]), self.dtype)
        order = [self._axes.index(axis) for axis in _AXES if axis in self._axes]
        edges = np.flatnonzero(np.diff(numbers, prepend=-2, append=self.shape[1] + 1) > 1)
        for start, stop in pairwise(edges):
            run = slice(int(numbers[start]), int(numbers[stop - 1]) + 1)
            part = h5.read_part(found, (*[slice(None)] * at, run)).transpose(order)
            pixels[:, start:stop] = part  # where there is no channel, it is broadcast
        return pixels


def frames_of(path: str | Path, key: str, axes: str = "channel frame height width") -> Any:
    """The movie of a file: in memory up to `IN_MEMORY` bytes, else on disk.

    Raises:
        UserError: see `OnDiskFrames`.
    """
    frames = OnDiskFrames(path, key, axes)
    in_memory = math.prod(frames.shape) * frames.dtype.itemsize <= IN_MEMORY
    return np.ascontiguousarray(frames[:]) if in_memory else frames
