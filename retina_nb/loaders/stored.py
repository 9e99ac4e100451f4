"""Recordings in one HDF5 file that gives them back to the bit.

    movies/0              attributes mean, std, channels
        frames            (channel, frame, height, width) of any dtype, or
        bits              (frame, byte) pixels -1 and 1, packed as by `numpy.packbits`; then also height, width;
                          where there are zscored_mean, zscored_std, frames are still to be normalised by them
    sessions/NAME         attributes order, session, movie, rate, pixel_um, unit, mirrored, signed
        responses         (time, neuron) float32
        frames, split     (time,); split is 0 for unused, 1 for train, 2 for validation, 3 for test
        onsets            (onset,)
        repeats/NAME      (trial, time) bins
        neurons/NAME      (neuron, ...)
        about/NAME        an array, text in JSON, or a group of such

Movies that sessions share are there once. What shrinks is compressed, and everything has checksums. Text is UTF-8.
"""

import json
import zlib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote

import h5py
import numpy as np

from retina_nb.errors import UserError
from retina_nb.files import expand_path, replace_file
from retina_nb.loaders import h5
from retina_nb.loaders.choose import choose
from retina_nb.loaders.formats import STORED, files_in
from retina_nb.loaders.h5_writing import create_h5
from retina_nb.loaders.normalize import ZscoredFrames
from retina_nb.loaders.on_disk import frames_of
from retina_nb.loaders.packed import PackedFrames
from retina_nb.recording import SPLITS, UNUSED, Movie, Recording, by_name

VERSION = 1

_LABELS = (UNUSED, *SPLITS)
_FACTS: dict[str, type] = {
    "session": str,
    "rate": float,
    "pixel_um": float,
    "unit": str,
    "mirrored": bool,
    "signed": bool,
}
_TABLES = ("repeats", "neurons", "about")
_BLOCK = 2**26  # bytes of a movie that are written at once
_CHUNK = 2**19  # bytes that are compressed together
_SAMPLE = 2**18  # bytes by which it is judged whether compression pays
_PAYS = 0.8  # it does if no more than this part is left
# What reading a damaged file can raise.
_UNREADABLE = (OSError, RuntimeError, LookupError, ValueError, TypeError, AttributeError, ArithmeticError, MemoryError)


def write_recordings(recordings: Recording | Mapping[str, Recording], path: str | Path) -> Path:
    """Write recordings into one HDF5 file, which `load_recordings` gives back exactly.

    Movies are written once however many sessions share them, block by block, so that they need not fit into memory.
    Frames keep their dtype; those that are packed or normalised where they are looked at are kept as they are, others
    that are computed are written as what they give.

    Args:
        recordings: the sessions by name, or one.
        path: the file, replaced if it exists.

    Returns:
        The path.

    Raises:
        UserError: if there is no recording, something in one cannot be written, or the file cannot, as on a full disk.
    """
    recordings, path = by_name(recordings), expand_path(path)
    with replace_file(path) as temporary, create_h5(temporary) as (file, raise_failure):
        _write_all(file, recordings, raise_failure)
    return path


def load(path: str | Path, *, sessions: Sequence[str] | None = None) -> dict[str, Recording]:
    """Read recordings that `write_recordings` wrote.

    Sessions that shared a movie share it again. A movie of more than `retina_nb.loaders.on_disk.IN_MEMORY` bytes stays
    on disk and is read where it is looked at.

    Args:
        path: the file, or a folder of such files.
        sessions: names of the sessions to read; by default all.

    Raises:
        UserError: naming the file and the key, if something is missing, damaged or does not fit together, or there is
            no such session.
    """
    found: dict[str, Recording] = {}
    known: list[str] = []
    for file in files_in(expand_path(path)):
        with h5.open_h5(file) as opened:
            movies: dict[str, Movie] = {}
            for name, group in _sessions(opened):
                if name in known:
                    raise UserError(f"{path} has two sessions of the name {name}; load the files one by one")
                known.append(name)
                if sessions is None or name in sessions:
                    found[name] = _read_session(name, group, movies)
    return found if sessions is None else {name: found[name] for name in choose(known, sessions, str(path))}


def _write_all(file: h5py.File, recordings: Mapping[str, Recording], raise_failure: Callable[[], None]) -> None:
    _put(file, format=STORED, version=VERSION)
    numbers: dict[int, str] = {}
    for order, (name, recording) in enumerate(recordings.items()):
        try:
            if id(recording.movie) not in numbers:
                numbers[id(recording.movie)] = str(len(numbers))
                _write_movie(file.create_group(f"movies/{len(numbers) - 1}"), recording.movie, raise_failure)
            group = file.create_group(f"sessions/{_key(name)}")
            _put(group, name=name, order=order, movie=numbers[id(recording.movie)])
            _write_session(group, recording)
            raise_failure()
        except (UserError, ValueError, TypeError) as error:
            printable = name.encode(errors="backslashreplace").decode()  # half of a character cannot even be shown
            raise UserError(f"session {printable} cannot be written: {error}") from None


