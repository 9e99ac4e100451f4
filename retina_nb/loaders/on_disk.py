"""Movies that stay in their files and are read where they are looked at."""

import math
import os
from collections.abc import Sequence
from contextlib import ExitStack
from itertools import pairwise
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from retina_nb.loaders import h5
from retina_nb.loaders.lazy import LazyFrames
from retina_nb.recording import Frames

# A movie of up to so many bytes is held in memory, where batches are made of it much faster.
IN_MEMORY = 2**31

_AXES = ("channel", "frame", "height", "width")


def fits_in_memory(shape: Sequence[int], dtype: np.dtype | type) -> bool:
    """Whether a movie is to be held in memory."""
    return math.prod(shape) * np.dtype(dtype).itemsize <= IN_MEMORY


class OnDiskFrames(LazyFrames):
    """A movie in an HDF5 file, of the dtype that it has there, in the byte order of this machine.

    The file stays open, so that it can be replaced meanwhile; every process opens it for itself.

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
        channel, frame, height, width = (sizes.get(axis, 1) for axis in _AXES)
        super().__init__((channel, frame, height, width), found.dtype.newbyteorder("="))  # as they are read

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_opened": None}

    def _dataset(self) -> h5py.Dataset:
        if self._opened is None or self._opened[0] != os.getpid():
            opened = ExitStack()  # closes the file when it is forgotten
            file = opened.enter_context(h5.open_h5(self.path))
            found = h5.dataset(file, self.key, axes=" ".join(self._axes), kind=h5.NUMBERS + "b")
            self._opened = os.getpid(), opened, found
        return self._opened[2]

    def _read(self, numbers: np.ndarray, pixels: np.ndarray) -> None:
        found, at = self._dataset(), self._axes.index("frame")
        order = [self._axes.index(axis) for axis in _AXES if axis in self._axes]
        edges = np.flatnonzero(np.diff(numbers, prepend=-2, append=self.shape[1] + 1) > 1)
        for start, stop in pairwise(edges):  # of each run of frames that follow one another
            run = slice(int(numbers[start]), int(numbers[stop - 1]) + 1)
            # Where there is no channel, it is broadcast.
            pixels[:, start:stop] = h5.read_part(found, (*[slice(None)] * at, run)).transpose(order)


def frames_of(path: str | Path, key: str, axes: str = "channel frame height width") -> Frames:
    """The movie of a file: in memory if it fits, else on disk.

    Raises:
        UserError: see `OnDiskFrames`.
    """
    frames = OnDiskFrames(path, key, axes)
    return np.ascontiguousarray(frames[:]) if fits_in_memory(frames.shape, frames.dtype) else frames
