"""The one door to MATLAB files of version 5 to 7: whatever is wrong with a file comes out as one sentence.

Those of version 7.3 are HDF5, see `retina_nb.loaders.h5`.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from scipy.io import loadmat

from retina_nb.errors import UserError
from retina_nb.file_kinds import not_a


def read_mat(path: Path, shapes: Mapping[str, tuple[int | None, ...]]) -> dict[str, np.ndarray]:
    """Read arrays of numbers.

    Args:
        path: the file.
        shapes: the size of each axis of each variable, None where any will do.

    Raises:
        UserError: naming the file and the variable, if the file is missing, damaged or of another kind, or a variable
            is missing or not such an array.
    """
    try:
        found: dict[str, Any] = loadmat(path, variable_names=tuple(shapes))
    except FileNotFoundError:
        raise UserError(f"cannot read {path}: there is no such file; check the path") from None
    except Exception as error:  # bytes that are not such a file can raise anything
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise not_a("a MATLAB file of version 5 to 7", path, reason) from None
    for name, shape in shapes.items():
        value = found.get(name)
        if value is None:
            raise UserError(f"{path}: {name} is missing; is this file of another dataset?")
        numbers = isinstance(value, np.ndarray) and value.dtype.kind in "fiu" and value.ndim == len(shape)
        if not numbers or not all(want in (None, size) for want, size in zip(shape, value.shape, strict=True)):
            what = f"{value.dtype} {value.shape}" if isinstance(value, np.ndarray) else type(value).__name__
            raise UserError(f"{path}: {name} must be numbers of shape {shape}, not {what}; get the file again")
    return {name: found[name] for name in shapes}
