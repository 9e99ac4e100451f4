"""Paths as users give them, and writing files so that nobody ever finds half of one."""

import errno
import hashlib
import os
import platform
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any
from uuid import uuid4

from retina_nb.errors import UserError

_TEMPORARY = re.compile(r"\.retina_nb-(?P<machine>[0-9a-f]{8})-(?P<pid>\d{1,9})-[0-9a-f]{8}(\..*)?")
_RESERVED = {"con", "prn", "aux", "nul", *(f"{port}{number}" for port in ("com", "lpt") for number in range(1, 10))}
_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}

# How many more files are written to a folder before it is searched for remains again, which takes long in a large one.
_unsearched: dict[Path, int] = {}


def expand_path(path: Any) -> Path:
    """A path of the user's, with ``~`` and ``~name`` as the home folders that they mean.

    Args:
        path: text, or a `Path`.

    Raises:
        UserError: if it is empty, is no text, or nobody of that name has a home folder here.
    """
    if not isinstance(path, str | os.PathLike) or not isinstance(os.fspath(path), str):
        raise UserError(f"a path must be text, not {path!r}")
    text = os.fspath(path)
    if not text.strip():
        raise UserError("the path is empty: give the name of a file or folder, '.' for the current folder")
    try:
        os.fsencode(text)
    except UnicodeEncodeError:
        raise UserError(f"no file can have the name {text!r}: it has half a character") from None
    if "\0" in text:
        raise UserError(f"no file can have the name {text!r}: it has a null character")
    expanded = Path(os.path.expanduser(text))
    if str(expanded).startswith("~") and not expanded.exists():
        raise UserError(f"there is no home folder {expanded.parts[0]} for {text}; give the path without ~")
    return expanded


def absolute_path(path: Any) -> Path:
    """A path of the user's that keeps its meaning in every working directory.

    Raises:
        UserError: see `expand_path`, or if it is relative and the working directory is gone.
    """
    expanded = expand_path(path)
    try:
        return expanded.absolute()
    except FileNotFoundError:
        raise UserError(
            f"{expanded} is in the working directory, which has been deleted; change to another one, or give a path "
            "that begins with /"
        ) from None


@contextmanager
def writing(path: str | Path, advice: str = "") -> Iterator[None]:
    """Turn what the system says of a disk into one sentence.

    Args:
        path: what is being written, a file or a folder.
        advice: what to do; by default to make room, if the disk is full, or to choose another folder.

    Raises:
        UserError: naming the path, if it cannot be written or the disk is full.
    """
    try:
        yield
    except OSError as error:
        # NumPy says only how many items it wrote, without a number of the error.
        reason = error.strerror or f"is the disk full? {error}"
        advice = advice or ("make room, or " if error.errno in _FULL else "") + "choose another folder"
        raise UserError(f"cannot write {path}: {reason}; {advice}") from None


@contextmanager
def replace_file(path: str | Path, advice: str = "") -> Iterator[Path]:
    """Give a temporary name to write to; it becomes `path` when the block ends, and nothing if it fails.

    What processes of this machine left in the folder when they were killed is removed.

    Args:
        path: the file.
        advice: see `writing`.

    Raises:
        UserError: if the folder cannot be made or written, or `path` is one, or the disk is full.
    """
    path = expand_path(path)
    with writing(path, advice):
        if path.is_dir():
            raise UserError(f"cannot write {path}: it is a folder; give the name of a file")
        path.parent.mkdir(parents=True, exist_ok=True)
        _remove_remains(path.parent)
        # Its name tells who writes it. Its folder is that of `path`: only within one is replacing a single step.
        temporary = path.with_name(f".retina_nb-{_machine()}-{os.getpid()}-{uuid4().hex[:8]}{path.suffix}")
        try:
            temporary.touch(exist_ok=False)
            yield temporary
            os.replace(temporary, path)
        finally:
            with suppress(OSError):
                temporary.unlink(missing_ok=True)


def name_problem(name: str) -> str:
    """Why a name that others gave is not taken as a path inside a folder, with ``/`` between its parts; else empty."""
    parts = name.split("/")
    path = PurePosixPath(name)
    if (
        path.is_absolute()
        or ".." in parts
        or not path.parts
        or "\\" in name
        or any(PureWindowsPath(part).drive for part in parts)
    ):
        return "leads outside the folder"
    if "\0" in name:
        return "has a null character"
    reserved = [part for part in parts if part.partition(".")[0].rstrip().lower() in _RESERVED]
    return "is a device on Windows" if reserved else ""


def replace_between(path: str | Path, marks: tuple[str, str], text: str) -> None:
    """Put a text between two marks of a file, in place of what stands there."""
    whole = Path(path).read_text(encoding="utf-8")
    before, after = whole.split(marks[0])[0], whole.split(marks[1])[1]
    with replace_file(path) as temporary:
        temporary.write_text(f"{before}{marks[0]}{text}{marks[1]}{after}", encoding="utf-8")


def _remove_remains(folder: Path) -> None:
    """Remove temporary files of processes that are gone."""
    if _unsearched.get(folder, 0) > 0:
        _unsearched[folder] -= 1
        return
    try:
        names = os.listdir(folder)
    except PermissionError:  # one may write to a folder that one may not read
        return
    _unsearched[folder] = len(names) // 100
    for found in filter(None, map(_TEMPORARY.fullmatch, names)):
        if found["machine"] == _machine() and not _is_alive(int(found["pid"])):
            with suppress(OSError):
                os.unlink(folder / found[0])


def _is_alive(pid: int) -> bool:
    import psutil

    return psutil.pid_exists(pid)


@cache
def _machine() -> str:
    """Eight letters for all processes that see each other's numbers: those of one machine, or of one container."""
    identity = platform.node()
    with suppress(OSError):
        identity += Path("/etc/machine-id").read_text(encoding="ascii", errors="replace")
    with suppress(OSError):
        identity += os.readlink("/proc/self/ns/pid")
    return hashlib.sha256(identity.encode(errors="replace")).hexdigest()[:8]
