"""Published files, and whether what a server answers is one of them."""

import re
from dataclasses import dataclass, replace
from itertools import pairwise

import requests

from retina_nb.errors import UserError

PAGES = (".html", ".htm")

# A server that answers so may have the file a moment later.
_WORTH_ANOTHER_TRY = {429, 500, 502, 503, 504}


@dataclass(frozen=True)
class RemoteFile:
    """A published file: its name, where it is, and its size (bytes) and SHA-256 (hexadecimal) as far as published.

    The name may have folders, separated by ``/``.
    """

    name: str
    url: str
    size: int | None = None
    sha256: str | None = None


class StartAgain(requests.RequestException):
    """The server does not go on from where a download broke off: all of the file has to come again."""


def check_answer(file: RemoteFile, answer: requests.Response, *, have: int, version: str) -> None:
    """Check by an answer's first lines that it is a file, or the rest of it.

    Args:
        file: the file that was asked for.
        answer: what the server answered.
        have: how much was there before (bytes); what follows was asked for.
        version: which version of the file that is of, by `said_version`.

    Raises:
        StartAgain: if what follows would not fit to what is there.
        requests.HTTPError: if it is worth to ask again.
        UserError: if the answer is something else.
    """
    status, headers = answer.status_code, answer.headers
    if status == 416:
        raise StartAgain("the server does not have so much of the file", response=answer)
    if status in _WORTH_ANOTHER_TRY:
        answer.raise_for_status()
    if status not in (200, 206):
        raise refused(file, f"the server answered {status} {answer.reason}")
    addresses = [one.url for one in (*answer.history, answer)]
    if any(a.startswith("https:") and not b.startswith("https:") for a, b in pairwise(addresses)):
        raise refused(file, "it is redirected to a connection that anybody on the way can change")
    if headers.get("Content-Encoding", "identity") != "identity":
        raise refused(file, "the server compresses what it was asked to send as it is")
    kind = headers.get("Content-Type", "").partition(";")[0].strip().lower()
    if file.sha256 is None and kind == "text/html" and not file.name.endswith(PAGES):
        raise refused(file, "the server sent a web page instead of the file, perhaps to sign in")
    if status == 206:
        said = re.match(r"bytes (\d{1,18})-", headers.get("Content-Range", ""))
        goes_on = have > 0 and (said is None or int(said[1]) == have)
        # If it is of another version, a checksum tells in the end.
        same = file.sha256 is not None or (said is not None and said_version(answer) == version)
        if not (goes_on and same):
            raise StartAgain("the server sent another part than was asked for, or of another file", response=answer)


def said_version(answer: requests.Response) -> str:
    """By what a server tells versions of a file apart; empty if it does not."""
    for one in (*answer.history, answer):
        if tag := one.headers.get("X-Linked-ETag"):  # of the Hugging Face hub, which redirects
            return tag
    tag = answer.headers.get("ETag", "")
    return answer.headers.get("Last-Modified", "") if not tag or tag.startswith("W/") else tag


def as_stated(file: RemoteFile, answer: requests.Response, *, have: int) -> RemoteFile:
    """The file with what the server says of it: in its own headers, and in those of the Hugging Face hub.

    Args:
        file, answer, have: see `check_answer`.

    Raises:
        UserError: if it is another file than was published, an empty one, or one whose length the server does not say.
    """
    size = sha256 = None
    for one in (*answer.history, answer):
        linked = one.headers.get("X-Linked-ETag", "").strip('"').lower()
        sha256 = linked if re.fullmatch("[0-9a-f]{64}", linked) else sha256
        size = _stated_size(one, "X-Linked-Size") or size
    sent = _stated_size(answer, "Content-Length")
    if sent is not None and answer.status_code == 206:
        sent += have
    for said in (size, sent):
        if said is not None and file.size is not None and said != file.size:
            raise UserError(f"{file.url} is another file now, of {said:,} bytes instead of {file.size:,}")
    if sha256 is not None and sha256 != (file.sha256 or sha256):
        raise UserError(f"{file.url} is another file now, of SHA-256 {sha256[:12]}… instead of {file.sha256:.12}…")
    if size is not None and sent is not None and size != sent:
        raise UserError(f"{file.url} has {sent:,} bytes, but is said to have {size:,}; try again later")
    known = next((one for one in (file.size, size, sent) if one is not None), None)
    chunked = "chunked" in answer.headers.get("Transfer-Encoding", "")  # these have an end
    if known is None and (sha256 or file.sha256) is None and not chunked:
        raise refused(file, "the server does not say how long it is, so a cut-off download could not be noticed")
    if known == 0 and file.size is None:
        raise refused(file, "the server sent nothing")
    return replace(file, size=known, sha256=file.sha256 or sha256)


def number(text: str | None) -> int | None:
    """A whole number in a header, None if it is none, or is larger than any file."""
    return int(text) if text and re.fullmatch("[0-9]{1,18}", text) else None


def _stated_size(answer: requests.Response, header: str) -> int | None:
    text = answer.headers.get(header)
    if text is not None and number(text) is None:
        raise UserError(
            f"cannot download {answer.url}: the server says {header} {text[:20]}, which is no size; try again later"
        )
    return number(text)


def refused(file: RemoteFile, reason: str) -> UserError:
    """The error for an answer that is not the file."""
    return UserError(f"cannot download {file.url}: {reason}; try again later, or get the file in another way")
