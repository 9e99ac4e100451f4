"""Damage done to files: to their bytes, whatever they hold, and to one of the parts of those that have some."""

import json
import pickle
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from hypothesis import strategies as st
from safetensors import safe_open
from safetensors.numpy import load, save

BYTES = ("flipped", "header flipped", "truncated", "bytes lost", "bytes added")
PARTS = ("removed", "axes swapped", "as text", "as another number", "not finite", "emptied", "of another kind")
# What a stranger may do to a dataset of an HDF5 file: the first draw on another file.
DRAWING = ("external link", "external storage", "virtual")
HOSTILE = (*DRAWING, "soft link to itself", "soft link to nothing", "group that holds itself", "claims gigabytes",
           "references", "huge numbers", "negative numbers", "deep groups")  # fmt: skip
_HEADER = 4096


def damage_bytes(content: bytes, how: str, data: st.DataObject) -> bytes:
    """A file's content with some bytes changed, lost or added."""
    end = len(content) if how != "header flipped" else min(_HEADER, len(content))
    at = data.draw(st.integers(0, end - 1), "at")
    if how == "truncated":
        return content[:at]
    if how == "bytes lost":
        return content[:at] + content[at + data.draw(st.integers(1, 300), "lost") :]
    if how == "bytes added":
        return content[:at] + data.draw(st.binary(min_size=1, max_size=100), "added") + content[at:]
    damaged = bytearray(content)
    for place in {at, *data.draw(st.lists(st.integers(0, end - 1), max_size=15), "and at")}:
        damaged[place] ^= data.draw(st.integers(1, 255), "flip")
    return bytes(damaged)


def parts_of(path: Path) -> list[str]:
    """Names of what a file has that can be damaged by itself; none if it is not of a kind that has parts."""
    return list(_READERS[path.suffix][0](path)) if path.suffix in _READERS else []


def damage_part(path: Path, part: str, how: str, data: st.DataObject) -> bool:
    """Damage a part of a file in place; whether there was something to damage so."""
    return _READERS[path.suffix][1](path, part, how, data)


# ---- one value


class _Gone:
    """In place of a value that is removed."""


def _changed(value: Any, how: str, data: st.DataObject) -> Any:
    """A value after damage; None if it cannot be damaged so."""
    if how == "removed":
        return _Gone
    if how == "of another kind":
        number = isinstance(value, int | float | np.number) or (isinstance(value, np.ndarray) and value.size == 1)
        return np.array("text", "S4") if number else np.array(7.5)
    if not isinstance(value, np.ndarray) or not value.size:
        return None
    if how == "emptied":
        return value[:0] if value.ndim else None
    if how == "axes swapped":
        if value.ndim < 2:
            return None
        first, second = data.draw(st.permutations(range(value.ndim)), "axes")[:2]
        swapped = np.ascontiguousarray(value.swapaxes(first, second))
        return swapped if swapped.shape != value.shape else None
    if how == "as text":
        return value.astype("S9") if value.dtype.kind in "fiub" else None
    if value.dtype.kind not in "fiu":
        return None
    if how == "as another number":
        with np.errstate(all="ignore"):
            return value.astype(data.draw(st.sampled_from(["f4", "f8", "i8", "u1", "?", "c16"]), "dtype"))
    damaged = value.astype(np.float64 if value.dtype.kind != "f" else value.dtype)
    damaged.flat[data.draw(st.integers(0, damaged.size - 1), "at")] = data.draw(
        st.sampled_from([np.nan, np.inf]), "put"
    )
    return damaged


# ---- HDF5: objects by their path, attributes behind an @


def _h5_parts(path: Path) -> list[str]:
    found: list[str] = []
    with h5py.File(path, "r") as file:
        found += [f"@{name}" for name in file.attrs]
        file.visititems(lambda name, item: found.extend([name, *(f"{name}@{key}" for key in item.attrs)]))
    return found


def _damage_h5(path: Path, part: str, how: str, data: st.DataObject) -> bool:
    with h5py.File(path, "r+") as file:
        place, _, attribute = part.partition("@")
        if attribute or not place:
            return _put(file[place or "/"].attrs, attribute, file[place or "/"].attrs[attribute], how, data)
        item = file[place]
        value = item[()] if isinstance(item, h5py.Dataset) else item
        attributes = dict(item.attrs) if isinstance(item, h5py.Dataset) else {}
        if isinstance(item, h5py.Dataset) and item.dtype.hasobject and how not in ("removed", "of another kind"):
            return False
        if not _put(file, place, value, how, data):
            return False
        if place in file:
            for key, one in attributes.items():
                file[place].attrs[key] = one
        return True


