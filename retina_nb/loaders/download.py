"""Files of public datasets: found on disk or downloaded, and in either case checked by size and SHA-256.

Beside what was downloaded lies a file `RECORDS`, a line of JSON for each file: where it came from and when, its size
and its SHA-256. A file without a published checksum is held to what was recorded when it first arrived.
"""

import hashlib
import json
import os
import re
import shutil
import time
from collections.abc import Sequence
from concurrent.futures import CancelledError, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from threading import Event
from typing import Any

import requests
import urllib3
from filelock import FileLock
from tqdm import tqdm

from retina_nb.errors import UserError
from retina_nb.files import expand_path, name_problem, writing
from retina_nb.loaders.cache import CACHE_ADVICE
from retina_nb.loaders.remote import (
    PAGES,
    RemoteFile,
    StartAgain,
    as_stated,
    check_answer,
    number,
    refused,
    said_version,
)

ATTEMPTS = 4
PAUSE = 1.0  # seconds before the second attempt, doubled before each further one
LONGEST_PAUSE = 600.0  # seconds, for a server that says how long it wants to be left alone
TIMEOUT = 30.0  # seconds without a byte
SLOWEST = 500.0  # bytes per second, the least in any TIMEOUT
CONNECTIONS = 8  # files of a folder that are fetched at once
RECORDS = ".downloads.jsonl"

_LOCK = ".downloads.lock"

_BLOCK = 2**16  # at most this much is lost when a connection breaks off


@dataclass(frozen=True)
class Record:
    """What was found when a file arrived: its source, size (bytes), SHA-256, the date, and its time stamp (ns)."""

    name: str
    url: str
    size: int
    sha256: str
    date: str
    mtime_ns: int


def cache_dir() -> Path:
    """The folder of what was downloaded or computed: ``RETINA_NB_CACHE``, by default ``~/.cache/retina_nb``.

    Raises:
        UserError: if there is no such home folder.
    """
    return _folder("RETINA_NB_CACHE", os.environ.get("RETINA_NB_CACHE") or "~/.cache/retina_nb")


def _folder(setting: str, path: str | Path | None) -> Path:
    try:
        return expand_path(path)
    except UserError as error:
        raise UserError(f"{setting}: {error}") from None


def find_or_download(file: RemoteFile, dataset: str, data_dir: str | Path | None = None) -> Path:
    """Where a dataset's file is on this machine.

    It is looked for in `data_dir` if that is given; else in the folder that ``RETINA_NB_DATA`` names and in
    `cache_dir`, and is downloaded into the latter if it is nowhere. Each of these folders may hold the file
    itself or, in a subfolder of this name, the files of the dataset.

    Args:
        file: the file.
        dataset: name of the dataset.
        data_dir: folder in which the user keeps the dataset.

    Raises:
        UserError: if a folder is missing, `data_dir` does not have the file, the file is not the published
            one, or it cannot be downloaded.
    """
    found = find_downloaded(file, dataset, data_dir)
    if found is None and data_dir is not None:
        raise UserError(
            f"{dataset}: {data_dir} has no file {file.name}; put it there from {file.url}, or leave data_dir out"
        )
    folder = cache_dir() / dataset if found is None else found
    download_files([file], folder)
    return folder / file.name


def find_downloaded(file: RemoteFile, dataset: str, data_dir: str | Path | None = None) -> Path | None:
    """The folder on this machine that has a file, see `find_or_download`; None if it would have to be downloaded.

    Raises:
        UserError: if a folder that the user named is missing.
    """
    named = user_folders(dataset, data_dir)
    places = [place for folder in named for place in (folder, folder / dataset)]
    places += [cache_dir() / dataset] if data_dir is None else []
    return next((place for place in places if (place / file.name).exists()), None)


