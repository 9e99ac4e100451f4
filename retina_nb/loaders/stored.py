"""Recordings in one HDF5 file that gives them back to the bit.

    movies/0              attributes mean, std, channels
        frames            (channel, frame, height, width) of any dtype, or
        bits              (frame, byte) pixels -1 and 1, packed as by `numpy.packbits`; attributes height, width
    sessions/NAME         attributes order, session, movie, rate, pixel_um, unit, mirrored
        responses         (time, neuron) float32
        frames, split     (time,); split is 0 for unused, 1 for train, 2 for validation, 3 for test
        onsets            (onset,)
        repeats/NAME      (trial, time) bins
        neurons/NAME      (neuron, ...)
        metadata/NAME     an array, or text in JSON

Movies that sessions share are there once. What shrinks is compressed. Text is UTF-8.
"""

import json
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote

import h5py
import numpy as np

from retina_nb.errors import UserError, unknown
from retina_nb.files import replace_file
from retina_nb.loaders import h5
from retina_nb.loaders.formats import STORED, files_in
from retina_nb.loaders.on_disk import frames_of
from retina_nb.loaders.packed import PackedFrames
from retina_nb.recording import SPLITS, UNUSED, Movie, Recording

VERSION = 1

_LABELS = (UNUSED, *SPLITS)
_BLOCK = 2**26  # bytes of a movie that are written at once
_CHUNK = 2**19  # bytes that are compressed together
_SAMPLE = 2**18  # bytes by which it is judged whether compression pays
_PAYS = 0.8  # it does if no more than this part is left
# What reading a damaged file can raise.
_UNREADABLE = (OSError, RuntimeError, LookupError, ValueError, TypeError, AttributeError, ArithmeticError, MemoryError)


def write_recordings(recordings: Mapping[str, Recording], path: str | Path) -> Path:
    """Write recordings into one HDF5 file, which `load_recordings` gives back exactly.

    Movies are written once however many sessions share them, block by block, so that they need not fit into memory.
    Frames keep their dtype, and packed frames stay packed; frames that are computed are written as what they give.

    Args:
        recordings: the sessions by name.
        path: the file, replaced if it exists.

    Returns:
        The path.

    Raises:
        UserError: if there is no recording, something in one cannot be written, or the file cannot.
    """
    if not recordings:
        raise UserError(f"there are no recordings to write to {path}")
    with replace_file(path) as temporary:
        try:
            with h5py.File(temporary, "w") as file:
                _write_all(file, recordings)
        except OSError as error:
            raise UserError(f"cannot write {path}: {error.strerror or error}") from None
    return Path(path)


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
    for file in files_in(Path(path)):
        with h5.open_h5(file) as opened:
            movies: dict[str, Movie] = {}
            for name, group in _sessions(opened):
                if name in known:
                    raise UserError(f"{path} has two sessions of the name {name}; load the files one by one")
                known.append(name)
                if sessions is None or name in sessions:
                    found[name] = _read_session(name, group, movies)
    for name in sessions or ():
        if name not in known:
            raise unknown(f"session of {path}", name, known)
    return found if sessions is None else {name: found[name] for name in sessions}


def _write_all(file: h5py.File, recordings: Mapping[str, Recording]) -> None:
    file.attrs["format"], file.attrs["version"] = STORED, VERSION
    numbers: dict[int, str] = {}
    for order, (name, recording) in enumerate(recordings.items()):
        try:
            if id(recording.movie) not in numbers:
                numbers[id(recording.movie)] = str(len(numbers))
                _write_movie(file.create_group(f"movies/{len(numbers) - 1}"), recording.movie)
            group = file.create_group(f"sessions/{_key(name)}")
            group.attrs.update({"name": name, "order": order, "movie": numbers[id(recording.movie)]})
            _write_session(group, recording)
        except (UserError, ValueError, TypeError) as error:
            raise UserError(f"session {name} cannot be written: {error}") from None


