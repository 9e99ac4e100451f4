"""Writing HDF5 files onto disks that may be full."""

import io
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import h5py


@contextmanager
def create_h5(path: Path) -> Iterator[tuple[h5py.File, Callable[[], None]]]:
    """Give a new HDF5 file, and a function that raises if something could not be written until now.

    Call it now and then, to stop early: what fails is else raised at the end.

    Raises:
        OSError: if the disk is full or fails.
    """
    with open(path, "wb+", buffering=0) as raw:
        disk = _Disk(raw)
        # In this version of HDF5 its own structures have checksums, too.
        with h5py.File(disk, "w", libver=("v110", "v110")) as file:
            yield file, disk.raise_failure
        disk.raise_failure()


class _Disk(io.RawIOBase):
    """A file of which HDF5 never hears that it could not be written.

    HDF5 keeps what it could not write, tries again when the file is closed, and then ends the process by a
    segmentation fault.
    """

    def __init__(self, raw: io.FileIO) -> None:
        self._raw = raw
        self._failure: BaseException | None = None

    def raise_failure(self) -> None:
        if self._failure is not None:
            raise self._failure

    def write(self, data: Any) -> int:
        rest = memoryview(data)
        size = len(rest)
        while len(rest) and self._failure is None:  # a disk may take a part
            rest = rest[self._attempt(self._raw.write, rest) or 0 :]
        return size

    def readinto(self, buffer: Any) -> int:
        """Fill the buffer, with zeros where nothing was written."""
        rest = memoryview(buffer)
        while len(rest) and (read := self._attempt(self._raw.readinto, rest) or 0):
            rest = rest[read:]
        rest[:] = bytes(len(rest))
        return len(buffer)

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        return self._raw.seek(offset, whence)

    def tell(self) -> int:
        return self._raw.tell()

    def truncate(self, size: int | None = None) -> int:
        return self._attempt(self._raw.truncate, size) or 0

    def _attempt(self, act: Callable[[Any], int | None], argument: Any) -> int | None:
        try:
            return act(argument)
        except BaseException as error:  # Ctrl-C, too
            self._failure = self._failure or error
            return None