def user_folders(dataset: str, data_dir: str | Path | None) -> list[Path]:
    """The folders in which the user may keep a dataset: `data_dir` if it is given, else ``RETINA_NB_DATA`` if set.

    Raises:
        UserError: if the folder does not exist, or is that of nobody.
    """
    setting = "RETINA_NB_DATA" if data_dir is None else "data_dir"
    named = os.environ.get(setting) if data_dir is None else data_dir
    if data_dir is None and not named:
        return []
    folder = _folder(setting, named)
    if not folder.is_dir():
        raise UserError(f"{dataset}: there is no folder {folder}, which {setting} names")
    return [folder]


def download_files(files: Sequence[RemoteFile], folder: Path, *, again: bool = False) -> None:
    """Have files in a folder: those that are there are checked, the others downloaded, checked and recorded.

    What has arrived of a file is kept beside its place under a name ending on ``.part``. Broken connections are taken
    up again from there, in this call or in a later one, unless the server's file may be another one by then. Nothing is
    asked of the network if all files are there.

    Args:
        files: what is wanted.
        folder: where, made if need be.
        again: download even those that are there, which are kept if that fails.

    Raises:
        UserError: if a file has a name that leads outside the folder, one that is there is damaged, a server does not
            have a file, has another one or sends something else, the connection is too slow or keeps breaking, the
            disk has no room, or the folder cannot be written.
    """
    for file in files:
        if problem := name_problem(file.name) or ("is taken" if file.name in (RECORDS, _LOCK) else ""):
            raise UserError(f"{file.url} is not downloaded: its name {file.name!r} {problem}")
    if again or _missing(files, folder):
        with writing(folder, CACHE_ADVICE):
            folder.mkdir(parents=True, exist_ok=True)
            with FileLock(folder / _LOCK):
                if missing := list(files) if again else _missing(files, folder):  # no other process was faster
                    _download(missing, folder)
    check(files, folder)


def check(files: Sequence[RemoteFile], folder: Path) -> None:
    """Check files of a folder by their published or else their recorded size and SHA-256.

    A file whose size and time stamp are those of its record is not read again.

    Raises:
        UserError: naming the first file that is not what it should be, or cannot be read.
    """
    records = recorded(folder)
    for file in files:
        path, record = folder / file.name, records.get(file.name)
        if record is not None:
            file = replace(file, size=file.size or record.size, sha256=file.sha256 or record.sha256)
            if _unchanged(path, record) and (record.size, record.sha256) == (file.size, file.sha256):
                continue
        if problem := _problem(file, path):
            raise UserError(f"{path} {problem}; replace it by {file.url}, or delete it to have it downloaded")
        if record is not None:  # a copy, or touched: need not be read again the next time
            with suppress(OSError):
                _write_record(replace(record, mtime_ns=path.stat().st_mtime_ns), folder)


def recorded(folder: Path) -> dict[str, Record]:
    """What is recorded of the files that were downloaded into a folder, by name; lines that are damaged are skipped."""
    records = {}
    try:
        lines = (folder / RECORDS).read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError):
        return {}
    for line in lines:
        try:
            record = Record(**json.loads(line))
        except (ValueError, TypeError):
            continue
        records[record.name] = record
    return records


def require_space(folder: Path, size: int, what: str) -> None:
    """Check that the disk of a folder has room for `size` bytes.

    Raises:
        UserError: telling how much is needed and how much is free.
    """
    while not folder.exists():
        folder = folder.parent
    free = shutil.disk_usage(folder).free
    if size > free:
        raise UserError(
            f"{what} needs {size / 1e9:.3g} GB, but the disk of {folder} has {free / 1e9:.3g} GB free; make room, or "
            "set RETINA_NB_CACHE to a folder on another disk"
        )


def _missing(files: Sequence[RemoteFile], folder: Path) -> list[RemoteFile]:
    records = recorded(folder)
    return [
        file
        for file in files
        if not (path := folder / file.name).exists()
        or (file.name in records and file.sha256 is None and file.size is None and _is_page(path))
    ]


