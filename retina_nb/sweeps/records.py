"""What a run wrote down, ``status.json`` and ``results.json``, read whatever became of these files."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

STATUS, LOG, RESULTS = "status.json", "log.txt", "results.json"

_STATUSES = ("complete", "failed", "interrupted", "pruned")
_LARGEST = 50_000_000  # bytes; a file beyond that is no list of results
_TEXT = ("error", "device", "host", "version", "started", "source", "notebook", "attempt")
_NUMBERS = ("seconds", "peak_memory_gb")


class Damaged(ValueError):
    """A file of a run that cannot be read; the message says why, as in ``"results.json holds a list"``."""


def read_status(home: Path) -> dict[str, Any]:
    """What ``status.json`` in a run's folder says; what does not fit there is None.

    Raises:
        Damaged: if it cannot be read, or does not say which status and which parameters.
        FileNotFoundError: if there is none.
    """
    found = read_object(home / STATUS)
    if found.get("status") not in _STATUSES or not isinstance(found.get("parameters"), dict):
        raise Damaged(f"{STATUS} does not tell the status and the parameters of a run")
    return {"status": found["status"], "parameters": found["parameters"]} | {
        name: found.get(name) if isinstance(found.get(name), kinds) and found.get(name) is not True else None
        for names, kinds in ((_TEXT, str), (_NUMBERS, (int, float)))
        for name in names
    }


def results_fault(home: Path) -> str | None:
    """Why ``results.json`` cannot be read, where there is one that cannot."""
    try:
        read_object(home / RESULTS)
    except FileNotFoundError:
        return None
    except Damaged as damage:
        return str(damage)
    return None


def last_line(home: Path) -> str:
    """The last line that a run has printed, or nothing."""
    try:
        with (home / LOG).open("rb") as log:
            log.seek(max(0, log.seek(0, 2) - 4096))
            lines = log.read().decode(errors="replace").splitlines()
    except OSError:
        return ""
    return next((line.strip() for line in reversed(lines) if line.strip()), "")


def scalars(results: Mapping[str, Any]) -> dict[str, Any]:
    """The single values among results, nested ones as ``outer.inner``, without versions of packages."""
    found: dict[str, Any] = {}
    left = [(str(name), value) for name, value in reversed(list(results.items())) if name != "versions"]
    while left:  # not by recursion: who knows how deep it is
        name, value = left.pop()
        if isinstance(value, dict):
            left += [(f"{name}.{inner}", one) for inner, one in reversed(list(value.items()))]
        elif not isinstance(value, list):
            found[name] = value
    return found


def read_object(path: Path) -> dict[str, Any]:
    """The names and values in a file of JSON.

    Raises:
        Damaged: if it has anything else, or cannot be read.
        FileNotFoundError: if there is none.
    """
    try:
        about = path.stat()
        if not path.is_file():
            raise Damaged(f"{path.name} is not a file")
        if about.st_size > _LARGEST:
            raise Damaged(f"{path.name} has {about.st_size / 1e6:.0f} MB, too many to be read")
        found = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise
    except OSError as error:
        raise Damaged(f"{path.name} cannot be read: {error.strerror}") from None
    except RecursionError:
        raise Damaged(f"{path.name} is nested too deeply") from None
    except UnicodeDecodeError:
        raise Damaged(f"{path.name} is not text") from None
    except json.JSONDecodeError as error:
        where = f"line {error.lineno}, column {error.colno}"
        raise Damaged(f"{path.name} is damaged, it is not JSON at {where}") from None
    except ValueError as error:  # a number of thousands of digits
        if isinstance(error, Damaged):
            raise
        raise Damaged(f"{path.name} has a number that is too long") from None
    if not isinstance(found, dict):
        raise Damaged(f"{path.name} holds {_KINDS.get(type(found), 'a number')} instead of names and values")
    return found


_KINDS = {list: "a list", str: "a text", type(None): "null", bool: "a truth value"}