def _write_movie(group: h5py.Group, movie: Movie, raise_failure: Callable[[], None]) -> None:
    _put(group, mean=movie.mean, std=movie.std, channels=json.dumps(movie.channels))
    frames: Any = movie.frames
    if isinstance(frames, ZscoredFrames):
        _put(group, zscored_mean=frames.mean, zscored_std=frames.std)
        frames = frames.frames
    channel, frame, height, width = frames.shape
    _put(group, height=height, width=width)
    if isinstance(frames, PackedFrames):
        _write(group, "bits", frames.bits)
        return
    frame_bytes = np.asarray(frames[:, np.arange(1)]).nbytes
    step = max(1, _BLOCK // frame_bytes)
    first = np.asarray(frames[:, np.arange(min(step, frame))])
    chunks = (channel, min(frame, max(1, _CHUNK // frame_bytes)), height, width)
    shape = (channel, frame, height, width)
    target = group.create_dataset("frames", shape, first.dtype, chunks=chunks, fletcher32=True, **_compression(first))
    for start in range(0, frame, step):
        target[:, start : start + step] = frames[:, np.arange(start, min(start + step, frame))]
        raise_failure()


def _write_session(group: h5py.Group, recording: Recording) -> None:
    _put(group, **{name: kind(getattr(recording, name)) for name, kind in _FACTS.items()})
    _put(group, split_dtype=recording.split.dtype.str)
    _write(group, "split", np.select([recording.split == label for label in _LABELS], np.arange(4, dtype=np.uint8)))
    for name in ("responses", "frames", "onsets"):
        _write(group, name, getattr(recording, name))
    for name in _TABLES:
        _write_table(group, name, getattr(recording, name))


def _write_table(group: h5py.Group, key: str, values: Mapping[Any, Any], deepest: int = h5.DEEPEST) -> None:
    table = group.create_group(key, track_order=True)
    for name, value in values.items():
        if not isinstance(name, str):
            raise UserError(f"the name {name!r} must be text")
        if isinstance(value, Mapping):
            if not deepest:
                raise UserError(f"{name!r} lies in itself, or too deep: dictionaries in {h5.DEEPEST} others at most")
            _write_table(table, _key(name), value, deepest - 1)
        else:
            _write_named(table, name, value)


def _write_named(table: h5py.Group, name: str, values: Any) -> None:
    """Write an array of any dtype that has a meaning elsewhere; anything else as JSON."""
    if np.ma.isMaskedArray(values):
        raise UserError(f"{name!r} is a masked array, whose mask would be lost; fill what is masked")
    if isinstance(values, np.ndarray | np.generic):
        array, dtype = np.asarray(values), "" if isinstance(values, np.ndarray) else "scalar "
        dtype += array.dtype.str
    else:
        array, dtype = np.array(_as_json(name, values), object), "json"
    if array.dtype.kind == "U" or (array.dtype == object and all(isinstance(one, str) for one in array.flat)):
        array = np.array([one.encode() for one in array.flat], dtype=object).reshape(array.shape)
        if any(one.endswith(b"\0") for one in array.flat):
            raise UserError(f"{name!r} has a text that ends on a null character")
        array = array.astype("S").astype(h5py.string_dtype("utf-8", max([1, *map(len, array.flat)])))
    elif array.dtype.kind in "mM":
        array = array.astype(np.int64)
    elif array.dtype.kind not in "biufcS":
        raise UserError(f"{name!r} is an array of {array.dtype}, make it one of numbers or of text")
    _write(table, _key(name), np.atleast_1d(array))
    _put(table[_key(name)], dtype=dtype, shape=array.shape)


def _as_json(name: str, value: Any) -> str:
    try:
        text, changed = json.dumps(value), _changed_by_json(value)
    except (TypeError, ValueError, RecursionError):
        raise UserError(f"{name!r} is a {type(value).__name__} that JSON does not know") from None
    if changed:
        raise UserError(f"{name!r} has a tuple, or keys that are not text, which JSON does not keep; make it a list")
    return text


def _changed_by_json(value: Any) -> bool:
    if isinstance(value, dict):
        return not all(isinstance(key, str) for key in value) or any(map(_changed_by_json, value.values()))
    return isinstance(value, tuple) or (isinstance(value, list) and any(map(_changed_by_json, value)))


def _write(group: h5py.Group, key: str, array: np.ndarray) -> None:
    options = {"chunks": True, "fletcher32": True, **_compression(array)} if array.size else {}
    group.create_dataset(key, data=array, **options)


def _put(group: h5py.Group | h5py.Dataset, **attributes: Any) -> None:
    """Write attributes. Text of fixed length is part of what HDF5 has checksums for, other text is not."""
    for name, value in attributes.items():
        if isinstance(value, str) and value.endswith("\0"):
            raise UserError(f"{name} {value!r} ends on a null character")
        text = value.encode() if isinstance(value, str) else b""
        group.attrs.create(name, text or value, dtype=h5py.string_dtype("utf-8", len(text)) if text else None)


def _compression(array: np.ndarray) -> dict[str, Any]:
    """Compression if it pays, by the start of an array, its bytes shuffled as HDF5 does it."""
    values = array.reshape(-1)[: max(1, _SAMPLE // array.dtype.itemsize)]
    sample = np.ascontiguousarray(values).view(np.uint8).reshape(len(values), -1).T.tobytes()
    pays = len(sample) > _SAMPLE // 64 and len(zlib.compress(sample, 4)) <= _PAYS * len(sample)
    return {"compression": "gzip", "shuffle": True} if pays else {}


def _sessions(file: h5py.File) -> list[tuple[str, h5py.Group]]:
    """The sessions of a file by name, in the order in which they were written."""
    if (version := h5.attribute(file, "version")) != VERSION:
        raise UserError(f"{file.filename} is written in version {version} of the format, known is {VERSION}")
    sessions = h5.group(file, "sessions")
    groups = [h5.group(sessions, key) for key in h5.keys(sessions)]
    groups.sort(key=lambda group: _fact(group, "order", int))
    return [(_fact(group, "name", str), group) for group in groups]


def _read_session(name: str, group: h5py.Group, movies: dict[str, Movie]) -> Recording:
    try:
        number = str(h5.attribute(group, "movie"))
        if number not in movies:
            movies[number] = _read_movie(h5.group(group.file, f"movies/{number}"))
        return _as_recording(group, movies[number])
    except _UNREADABLE as error:
        reason = str(error) if isinstance(error, UserError) else f"it is damaged ({error}); get the file again"
        file = group.file.filename
        raise UserError(f"session {name}{'' if file in reason else f' of {file}'}: {reason}") from None


def _as_recording(group: h5py.Group, movie: Movie) -> Recording:
    codes = h5.read(group, "split", axes="time", kind="u")
    if codes.max() >= len(_LABELS):
        raise UserError(f"{h5.place(group, 'split')} has {codes.max()}, the largest label is {len(_LABELS) - 1}")
    facts = {name: _fact(group, name, kind) for name, kind in _FACTS.items()}
    tables: dict[str, Any] = {name: _read_table(h5.tree(h5.group(group, name))) for name in _TABLES}
    return Recording(
        movie=movie,
        responses=h5.read(group, "responses", axes="time neuron", kind="f"),
        frames=h5.read(group, "frames", axes="time", kind="i"),
        split=np.array(_LABELS)[codes].astype(h5.attribute(group, "split_dtype")),
        onsets=h5.read(group, "onsets", axes="onset", kind="i"),
        **facts,
        **tables,
    )


def _fact(group: h5py.Group, name: str, kind: type) -> Any:
    value = h5.attribute(group, name)
    if kind is float and type(value) is int:  # as earlier versions wrote what was given as one
        value = float(value)
    if not isinstance(value, kind):
        raise UserError(f"{h5.place(group, name)} must be {kind.__name__}, it is {value!r}; get the file again")
    return value


def _read_movie(group: h5py.Group) -> Movie:
    facts = {name: float(h5.attribute(group, name)) for name in group.attrs if name.endswith(("mean", "std"))}
    channels = tuple(json.loads(h5.attribute(group, "channels")))
    height, width = (int(h5.attribute(group, name)) for name in ("height", "width"))
    if "bits" in h5.keys(group):
        bits = h5.read(group, "bits", axes="frame byte", kind="u", shape=(None, -(-height * width // 8)))
        frames: Any = PackedFrames(bits, height, width)
    else:
        frames = frames_of(group.file.filename, f"{group.name}/frames".lstrip("/"))
        if frames.shape[2:] != (height, width):
            raise UserError(
                f"{h5.place(group, 'frames')} must be (channel, frame, {height}, {width}), not {frames.shape}; get the "
                "file again"
            )
    if {"zscored_mean", "zscored_std"} & facts.keys():
        frames = ZscoredFrames(frames, facts["zscored_mean"], facts["zscored_std"])
    return Movie(frames, facts["mean"], facts["std"], channels)


def _read_table(held: dict[str, Any]) -> dict[str, Any]:
    return {_name(key): _read_table(one) if isinstance(one, dict) else _read_value(one) for key, one in held.items()}


def _read_value(found: h5py.Dataset) -> Any:
    dtype = found.attrs["dtype"].decode()
    values = h5.read_part(found, ()).reshape(found.attrs["shape"])
    if dtype == "json":
        return json.loads(values.item())
    kind = np.dtype(dtype.removeprefix("scalar "))
    if kind.kind in "UO":
        values = np.array([one.decode() for one in values.flat], object).reshape(values.shape)
    if values.dtype.kind in "fc" and not np.can_cast(values.dtype, kind, "same_kind"):
        raise UserError(
            f"{found.file.filename}: {found.name} has {values.dtype} in place of the {kind} that was written; get the "
            "file again"
        )
    values = values.astype(kind, copy=False)
    return values[()] if dtype.startswith("scalar ") else values


def _key(name: str) -> str:
    """A name as HDF5 admits it: without slashes, not empty and not only of dots."""
    key = quote(name, safe=" ") or "%"
    return key if key.strip(".") else key.replace(".", "%2E")


def _name(key: str) -> str:
    return "" if key == "%" else unquote(key)