def _is_page(path: Path) -> bool:
    """Whether a download is empty or a web page, which is never what was wanted; earlier versions kept such."""
    try:
        with open(path, "rb") as file:
            start = file.read(100)
    except OSError:
        return False
    page = start.lstrip().lower().startswith((b"<!doctype html", b"<html"))
    return not start or (page and path.suffix not in PAGES)


def _unchanged(path: Path, record: Record) -> bool:
    try:
        status = path.stat()
    except OSError:
        return False
    return (status.st_size, status.st_mtime_ns) == (record.size, record.mtime_ns)


def _problem(file: RemoteFile, path: Path) -> str:
    """What is wrong with a file, empty if nothing is."""
    try:
        if file.size is not None and (size := path.stat().st_size) != file.size:
            return f"has {size:,} bytes instead of {file.size:,}"
        if file.sha256 is None or (digest := _digest(path)) == file.sha256:
            return ""
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror or error}") from None
    return f"has the SHA-256 {digest[:12]}… instead of {file.sha256[:12]}…"


def _digest(path: Path) -> str:
    with open(path, "rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def _part(file: RemoteFile, folder: Path) -> Path:
    return folder / f"{file.name}.part"


def _version_file(part: Path) -> Path:
    return part.with_name(f"{part.name}.version")


def _version(part: Path) -> str:
    """Which version of its file a part is of, by what the server said; empty if it said nothing."""
    try:
        return _version_file(part).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return ""


def _write_record(record: Record, folder: Path) -> None:
    with open(folder / RECORDS, "a", encoding="utf-8") as records:
        records.write(json.dumps(asdict(record)) + "\n")


@dataclass(frozen=True)
class _Transfer:
    """What the downloads of one call share."""

    bar: Any
    session: requests.Session = field(default_factory=requests.Session)
    stop: Event = field(default_factory=Event)


def _download(files: Sequence[RemoteFile], folder: Path) -> None:
    sizes = [file.size for file in files if file.size is not None]
    arrived = sum(_size(_part(file, folder)) for file in files if file.size is not None)
    require_space(folder, sum(sizes) - arrived, f"the download to {folder}")
    title = files[0].name if len(files) == 1 else f"{len(files)} files"
    total = sum(sizes) if len(sizes) == len(files) else None
    with (
        # `disable=None`: no bar where nobody looks.
        tqdm(total=total, unit="B", unit_scale=True, desc=title, disable=None) as bar,
        ThreadPoolExecutor(min(CONNECTIONS, len(files))) as pool,
    ):
        transfer = _Transfer(bar)
        jobs = [pool.submit(_download_one, file, folder, transfer) for file in files]
        try:
            for job in jobs:
                job.result()
        finally:  # after a failure or an interrupt the others break off
            transfer.stop.set()
            pool.shutdown(cancel_futures=True)
            transfer.session.close()


def _download_one(file: RemoteFile, folder: Path, transfer: _Transfer) -> None:
    part, target = _part(file, folder), folder / file.name
    part.parent.mkdir(parents=True, exist_ok=True)
    published = _fetch(file, part, transfer)
    if problem := _problem(published, part):
        _discard(part, transfer)
        raise UserError(f"what {file.url} sent {problem}; try again, or put the right file at {target}")
    digest = published.sha256 or _digest(part)
    os.replace(part, target)
    _version_file(part).unlink(missing_ok=True)
    status, now = target.stat(), datetime.now(UTC).isoformat(timespec="seconds")
    _write_record(Record(file.name, file.url, status.st_size, digest, now, status.st_mtime_ns), folder)


def _discard(part: Path, transfer: _Transfer) -> None:
    transfer.bar.update(-_size(part))
    part.unlink(missing_ok=True)
    _version_file(part).unlink(missing_ok=True)


def _fetch(file: RemoteFile, part: Path, transfer: _Transfer) -> RemoteFile:
    """Get all of a file. Returns it with the size and SHA-256 that the server said, where they were not known."""
    transfer.bar.update(_size(part))
    problem, pause = "", PAUSE
    for attempt in range(ATTEMPTS):
        if attempt and transfer.stop.wait(pause):
            raise CancelledError
        pause *= 2 if attempt else 1
        try:
            with _ask(file, part, transfer) as answer:
                check_answer(file, answer, have=_size(part), version=_version(part))
                stated = as_stated(file, answer, have=_size(part))
                _append(stated, answer, part, transfer)
            if stated.size is None and _size(part) == 0:
                _discard(part, transfer)
                raise refused(file, "the server sent nothing")
            if stated.size is None or _size(part) >= stated.size:
                return stated
            file, problem = replace(file, sha256=stated.sha256), "the connection broke off"
        except UserError:
            raise
        except (requests.TooManyRedirects, ValueError) as error:  # ValueError: an address that is none
            raise UserError(f"cannot download {file.url}: it leads nowhere ({error}); try again later") from None
        except (requests.RequestException, urllib3.exceptions.HTTPError, TimeoutError) as error:
            problem, pause = _reason(error), max(pause, _asked_pause(error))
            if isinstance(error, StartAgain):
                _discard(part, transfer)
    raise UserError(
        f"cannot download {file.url}: {problem}; try again later, or put the file into {part.parent} yourself"
    )


def _ask(file: RemoteFile, part: Path, transfer: _Transfer) -> requests.Response:
    """Ask once for what is still missing of a file."""
    if file.sha256 is None and not _version(part):  # nothing would tell that the part is of another version
        _discard(part, transfer)
    start = _size(part)
    headers = {"Accept-Encoding": "identity"} | ({"Range": f"bytes={start}-"} if start else {})
    return transfer.session.get(file.url, headers=headers, stream=True, timeout=TIMEOUT)


def _append(file: RemoteFile, answer: requests.Response, part: Path, transfer: _Transfer) -> None:
    """Write what comes: after what has arrived before, if the server goes on from there."""
    if answer.status_code != 206:
        _discard(part, transfer)
        if version := said_version(answer):
            _version_file(part).write_text(version, encoding="utf-8")
    with open(part, "ab") as out:
        require_space(part.parent, (file.size or 0) - out.tell(), f"the download of {file.name}")
        since, before = time.monotonic(), out.tell()
        while block := answer.raw.read1(_BLOCK, decode_content=False):  # as soon as there is something
            if transfer.stop.is_set():
                raise CancelledError
            out.write(block)
            transfer.bar.update(len(block))
            if file.size is not None and out.tell() > file.size:
                return
            if (seconds := time.monotonic() - since) >= TIMEOUT:
                if out.tell() - before < SLOWEST * seconds:
                    raise TimeoutError
                since, before = time.monotonic(), out.tell()


def _asked_pause(error: Exception) -> float:
    """Seconds for which the server wants to be left alone, 0 if it does not say."""
    answer = error.response if isinstance(error, requests.RequestException) else None
    headers = {} if answer is None else answer.headers
    asked = number(headers.get("Retry-After")) or number(
        "".join(re.findall(r"\bt=(\d+)", headers.get("RateLimit", "")))
    )
    return min(asked or 0, LONGEST_PAUSE)


def _reason(error: Exception) -> str:
    if isinstance(error, requests.HTTPError) and error.response is not None:
        return f"the server answered {error.response.status_code} {error.response.reason}"
    if isinstance(error, requests.Timeout | urllib3.exceptions.TimeoutError):
        return f"no answer in {TIMEOUT:g} s"
    if isinstance(error, TimeoutError):
        return f"the connection has less than {SLOWEST:g} bytes a second"
    if isinstance(error, urllib3.exceptions.HTTPError):
        return "the connection broke off"
    if isinstance(error, requests.ConnectionError):
        return "no connection to the server"
    return str(error)
