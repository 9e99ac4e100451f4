"""The one door to HDF5 files: whatever is wrong with a file comes out as one sentence."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from retina_nb.errors import UserError

NUMBERS, INTEGERS = "fiu", "iu"
_KINDS = {"f": "floats", "i": "integers", "u": "integers", "b": "booleans", "S": "text", "O": "text"}
_NAMED = 40  # at most so many keys in an error

# h5py has no error of its own: a damaged file can raise any of these, from any call.
_DAMAGED = (OSError, RuntimeError, KeyError, ValueError, TypeError, SystemError, MemoryError, AttributeError)


@contextmanager
def open_h5(path: str | Path) -> Iterator[h5py.File]:
    """Open a file for reading.

    Raises:
        UserError: if there is no such file, it cannot be read, or it is not an HDF5 file or only a part of one.
    """
    path = Path(path)
    if not path.is_file():
        raise UserError(f"there is no file {path}; check the path")
    try:
        file = h5py.File(path, "r")
    except _DAMAGED as error:
        raise UserError(
            f"cannot read {path}: it is damaged, incomplete or not an HDF5 file ({_first_line(error)}); get it again"
        ) from None
    with file:
        yield file


def keys(group: h5py.Group) -> list[str]:
    """Names of what a group holds, sorted.

    Raises:
        UserError: if the file is damaged.
    """
    try:
        return sorted(group.keys())
    except _DAMAGED as error:
        raise _damaged(group, "", error) from None


def group(parent: h5py.Group, key: str) -> h5py.Group:
    """A group of a group, or of a file.

    Raises:
        UserError: if it is missing, or is not a group.
    """
    found = _get(parent, key)
    if not isinstance(found, h5py.Group):
        raise UserError(f"{place(parent, key)} must be a group, it is an array; is this file of another dataset?")
    return found


def dataset(
    parent: h5py.Group, key: str, *, axes: str, kind: str = NUMBERS, shape: Sequence[int | None] | None = None
) -> h5py.Dataset:
    """A dataset that is of the right kind and shape, not read yet.

    Args:
        parent: the group that holds it, or the file.
        key: its name in the group; ``a/b`` is b in the group a.
        axes: the names of its axes, e.g. ``"neuron time"``; ``""`` for a single value.
        kind: the kinds of numpy dtype that it may have: `NUMBERS`, `INTEGERS`, or letters of ``dtype.kind``.
        shape: the size of each axis, None where any will do.

    Raises:
        UserError: naming the file and the key, if it is missing, of another kind or shape, or empty.
    """
    found = _get(parent, key)
    if not isinstance(found, h5py.Dataset):
        raise UserError(f"{place(parent, key)} must be an array, it is a group; is this file of another dataset?")
    try:
        dtype, size = found.dtype, found.shape
    except _DAMAGED as error:
        raise _damaged(parent, key, error) from None
    names = axes.split()
    sizes = [None] * len(names) if shape is None else shape
    fits = (
        size is not None and len(size) == len(names) and all(w in (None, n) for w, n in zip(sizes, size, strict=True))
    )
    if not fits or dtype.kind not in kind:
        wanted = ", ".join(f"{name} {n}" if n is not None else name for name, n in zip(names, sizes, strict=True))
        what = " or ".join(dict.fromkeys(_KINDS.get(one, one) for one in kind))
        raise UserError(f"{place(parent, key)} must be {what} ({wanted}), not {dtype} {size}; is the file damaged?")
    if 0 in size:
        raise UserError(f"{place(parent, key)} is empty, its shape is {size}; get the file again, or leave it out")
    return found


def read(
    parent: h5py.Group,
    key: str,
    *,
    axes: str,
    kind: str = NUMBERS,
    shape: Sequence[int | None] | None = None,
    finite: bool = True,
) -> np.ndarray:
    """Read a dataset; see `dataset`.

    Args:
        parent, key, axes, kind, shape: see `dataset`.
        finite: whether NaN and infinity are errors.

    Raises:
        UserError: naming the file and the key, if it is missing, of another kind or shape, empty, damaged, or has a
            number that is not finite.
    """
    values = read_part(dataset(parent, key, axes=axes, kind=kind, shape=shape), ())
    if finite and values.dtype.kind == "f" and not np.isfinite(values).all():
        at = tuple(int(i) for i in np.argwhere(~np.isfinite(values))[0])
        raise UserError(f"{place(parent, key)} is {values[at]} at {at}; mend the file or get it again")
    return values


def read_part(found: h5py.Dataset, index: Any) -> np.ndarray:
    """Some of a dataset, e.g. ``read_part(found, np.s_[:100])``.

    Raises:
        UserError: naming the file and the key, if it is damaged.
    """
    try:
        values = np.asarray(found[index])
        return values.astype(values.dtype.newbyteorder("="), copy=False)
    except _DAMAGED as error:
        raise _damaged(found.parent, found.name.rsplit("/", 1)[-1], error) from None


def attribute(parent: h5py.Group, key: str) -> Any:
    """A single value that is kept as an attribute of a group or, as some files have it, as a dataset in it.

    Returns:
        A Python number or string.

    Raises:
        UserError: if it is missing or damaged, or is not a single value.
    """
    try:
        value = parent.attrs[key] if key in parent.attrs else _get(parent, key)[()]
    except _DAMAGED as error:
        if isinstance(error, UserError):
            raise
        raise _damaged(parent, key, error) from None
    if np.size(value) != 1:
        raise UserError(f"{place(parent, key)} must be a single value, its shape is {np.shape(value)}")
    value = value if isinstance(value, str | bytes) else np.asarray(value).item()
    return value.decode(errors="replace") if isinstance(value, bytes) else value


def attributes(parent: h5py.Group) -> dict[str, Any]:
    """The attributes of a group that are single values, see `attribute`.

    Raises:
        UserError: if the file is damaged.
    """
    try:
        single = [key for key, value in parent.attrs.items() if np.size(value) == 1]
    except _DAMAGED as error:
        raise _damaged(parent, "", error) from None
    return {key: attribute(parent, key) for key in single}


def place(parent: h5py.Group, key: str) -> str:
    """What to call a key in an error: the file and the path in it."""
    return f"{parent.file.filename}: {parent.name.rstrip('/')}/{key}"


def _get(parent: h5py.Group, key: str) -> Any:
    try:
        found, around = parent.get(key), parent.get(key.rpartition("/")[0]) if "/" in key else parent
        there = sorted((around if isinstance(around, h5py.Group) else parent).keys())
    except _DAMAGED as error:
        raise _damaged(parent, key, error) from None
    if found is None:
        has = ", ".join(map(str, there[:_NAMED])) or "nothing"  # names that are not UTF-8 are bytes
        raise UserError(f"{place(parent, key)} is missing, there is {has}; is this file of another dataset?")
    return found


def _damaged(parent: h5py.Group, key: str, error: BaseException) -> UserError:
    return UserError(f"{place(parent, key)} cannot be read ({_first_line(error)}); the file is damaged, get it again")


def _first_line(error: BaseException) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]
