"""The one door to files of `numpy.save`: whatever is wrong with a file comes out as one sentence."""

from pathlib import Path
from tokenize import TokenError
from zipfile import BadZipFile

import numpy as np

from retina_nb.errors import UserError
from retina_nb.file_kinds import not_a

# What numpy raises for a damaged header.
_DAMAGED = (OSError, ValueError, EOFError, SyntaxError, TokenError, OverflowError, MemoryError)


def cached_array(path: Path, dtype: np.dtype | type, shape: tuple[int, ...]) -> np.ndarray | None:
    """An array of the cache; None, so that it is made again, if it is missing, damaged, or of other dtype or shape."""
    try:
        array = np.load(path, allow_pickle=False)
    except (*_DAMAGED, BadZipFile):
        return None
    fits = isinstance(array, np.ndarray) and array.dtype == dtype and array.shape == shape
    return array if fits else None


def open_npy(path: str | Path, axes: str) -> np.ndarray:
    """An array of numbers in a file, mapped and not read yet.

    Args:
        path: the file.
        axes: the names of its axes, e.g. ``"channel time height width"``.

    Raises:
        UserError: naming the file, if it cannot be read, is damaged or empty, or is not numbers of so many axes.
    """
    try:
        array = np.load(path, mmap_mode="r", allow_pickle=False)
    except (*_DAMAGED, BadZipFile) as error:
        if isinstance(error, FileNotFoundError):
            raise UserError(f"cannot read {path}: there is no such file; check the path") from None
        raise not_a("a file of numpy.save", Path(path), (str(error).splitlines() or [""])[0]) from None
    if isinstance(array, np.lib.npyio.NpzFile):
        array.close()
        raise not_a("a file of numpy.save", Path(path), "an archive")
    if array.dtype.kind not in "fiub" or array.ndim != len(axes.split()):
        raise UserError(f"{path} must be numbers ({', '.join(axes.split())}), not {array.dtype} {array.shape}")
    if 0 in array.shape:
        raise UserError(f"{path} is empty, its shape is {array.shape}")
    return array