def _put(table: Any, key: str, value: Any, how: str, data: st.DataObject) -> bool:
    changed = _changed(value, how, data)
    if changed is None:
        return False
    del table[key]
    if changed is not _Gone:
        table[key] = changed
    return True


def datasets_of(path: Path) -> list[str]:
    """Names of the datasets of an HDF5 file; none if it is of another kind."""
    return [part for part in parts_of(path) if "@" not in part and _is_dataset(path, part)] if _is_h5(path) else []


def make_hostile(path: Path, part: str, how: str, other: Path) -> bool:
    """Replace a dataset by something hostile, see `HOSTILE`; whether that can be done to it.

    Args:
        path: the HDF5 file.
        part: the dataset.
        how: one of `HOSTILE`.
        other: another HDF5 file, of which nothing must ever be seen.
    """
    with h5py.File(path, "r+") as file:
        old = file[part]
        shape, dtype, values, attributes = old.shape, old.dtype, old[()], dict(old.attrs)
        if how in ("external storage", "virtual", "claims gigabytes", "huge numbers", "negative numbers") and (
            dtype.kind not in "fiu" or not shape
        ):
            return False
        del file[part]
        if how == "external link":
            file[part] = h5py.ExternalLink(str(other), "/secret")
        elif how == "external storage":
            size = int(np.prod(shape)) * dtype.itemsize
            file.create_dataset(part, shape, dtype, external=[(str(other), 0, max(size, 1))])
        elif how == "virtual":
            layout = h5py.VirtualLayout(shape, dtype)
            layout[:] = h5py.VirtualSource(str(other), "secret", shape)
            file.create_virtual_dataset(part, layout)
        elif how == "soft link to itself":
            file[part] = h5py.SoftLink(f"/{part}")
        elif how == "soft link to nothing":
            file[part] = h5py.SoftLink("/nothing here")
        elif how == "group that holds itself":
            group = file.create_group(part)
            group["more"] = group
        elif how == "deep groups":
            file.create_group(part + "/x" * 2000)
        elif how == "claims gigabytes":
            chunks = tuple(max(1, min(size, 1000)) for size in shape)
            file.create_dataset(part, (10**10, *shape[1:]), dtype, chunks=chunks, fillvalue=1)
        elif how == "references":
            file[part] = np.full(shape or (1,), file.ref, h5py.ref_dtype)
        else:
            changed = np.array(values)
            changed.flat[0] = (
                (1e30 if dtype.kind == "f" else np.iinfo(dtype).max) if how[0] == "h" else -1 * (dtype.kind != "u")
            )
            file[part] = changed
        if isinstance(file.get(part, getlink=True), h5py.HardLink):
            for key, one in attributes.items():
                file[part].attrs[key] = one
    return True


def _is_h5(path: Path) -> bool:
    return _READERS.get(path.suffix) is _H5


def _is_dataset(path: Path, part: str) -> bool:
    with h5py.File(path, "r") as file:
        return isinstance(file[part], h5py.Dataset)


# ---- pickles: keys of dictionaries, joined by slashes


def _pickle_parts(path: Path) -> Iterator[str]:
    yield from _dictionary_parts(pickle.loads(path.read_bytes()))


def _dictionary_parts(content: dict) -> Iterator[str]:
    for key, value in content.items():
        yield str(key)
        if isinstance(value, dict):
            yield from (f"{key}/{part}" for part in _dictionary_parts(value))


def _place(content: dict, part: str) -> tuple[dict, Any]:
    """The dictionary that a part is in, and its key there."""
    *way, last = part.split("/")
    for name in way:
        content = content[name]
    return content, next(key for key in content if str(key) == last)  # some are numbers


def _damage_pickle(path: Path, part: str, how: str, data: st.DataObject) -> bool:
    content = pickle.loads(path.read_bytes())
    table, key = _place(content, part)
    done = _put(table, key, table[key], how, data)
    path.write_bytes(pickle.dumps(content))
    return done


# ---- arrays of numpy, lines of text, tensors of safetensors


def _damage_npy(path: Path, part: str, how: str, data: st.DataObject) -> bool:
    changed = _changed(np.load(path), how, data)
    if changed is _Gone:
        path.unlink()
    elif changed is not None:
        np.save(path, changed)
    return changed is not None


