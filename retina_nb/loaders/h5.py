"""The one door to HDF5 files: whatever is wrong with a file comes out as one sentence.

A file that draws on other files (external links, external storage, virtual datasets) is refused before anything in it
is read: it could show any file of this machine as a stimulus. So is an array that is larger than memory, or of which a
small file claims gigabytes that were never written.
"""

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import h5py
import numpy as np

from retina_nb.errors import UserError
from retina_nb.file_kinds import not_a
from retina_nb.memory import check_memory

NUMBERS, INTEGERS = "fiu", "iu"
_KINDS = {"f": "floats", "i": "integers", "u": "integers", "b": "booleans", "S": "text", "O": "text"}
_NAMED = 40  # at most so many keys in an error
DEEPEST = 32  # groups in one another
# An array of more bytes than the former has at least one stored for each so many; compression saves up to 1,032 times.
_CLAIM, _SHRUNK = 2**26, 10_000

_COPY = "copy the numbers into this file, and use files from a source you trust"

# h5py has no error of its own: a damaged file can raise any of these, from any call.
_DAMAGED = (OSError, RuntimeError, KeyError, ValueError, TypeError, SystemError, MemoryError, AttributeError)


@contextmanager
def open_h5(path: str | Path) -> Iterator[h5py.File]:
    """Open a file for reading.

    Raises:
        UserError: if there is no such file, it cannot be read, it is not an HDF5 file or only a part of one, or it
            draws on other files.
    """
    path = Path(path)
    if not path.is_file():
        raise UserError(f"there is no file {path}; check the path")
    try:
        file = h5py.File(path, "r")
    except _DAMAGED as error:
        raise not_a("an HDF5 file", path, _first_line(error)) from None
    with file:
        _check_own(file)
        yield file


def _check_own(file: h5py.File) -> None:
    """Refuse a file of which something is in other files; nothing is followed, and no data are read."""
    try:
        seen, groups = set(), [("", file["/"].id)]
    except _DAMAGED as error:
        raise not_a("an HDF5 file", Path(file.filename), _first_line(error)) from None
    while groups:
        path, group = groups.pop()
        for name, link in _links(file, path, group):
            where = f"{path}/{name.decode(errors='replace')}"
            if link.type == h5py.h5l.TYPE_EXTERNAL:
                raise UserError(f"{file.filename}: {where} is in another file; {_COPY}")
            if link.type not in (h5py.h5l.TYPE_HARD, h5py.h5l.TYPE_SOFT):
                raise UserError(f"{file.filename}: {where} is a link of an unknown kind, perhaps out of it; {_COPY}")
            if link.type == h5py.h5l.TYPE_SOFT or link.u in seen:  # a soft link leads to another place in the file
                continue
            seen.add(link.u)
            try:
                found = h5py.h5o.open(group, name)
            except _DAMAGED:  # whoever needs it finds it damaged
                continue
            if isinstance(found, h5py.h5g.GroupID):
                groups.append((where, found))
            elif isinstance(found, h5py.h5d.DatasetID) and is_elsewhere(found):
                raise UserError(f"{file.filename}: {where} is put together from other files; {_COPY}")


def _links(file: h5py.File, path: str, group: h5py.h5g.GroupID) -> list[tuple[bytes, Any]]:
    found: list[tuple[bytes, Any]] = []
    try:
        # What the callback is given is used again for the next link.
        group.links.iterate(lambda name, link: found.append((name, _Link(link.type, link.u))), info=True)
    except _DAMAGED as error:
        raise UserError(
            f"{file.filename}: {path or '/'} cannot be read ({_first_line(error)}); the file is damaged, get it again"
        ) from None
    return found


class _Link(NamedTuple):
    """A link of HDF5: its type, and where in the file a hard one leads."""

    type: int
    u: int


def is_elsewhere(found: h5py.h5d.DatasetID) -> bool:
    """Whether the numbers of a dataset are in other files."""
    try:
        storage = found.get_create_plist()
        return storage.get_layout() == h5py.h5d.VIRTUAL or storage.get_external_count() > 0
    except _DAMAGED:  # whoever needs it finds it damaged
        return False


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


