"""What a run leaves behind: ``results.json``, for people and for sweeps to read."""

import dataclasses
import json
import math
import platform
import sys
import warnings
from collections.abc import Collection, Iterable, Mapping, Set
from datetime import date, time, timedelta
from enum import Enum
from importlib.metadata import version
from pathlib import Path, PurePath
from typing import Any

import numpy as np
import pandas as pd

from retina_nb.errors import UserError
from retina_nb.files import expand_path, replace_file

_PACKAGES = ("torch", "lightning", "numpy")
_DEEPEST = 50  # dictionaries and lists within each other


def write_results(folder: str | Path, **results: Any) -> Path:
    """Write ``results.json`` to a run's folder, with peak memory and versions added; returns its path.

    Numbers keep all their digits. NaN is written as null, and so is what is infinite, with a warning: JSON has neither.
    Paths, dates and members of an enumeration are written as text, durations as seconds; arrays, tensors and sets as
    lists; a `DataFrame` as a list of its rows; a dataclass as its fields.

    Args:
        folder: the run's folder, made if need be.
        results: values by name, nested as you like.

    Raises:
        UserError: if a value is of another kind, two names of a dictionary are written alike, a result is called as
            what is added, or the folder cannot be written. An older file stays as it was.
    """
    path = expand_path(folder) / "results.json"
    added = {"peak_memory_gb": peak_memory_gb(), "versions": versions()}
    for name in sorted(results.keys() & added.keys()):
        raise UserError(f"write_results adds {name} itself: give your result {name} another name")
    plain = {name: _plain(value, name) for name, value in results.items()}
    try:
        text = json.dumps(plain | added, indent=2, allow_nan=False)
    except ValueError as error:  # a whole number of thousands of digits
        raise UserError(f"the results cannot be written as JSON: {error}") from None
    with replace_file(path) as temporary:
        temporary.write_text(text + "\n", encoding="utf-8")
    return path


def peak_memory_gb() -> float | None:
    """The most memory that this process ever held (GB); None where the system does not say."""
    try:
        import resource
    except ImportError:  # on Windows
        return _peak_by_psutil()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return round(peak / (1e9 if sys.platform == "darwin" else 1e6), 2)


def _peak_by_psutil() -> float | None:
    try:
        import psutil
    except ImportError:  # it needs `resource` itself, except on Windows
        return None
    memory = psutil.Process().memory_info()
    return round(getattr(memory, "peak_wset", memory.rss) / 1e9, 2)


def versions() -> dict[str, str]:
    """Versions of what results depend on."""
    from retina_nb import __version__

    return {"python": platform.python_version(), "retina_nb": __version__} | {name: version(name) for name in _PACKAGES}


def _plain(value: Any, name: str, depth: int = 0) -> Any:
    """Nested values as JSON knows them; `name` says where a value is."""
    if depth > _DEEPEST:
        raise UserError(f"the result {name.partition('.')[0]} holds itself, or is nested too deeply for a file")

    match value:
        case Enum():
            return _plain(value.value, name, depth + 1)
        case None | bool() | int() | str():
            return value
        case float():
            return _finite(value, name)
        case PurePath():
            return str(value)
        case date() | time():  # a datetime is a date
            return None if value is pd.NaT else value.isoformat()
        case timedelta():
            return value.total_seconds()
        case Mapping():
            return _named(((key, _plain(one, f"{name}.{key}", depth + 1)) for key, one in value.items()), name)
        case Set():
            return _plain(_sorted(value), name, depth + 1)
        case pd.DataFrame():
            table = value if isinstance(value.index, pd.RangeIndex) else value.reset_index(allow_duplicates=True)
            rows = _plain(list(table.itertuples(index=False, name=None)), name, depth + 1)
            return [_named(zip(table.columns, row, strict=True), name) for row in rows]
        case np.ndarray() | np.generic() if value.dtype.kind in "mM":  # of nanoseconds numpy would make whole numbers
            return _plain(value.astype(f"{value.dtype.kind}8[us]").tolist(), name, depth + 1)
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return _plain({field.name: getattr(value, field.name) for field in dataclasses.fields(value)}, name, depth + 1)
    if hasattr(value, "tolist") and not isinstance(value, type):
        return _plain(value.tolist(), name, depth + 1)
    if isinstance(value, Collection) and not isinstance(value, bytes | bytearray | memoryview):
        return [_plain(one, f"{name}.{number}", depth + 1) for number, one in enumerate(value)]
    if value is pd.NA:
        return None
    raise UserError(
        f"the result {name} is a {type(value).__name__}, which has no place in a JSON file: give numbers, text, lists "
        "or dictionaries"
    )


def _finite(value: float, name: str) -> float | None:
    if math.isinf(value):
        warnings.warn(f"the result {name} is infinite, and is written as null: JSON has no such number", stacklevel=4)
    return float(value) if math.isfinite(value) else None


def _named(pairs: Iterable[tuple[Any, Any]], name: str) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in pairs:
        if str(key) in found:
            raise UserError(f"the result {name} has two entries that are both written as {str(key)!r}: rename one")
        found[str(key)] = value
    return found


def _sorted(values: Set) -> list:
    try:
        return sorted(values)
    except TypeError:  # of several kinds
        return sorted(values, key=repr)