def _damage_text(path: Path, part: str, how: str, data: st.DataObject) -> bool:
    lines = path.read_text().splitlines()
    at = data.draw(st.integers(0, len(lines) - 1), "line")
    words = lines[at].split()
    column = data.draw(st.sampled_from([0, 3, 4]), "column")
    if how == "removed":
        lines = lines[:at]
    elif how in ("axes swapped", "as another number"):
        return False
    else:
        words[column] = {"as text": "x", "not finite": "nan", "emptied": "", "of another kind": "1e99"}[how]
        lines[at] = " ".join(words)
    path.write_text("".join(f"{line}\n" for line in lines))
    return True


def _tensor_parts(path: Path) -> Iterator[str]:
    with safe_open(path, "np") as file:
        yield from file.keys()
        for key, text in (file.metadata() or {}).items():
            yield f"@{key}"
            if text.startswith("{"):  # another is a digest
                yield from (f"@{key}@{part}" for part in _dictionary_parts(json.loads(text)))


def _damage_tensor(path: Path, part: str, how: str, data: st.DataObject) -> bool:
    tensors = load(path.read_bytes())
    with safe_open(path, "np") as file:
        metadata: dict[str, str] = file.metadata()
    if not part.startswith("@"):
        if not _put(tensors, part, tensors[part], how, data):
            return False
        if part in tensors and tensors[part].dtype.kind not in "fiub":  # which such a file cannot have
            return False
    elif how not in ("removed", "of another kind"):
        return False
    else:
        _damage_card(metadata, part, how)
    path.write_bytes(save(tensors, metadata))
    return True


def _damage_card(metadata: dict[str, str], part: str, how: str) -> None:
    _, key, place = (part + "@").split("@", 2)
    text = metadata.pop(key)
    card = json.loads(text) if place else [7.5]
    if place:
        table, last = _place(card, place.rstrip("@"))
        value = table.pop(last)
        if how == "of another kind":
            table[last] = "text" if isinstance(value, int | float | list | dict | None) else [7.5]
    elif how == "removed":
        return
    metadata[key] = json.dumps(card)


# ---- checkpoints of torch: what the pickle in the archive names


def _checkpoint_parts(path: Path) -> Iterator[str]:
    with zipfile.ZipFile(path) as archive:
        for member in archive.namelist():
            yield member
            if member.endswith("data.pkl"):
                yield from (f"{member}@{name.decode()}" for name in _names_in(archive.read(member)))


def _damage_checkpoint(path: Path, part: str, how: str, data: st.DataObject) -> bool:
    """Take away a member of the archive, or call one of the names in its pickle something else."""
    if how != "removed":
        return False
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    member, _, name = part.partition("@")
    if name:
        at = data.draw(st.integers(0, len(name) - 1), "letter")
        renamed = name[:at] + ("x" if name[at] != "x" else "y") + name[at + 1 :]
        members[member] = members[member].replace(_pickled(name), _pickled(renamed))
    else:
        del members[member]
    with zipfile.ZipFile(path, "w") as archive:
        for one, content in members.items():
            archive.writestr(one, content)
    return True


def _pickled(text: str) -> bytes:
    """A text as the second protocol of pickle writes it."""
    return b"X" + len(text).to_bytes(4, "little") + text.encode()


def _names_in(content: bytes) -> list[bytes]:
    """Texts of some length in a pickle of the second protocol."""
    found = []
    for start in range(len(content) - 5):
        size = int.from_bytes(content[start + 1 : start + 5], "little")
        text = content[start + 5 : start + 5 + size]
        if content[start] == ord("X") and 6 < size < 100 and len(text) == size and text.isascii():
            found.append(text)
    return sorted(set(found))


_H5 = (_h5_parts, _damage_h5)
_READERS: dict[str, tuple[Callable[[Path], Any], Callable[[Path, str, str, st.DataObject], bool]]] = {
    **dict.fromkeys((".h5", ".hdf5", ".mat", ".nwb"), _H5),
    ".pkl": (_pickle_parts, _damage_pickle),
    ".npy": (lambda _: [""], _damage_npy),
    ".txt": (lambda _: [""], _damage_text),
    ".safetensors": (_tensor_parts, _damage_tensor),
    ".ckpt": (_checkpoint_parts, _damage_checkpoint),
}