def tree(group: h5py.Group) -> dict[str, Any]:
    """What a group holds, in the order of the file: datasets, not read yet, and as dictionaries the groups in it.

    Raises:
        UserError: naming the file and the key, if a group holds itself or is there twice, groups lie in one another
            too deep, or something cannot be read.
    """
    return _tree(group, set(), DEEPEST)


def _tree(group: h5py.Group, seen: set[int], deepest: int) -> dict[str, Any]:
    keys(group)  # complains if the file is damaged
    held: dict[str, Any] = {}
    for key in group:
        found = _get(group, key)
        if isinstance(found, h5py.Group):
            where = h5py.h5o.get_info(found.id).addr
            if where in seen:
                raise UserError(f"{place(group, key)} holds itself, or is there twice; write such values once")
            if not deepest:
                raise UserError(f"{place(group, key)}: groups lie in one another too deep; write them side by side")
            seen.add(where)
            held[key] = _tree(found, seen, deepest - 1)
        elif isinstance(found, h5py.Dataset):
            held[key] = found
    return held


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
    _check_claim(found)
    return found


def check_size(data: Any) -> None:
    """See that an array can be read whole, before it is. Anything but a dataset of HDF5 is let through.

    Raises:
        UserError: naming the file and the key, if it is larger than memory, or claims much that was never written.
    """
    if isinstance(data, h5py.Dataset):
        _check_claim(data)
        check_memory(_bytes(data.shape, data.dtype), place(data.parent, _last(data)))


def _check_claim(found: h5py.Dataset) -> None:
    try:
        claimed, stored, chunk = _bytes(found.shape, found.dtype), found.id.get_storage_size(), found.chunks
    except _DAMAGED as error:
        raise _damaged(found.parent, _last(found), error) from None
    where = place(found.parent, _last(found))
    if claimed > _CLAIM and claimed > _SHRUNK * stored:
        raise UserError(
            f"{where} claims {claimed / 1e9:,.1f} GB, its shape is {found.shape}, but the file holds {stored:,} bytes "
            "of it; it was never written, get the file again"
        )
    if chunk is not None:
        check_memory(_bytes(chunk, found.dtype), f"{where}, one chunk of it,")


def _bytes(shape: Sequence[int] | None, dtype: np.dtype) -> int:
    return math.prod(shape or ()) * dtype.itemsize


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
    """Some of a dataset, e.g. ``read_part(found, np.s_[:100])``; ``()`` is all of it.

    Raises:
        UserError: naming the file and the key, if it is damaged, or larger than memory.
    """
    if index == ():
        check_size(found)
    try:
        values = np.asarray(found[index])
        return values.astype(values.dtype.newbyteorder("="), copy=False)
    except MemoryError:
        raise UserError(
            f"{place(found.parent, _last(found))} {found.shape} does not fit into memory; use a part"
        ) from None
    except _DAMAGED as error:
        raise _damaged(found.parent, _last(found), error) from None


def values(data: Any) -> np.ndarray:
    """All of a dataset, or of what else is indexed as an array is.

    Raises:
        UserError: naming the file and the key, if it is damaged, or larger than memory.
    """
    return read_part(data, ()) if isinstance(data, h5py.Dataset) else np.asarray(data[:])


def text(value: Any) -> str:
    """Text that may be stored as bytes."""
    return value.decode(errors="replace") if isinstance(value, bytes) else str(value)


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
        if (found := parent.get(key)) is not None:
            return found
        around = parent.get(key.rpartition("/")[0]) if "/" in key else parent
        there = sorted((around if isinstance(around, h5py.Group) else parent).keys())
    except _DAMAGED as error:
        raise _damaged(parent, key, error) from None
    has = ", ".join(map(str, there[:_NAMED])) or "nothing"  # names that are not UTF-8 are bytes
    raise UserError(f"{place(parent, key)} is missing, there is {has}; is this file of another dataset?")


def _last(found: h5py.Dataset) -> str:
    return (found.name or "?").rsplit("/", 1)[-1]


def _damaged(parent: h5py.Group, key: str, error: BaseException) -> UserError:
    return UserError(f"{place(parent, key)} cannot be read ({_first_line(error)}); the file is damaged, get it again")


def _first_line(error: BaseException) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]
