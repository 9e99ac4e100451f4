"""Files of public datasets: found on disk or downloaded, and in either case checked by size and SHA-256."""

import hashlib
import os
import time
from dataclasses import dataclass
from pathlib import Path

import requests
from filelock import FileLock
from tqdm import tqdm

from retina_nb.errors import UserError

ATTEMPTS = 4
PAUSE = 1.0  # seconds before the second attempt, doubled before each further one
TIMEOUT = 30.0  # seconds without a byte

# A server that answers so may have the file a moment later; 416 refuses to continue what was downloaded before.
_WORTH_ANOTHER_TRY = {416, 429, 500, 502, 503, 504}
_BLOCK = 2**16  # at most this much is lost when a connection breaks off


@dataclass(frozen=True)
class RemoteFile:
    """A published file: its name, where it is, and its size (bytes) and SHA-256 (hexadecimal)."""

    name: str
    url: str
    size: int
    sha256: str


def cache_dir() -> Path:
    """The folder of what was downloaded or computed: ``RETINA_NB_CACHE``, by default ``~/.cache/retina_nb``."""
    return Path(os.environ.get("RETINA_NB_CACHE") or "~/.cache/retina_nb").expanduser()


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
    found = None
    if data_dir is not None:
        found = _look_in(Path(data_dir), file, dataset, "data_dir")
        if found is None:
            raise UserError(
                f"{dataset}: {data_dir} has no file {file.name}; put it there from {file.url}, or leave data_dir out"
            )
    elif folder := os.environ.get("RETINA_NB_DATA"):
        found = _look_in(Path(folder), file, dataset, "RETINA_NB_DATA")
    if found is None:
        found = cache_dir() / dataset / file.name
        if not found.exists():
            download(file, found)
            return found
    if problem := _problem(file, found):
        raise UserError(f"{found} {problem}; replace it by {file.url}, or delete it to have it downloaded")
    return found


def download(file: RemoteFile, target: Path) -> None:
    """Download a file, check it and put it at `target`.

    What has arrived is kept beside it in a file ending on ``.part``. Broken connections are taken up again from
    there, in this call or in a later one.

    Raises:
        UserError: if the server does not have the file or has another one, the connection keeps breaking, or
            the folder cannot be written.
    """
    part = target.with_name(target.name + ".part")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(f"{part}.lock"):
            if target.exists():  # another process was faster
                return
            _fetch(file, part)
            if problem := _problem(file, part):
                part.unlink()
                raise UserError(f"what {file.url} sent {problem}; try again, or put the right file at {target}")
            os.replace(part, target)
    except OSError as error:
        raise UserError(
            f"cannot write {target}: {error.strerror or error}; set RETINA_NB_CACHE to another folder"
        ) from None


def _look_in(folder: Path, file: RemoteFile, dataset: str, setting: str) -> Path | None:
    folder = folder.expanduser()
    if not folder.is_dir():
        raise UserError(f"{dataset}: there is no folder {folder}, which {setting} names")
    places = (folder / file.name, folder / dataset / file.name)
    return next((place for place in places if place.exists()), None)


def _problem(file: RemoteFile, path: Path) -> str:
    """What is wrong with a file, empty if nothing is."""
    try:
        if (size := path.stat().st_size) != file.size:
            return f"has {size:,} bytes instead of {file.size:,}"
        with open(path, "rb") as handle:
            digest = hashlib.file_digest(handle, "sha256").hexdigest()
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror or error}") from None
    return "" if digest == file.sha256 else f"has the SHA-256 {digest[:12]}… instead of {file.sha256[:12]}…"


def _fetch(file: RemoteFile, part: Path) -> None:
    problem = ""
    for attempt in range(ATTEMPTS):
        if attempt:
            time.sleep(PAUSE * 2 ** (attempt - 1))
        try:
            _append(file, part)
        except requests.RequestException as error:
            problem = _reason(error)
        if part.exists() and part.stat().st_size >= file.size:
            return
    raise UserError(
        f"cannot download {file.url}: {problem or 'the connection broke off'}; try again later, or put the file into "
        f"{part.parent} yourself"
    )


def _append(file: RemoteFile, part: Path) -> None:
    """Ask once for what is still missing of the file, and write what comes."""
    start = part.stat().st_size if part.exists() else 0
    headers = {"Accept-Encoding": "identity"} | ({"Range": f"bytes={start}-"} if start else {})
    with requests.get(file.url, headers=headers, stream=True, timeout=TIMEOUT) as answer:
        if answer.status_code == 416:
            part.unlink()
        if answer.status_code in _WORTH_ANOTHER_TRY:
            answer.raise_for_status()
        if not answer.ok:
            raise UserError(f"cannot download {file.url}: the server answered {answer.status_code} {answer.reason}")
        resumed = answer.status_code == 206
        size = (start if resumed else 0) + int(answer.headers.get("Content-Length", 0))
        if "Content-Length" in answer.headers and size != file.size:
            raise UserError(f"{file.url} is another file now, of {size:,} bytes instead of {file.size:,}")
        with (
            open(part, "ab" if resumed else "wb") as out,
            # `disable=None`: no bar where nobody looks.
            tqdm(total=file.size, initial=out.tell(), unit="B", unit_scale=True, desc=file.name, disable=None) as bar,
        ):
            for block in answer.iter_content(_BLOCK):
                out.write(block)
                bar.update(len(block))
                if out.tell() > file.size:
                    return


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
