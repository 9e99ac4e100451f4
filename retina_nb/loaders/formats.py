"""What a file or folder of the user's own holds, by its content, whatever its name."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from retina_nb.errors import UserError
from retina_nb.loaders import h5
from retina_nb.loaders.choose import choose

# What `write_recordings` puts into the attribute ``format`` of its files.
STORED = "retina_nb recordings"


class Format(NamedTuple):
    """A file format: what to call it, and the module of this package that reads it."""

    name: str
    module: str


_STORED, _LAYOUT, _NWB = Format("retina_nb", "stored"), Format("HDF5", "hdf5"), Format("NWB", "nwb")
_SUFFIXES = (".h5", ".hdf5", ".nwb")


def format_of(path: Path) -> Format:
    """The format of a file, or of the files in a folder.

    Raises:
        UserError: if it cannot be read, or is not of a known format or of several.
    """
    formats = {file: _format_of_file(file) for file in files_in(path)}
    first = next(iter(formats))
    for file, found in formats.items():
        if found != formats[first]:
            raise UserError(
                f"{path} has {formats[first].name} files ({first.name}) and {found.name} files ({file.name}); put them "
                "into folders of their own"
            )
    return formats[first]


def files_in(path: Path) -> list[Path]:
    """The file, or the files of recordings in a folder, sorted by name.

    Raises:
        UserError: if there is none, or the folder cannot be read.
    """
    if not path.is_dir():
        return [path]
    try:
        files = sorted(file for file in path.iterdir() if file.suffix in _SUFFIXES and not file.name.startswith("."))
    except OSError as error:
        raise UserError(f"cannot read the folder {path}: {error.strerror or error}") from None
    if not files:
        has = ", ".join(sorted(file.name for file in path.iterdir())[:20]) or "nothing"
        raise UserError(
            f"{path} has no file of recordings, that is, none ending on {', '.join(_SUFFIXES)}: it has {has}; give the "
            "path of a file if one of them is HDF5, or read its arrays and make a retina_nb.Recording of them"
        )
    return files


def session_files(path: Path, sessions: Sequence[str] | None) -> dict[str, Path]:
    """The file of each session, where every file is a session and named after it.

    Args:
        path: a file, or a folder of files.
        sessions: which, in this order; by default all.

    Raises:
        UserError: if there is no such session, it is asked for twice, or two files have the same name.
    """
    files: dict[str, Path] = {}
    for file in files_in(path):
        if file.stem in files:
            raise UserError(f"{path} has two files of session {file.stem}, {files[file.stem].name} and {file.name}")
        files[file.stem] = file
    return {session: files[session] for session in choose(files, sessions, str(path))}


def _format_of_file(path: Path) -> Format:
    with h5.open_h5(path) as file:
        keys = h5.keys(file)
        if "format" in file.attrs and h5.attribute(file, "format") == STORED:
            return _STORED
        if "nwb_version" in file.attrs:
            return _NWB
        if any(key.startswith("responses_") for key in keys):
            return _LAYOUT
        raise UserError(
            f"{path} is HDF5, but not in a known layout: it has {', '.join(keys[:20]) or 'nothing'}, and neither "
            "datasets responses_NAME nor what write_recordings or NWB writes; read its arrays (with h5py) and make a "
            "retina_nb.Recording of them"
        )