def _write_movie(group: h5py.Group, movie: Movie) -> None:
    group.attrs.update({"mean": movie.mean, "std": movie.std, "channels": json.dumps(movie.channels)})
    if isinstance(movie.frames, PackedFrames):
        _, _, height, width = movie.frames.shape
        _write(group, "bits", movie.frames.bits)
        group["bits"].attrs.update({"height": height, "width": width})
        return
    channel, frame, height, width = movie.frames.shape
    first = np.asarray(movie.frames[:, np.arange(1)])
    step = max(1, _BLOCK // first.nbytes)
    first = np.asarray(movie.frames[:, np.arange(min(step, frame))])
    chunks = (channel, min(frame, max(1, _CHUNK * frame // first.nbytes)), height, width)
    options = {"chunks": chunks, "compression": "gzip", "shuffle": True} if _pays(first) else {}
    target = group.create_dataset("frames", movie.frames.shape, first.dtype, **options)
    for start in range(0, frame, step):
        target[:, start : start + step] = movie.frames[:, np.arange(start, min(start + step, frame))]


def _write_session(group: h5py.Group, recording: Recording) -> None:
    for name in ("session", "rate", "pixel_um", "unit", "mirrored"):
        group.attrs[name] = getattr(recording, name)
    codes = np.zeros(len(recording), np.uint8)
    for code, label in enumerate(_LABELS):
        codes[recording.split == label] = code
    _write(group, "split", codes)
    group["split"].attrs["dtype"] = recording.split.dtype.str
    for name in ("responses", "frames", "onsets"):
        _write(group, name, getattr(recording, name))
    tables = {name: group.create_group(name, track_order=True) for name in ("repeats", "neurons", "metadata")}
    for name in tables:
        for key, values in getattr(recording, name).items():
            _write_named(tables[name], key, values)


def _write_named(group: h5py.Group, name: str, values: Any) -> None:
    """Write an array of any dtype that has a meaning elsewhere; anything else as JSON."""
    key = _key(name)
    if not isinstance(values, np.ndarray | np.generic):
        group[key] = json.dumps(values)
        group[key].attrs["dtype"] = "json"
        return
    array = np.asarray(values)
    text = array.dtype.kind == "U" or (array.dtype == object and all(isinstance(one, str) for one in array.flat))
    if text:
        group.create_dataset(key, data=array.astype(object), dtype=h5py.string_dtype())
    elif array.dtype.kind in "mM":
        _write(group, key, array.astype(np.int64))
    elif array.dtype.kind in "biufcS":
        _write(group, key, array)
    else:
        raise UserError(f"{name!r} is an array of {array.dtype}, make it one of numbers or of text")
    group[key].attrs["dtype"] = array.dtype.str
    group[key].attrs["scalar"] = isinstance(values, np.generic)


def _write(group: h5py.Group, key: str, array: np.ndarray) -> None:
    options = {"compression": "gzip", "shuffle": True} if array.ndim and _pays(array) else {}
    group.create_dataset(key, data=array, **options)


def _pays(array: np.ndarray) -> bool:
    """Whether compression pays, by the start of an array, its bytes shuffled as HDF5 does it."""
    values = array.reshape(-1)[: max(1, _SAMPLE // array.dtype.itemsize)]
    if values.nbytes < _SAMPLE // 64:
        return False
    sample = np.ascontiguousarray(values).view(np.uint8).reshape(len(values), -1).T.tobytes()
    return len(zlib.compress(sample, 4)) <= _PAYS * len(sample)


def _sessions(file: h5py.File) -> list[tuple[str, h5py.Group]]:
    """The sessions of a file by name, in the order in which they were written."""
    if (version := h5.attribute(file, "version")) != VERSION:
        raise UserError(f"{file.filename} is written in version {version} of the format, known is {VERSION}")
    sessions = h5.group(file, "sessions")
    groups = [h5.group(sessions, key) for key in h5.keys(sessions)]
    groups.sort(key=lambda group: float(h5.attribute(group, "order")))
    return [(str(h5.attribute(group, "name")), group) for group in groups]


def _read_session(name: str, group: h5py.Group, movies: dict[str, Movie]) -> Recording:
    try:
        number = str(h5.attribute(group, "movie"))
        if number not in movies:
            movies[number] = _read_movie(h5.group(group.file, f"movies/{number}"))
        return _as_recording(group, movies[number])
    except _UNREADABLE as error:
        reason = str(error) if isinstance(error, UserError) else f"it is damaged ({error}); get the file again"
        raise UserError(f"cannot read session {name} of {group.file.filename}: {reason}") from None


def _as_recording(group: h5py.Group, movie: Movie) -> Recording:
    codes = h5.read(group, "split", axes="time", kind="u")
    tables = {name: _read_named(group, name) for name in ("repeats", "neurons", "metadata")}
    return Recording(
        session=str(h5.attribute(group, "session")),
        movie=movie,
        responses=h5.read(group, "responses", axes="time neuron", kind="f"),
        rate=float(h5.attribute(group, "rate")),
        frames=h5.read(group, "frames", axes="time", kind="i"),
        split=np.array(_LABELS)[codes].astype(str(h5.attribute(group["split"], "dtype"))),
        onsets=h5.read(group, "onsets", axes="onset", kind="i"),
        mirrored=bool(h5.attribute(group, "mirrored")),
        pixel_um=float(h5.attribute(group, "pixel_um")),
        unit=str(h5.attribute(group, "unit")),
        **tables,
    )


def _read_movie(group: h5py.Group) -> Movie:
    statistics = {name: float(h5.attribute(group, name)) for name in ("mean", "std")}
    channels = tuple(json.loads(h5.attribute(group, "channels")))
    if "bits" not in h5.keys(group):
        return Movie(frames_of(group.file.filename, f"{group.name}/frames"), **statistics, channels=channels)
    bits = h5.dataset(group, "bits", axes="frame byte", kind="u")
    height, width = (int(h5.attribute(bits, name)) for name in ("height", "width"))
    bits = h5.read(group, "bits", axes="frame byte", kind="u", shape=(None, -(-height * width // 8)))
    return Movie(PackedFrames(bits, height, width), **statistics, channels=channels)


def _read_named(parent: h5py.Group, name: str) -> dict[str, Any]:
    if name not in h5.keys(parent):
        return {}
    group = h5.group(parent, name)
    return {_name(key): _read_value(group[key]) for key in group}  # in the order in which they were written


def _read_value(found: h5py.Dataset) -> Any:
    values, dtype = h5.read_part(found, ()), str(h5.attribute(found, "dtype"))
    if values.dtype == object:
        values = np.array([one.decode() for one in values.flat], object).reshape(values.shape)
    if dtype == "json":
        return json.loads(values.item())
    values = values.astype(dtype, copy=False)
    return values[()] if h5.attribute(found, "scalar") else values


def _key(name: str) -> str:
    """A name as HDF5 admits it: without slashes, not empty and not only of dots."""
    key = quote(name, safe=" ") or "%"
    return key if key.strip(".") else key.replace(".", "%2E")


def _name(key: str) -> str:
    return "" if key == "%" else unquote(key)
