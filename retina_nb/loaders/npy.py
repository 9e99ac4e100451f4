"""The one door to files of `numpy.save`: whatever is wrong with a file comes out as one sentence."""

from pathlib import Path
from tokenize import TokenError

import numpy as np

from retina_nb.errors import UserError
from retina_nb.file_kinds import not_a

# What numpy raises for a damaged header.
_DAMAGED = (OSError, ValueError, EOFError, SyntaxError, TokenError, OverflowError, MemoryError)


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
    except _DAMAGED as error:
        if isinstance(error, FileNotFoundError):
            raise UserError(f"cannot read {path}: there is no such file; check the path") from None
        raise not_a("a file of numpy.save", Path(path), (str(error).splitlines() or [""])[0]) from None
    if not isinstance(array, np.ndarray) or array.dtype.kind not in "fiub" or array.ndim != len(axes.split()):
        found = f"{array.dtype} {array.shape}" if isinstance(array, np.ndarray) else "an archive"
        raise UserError(f"{path} must be numbers ({', '.join(axes.split())}), not {found}")
    if 0 in array.shape:
        raise UserError(f"{path} is empty, its shape is {array.shape}")
    return array
