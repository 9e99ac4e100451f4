"""Files of public datasets: found on disk or downloaded, and in either case checked by size and SHA-256.

Beside what was downloaded lies a file `RECORDS`, a line of JSON for each file: where it came from and when, its size
and its SHA-256. A file without a published checksum is held to what was recorded when it first arrived.
"""

import hashlib
import json
import os
import re
import shutil
from collections.abc import Sequence
from concurrent.futures import CancelledError, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from threading import Event
from typing import Any

import requests
from filelock import FileLock
from tqdm import tqdm

from retina_nb.errors import UserError
from retina_nb.files import expand_path

ATTEMPTS = 4
PAUSE = 1.0  # seconds before the second attempt, doubled before each further one
LONGEST_PAUSE = 600.0  # seconds, for a server that says how long it wants to be left alone
TIMEOUT = 30.0  # seconds without a byte
CONNECTIONS = 8  # files of a folder that are fetched at once
RECORDS = ".downloads.jsonl"

_LOCK = ".downloads.lock"

# A server that answers so may have the file a moment later; 416 refuses to continue what was downloaded before.
_WORTH_ANOTHER_TRY = {416, 429, 500, 502, 503, 504}
_BLOCK = 2**16  # at most this much is lost when a connection breaks off


@dataclass(frozen=True)
class RemoteFile:
    """A published file: its name, where it is, and its size (bytes) and SHA-256 (hexadecimal) as far as published.

    The name may have folders, separated by ``/``.
    """

    name: str
    url: str
    size: int | None = None
    sha256: str | None = None


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


def download_files(files: Sequence[RemoteFile], folder: Path) -> None:
    """Have files in a folder: those that are there are checked, the others downloaded, checked and recorded.

    What has arrived of a file is kept beside its place under a name ending on ``.part``. Broken connections are taken
    up again from there, in this call or in a later one. Nothing is asked of the network if all files are there.

    Raises:
        UserError: if a file that is there is damaged, a server does not have a file or has another one, the
            connection keeps breaking, the disk has no room, or the folder cannot be written.
    """
    if _missing(files, folder):
        try:
            folder.mkdir(parents=True, exist_ok=True)
            with FileLock(folder / _LOCK):
                if missing := _missing(files, folder):  # no other process was faster
                    _download(missing, folder)
        except OSError as error:
            raise UserError(
                f"cannot write to {folder}: {error.strerror or error}; set RETINA_NB_CACHE to another folder"
            ) from None
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
    return [file for file in files if not (folder / file.name).exists()]


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
        part.unlink()
        raise UserError(f"what {file.url} sent {problem}; try again, or put the right file at {target}")
    digest = published.sha256 or _digest(part)
    os.replace(part, target)
    status, now = target.stat(), datetime.now(UTC).isoformat(timespec="seconds")
    _write_record(Record(file.name, file.url, status.st_size, digest, now, status.st_mtime_ns), folder)


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
                _check_status(file, answer, part, transfer)
                file = _as_stated(file, answer, have=_size(part))
                _append(file, answer, part, transfer)
            if file.size is None:  # nothing tells that something is missing
                return file
            problem = "the connection broke off"
        except requests.RequestException as error:
            problem, pause = _reason(error), max(pause, _asked_pause(error))
        if file.size is not None and _size(part) >= file.size:
            return file
    raise UserError(
        f"cannot download {file.url}: {problem}; try again later, or put the file into {part.parent} yourself"
    )


def _ask(file: RemoteFile, part: Path, transfer: _Transfer) -> requests.Response:
    """Ask once for what is still missing of a file."""
    start = _size(part)
    headers = {"Accept-Encoding": "identity"} | ({"Range": f"bytes={start}-"} if start else {})
    return transfer.session.get(file.url, headers=headers, stream=True, timeout=TIMEOUT)


def _check_status(file: RemoteFile, answer: requests.Response, part: Path, transfer: _Transfer) -> None:
    if answer.status_code == 416:
        transfer.bar.update(-_size(part))
        part.unlink(missing_ok=True)
    if answer.status_code in _WORTH_ANOTHER_TRY:
        answer.raise_for_status()
    if not answer.ok:
        raise UserError(f"cannot download {file.url}: the server answered {answer.status_code} {answer.reason}")


def _as_stated(file: RemoteFile, answer: requests.Response, have: int) -> RemoteFile:
    """The file with what the server says of it: in its own headers, and in those of the Hugging Face hub."""
    size = sha256 = None
    for one in (*answer.history, answer):
        linked = one.headers.get("X-Linked-ETag", "").strip('"').lower()
        sha256 = linked if re.fullmatch("[0-9a-f]{64}", linked) else sha256
        size = _number(one.headers.get("X-Linked-Size")) or size
    sent = _number(answer.headers.get("Content-Length"))
    if sent is not None and answer.status_code == 206:
        sent += have
    for said in (size, sent):
        if said is not None and said != (file.size or said):
            raise UserError(f"{file.url} is another file now, of {said:,} bytes instead of {file.size:,}")
    if sha256 is not None and sha256 != (file.sha256 or sha256):
        raise UserError(f"{file.url} is another file now, of SHA-256 {sha256[:12]}… instead of {file.sha256:.12}…")
    if size is not None and sent is not None and size != sent:
        raise UserError(f"{file.url} has {sent:,} bytes, but is said to have {size:,}; try again later")
    return replace(file, size=file.size or size or sent, sha256=file.sha256 or sha256)


def _append(file: RemoteFile, answer: requests.Response, part: Path, transfer: _Transfer) -> None:
    """Write what comes: after what has arrived before, if the server goes on from there."""
    resumed = answer.status_code == 206
    transfer.bar.update(0 if resumed else -_size(part))
    with open(part, "ab" if resumed else "wb") as out:
        require_space(part.parent, (file.size or 0) - out.tell(), f"the download of {file.name}")
        for block in answer.iter_content(_BLOCK):
            if transfer.stop.is_set():
                raise CancelledError
            out.write(block)
            transfer.bar.update(len(block))
            if out.tell() > (file.size or out.tell()):
                return


def _number(text: str | None) -> int | None:
    return int(text) if text and text.isdecimal() else None


def _asked_pause(error: requests.RequestException) -> float:
    """Seconds for which the server wants to be left alone, 0 if it does not say."""
    headers = {} if error.response is None else error.response.headers
    asked = _number(headers.get("Retry-After")) or _number(
        "".join(re.findall(r"\bt=(\d+)", headers.get("RateLimit", "")))
    )
    return min(asked or 0, LONGEST_PAUSE)


def _reason(error: requests.RequestException) -> str:
    if isinstance(error, requests.HTTPError) and error.response is not None:
        return f"the server answered {error.response.status_code} {error.response.reason}"
    if isinstance(error, requests.Timeout):
        return f"no answer in {TIMEOUT:g} s"
    if isinstance(error, requests.exceptions.ChunkedEncodingError):
        return "the connection broke off"
    if isinstance(error, requests.ConnectionError):
        return "no connection to the server"
    return str(error)
