"""What a run leaves behind: ``results.json``, for people and for sweeps to read."""

import json
import platform
import resource
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Any

from retina_nb.files import replace_file

_PACKAGES = ("torch", "lightning", "numpy")


def write_results(folder: str | Path, **results: Any) -> Path:
    """Write ``results.json`` to a run's folder, with peak memory and versions added; returns its path.

    Args:
        folder: the run's folder, made if need be.
        results: plain values; NaN is written as null.

    Raises:
        UserError: if the folder cannot be written.
    """
    path = Path(folder) / "results.json"
    results = results | {"peak_memory_gb": peak_memory_gb(), "versions": versions()}
    with replace_file(path) as temporary:
        temporary.write_text(json.dumps(_plain(results), indent=2, allow_nan=False) + "\n")
    return path


def peak_memory_gb() -> float:
    """The most memory that this process ever held (GB)."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return round(peak / (1e9 if sys.platform == "darwin" else 1e6), 2)


def versions() -> dict[str, str]:
    """Versions of what results depend on."""
    from retina_nb import __version__

    return {"python": platform.python_version(), "retina_nb": __version__} | {name: version(name) for name in _PACKAGES}


def _plain(value: Any) -> Any:
    """Nested values as JSON knows them."""
    if isinstance(value, dict):
        return {str(name): _plain(one) for name, one in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value]
    if hasattr(value, "tolist"):
        return _plain(value.tolist())
    if isinstance(value, float):
        return round(value, 6) if value == value and abs(value) != float("inf") else None
    return value
