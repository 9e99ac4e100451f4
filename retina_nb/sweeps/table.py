"""All runs in a folder as one table."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from retina_nb.errors import UserError
from retina_nb.sweeps.runs import find_runs, read_results

_FIRST = ["status", "seconds"]
_LAST = ["peak_memory_gb", "device", "host", "started", "error", "notebook"]


def read_sweep(folder: str | Path) -> pd.DataFrame:
    """The runs in a folder, in the order in which they were started.

    Args:
        folder: of a sweep, a search, or any runs by `run_once`, of one notebook or several.

    Returns:
        A row for each run, by its name: ``status`` (``"complete"``, ``"failed"``, ``"interrupted"``, ``"pruned"`` or
        ``"running"``), ``seconds``; a column for each parameter; a column for each number, text or truth value in
        ``results.json``, ``outer.inner`` if it is nested; ``peak_memory_gb``, ``device``, ``host``, ``started``,
        ``error`` (the last line of it) and ``notebook`` (the executed copy). Where names clash, a parameter keeps its
        own, what is known of the run is next, and a result is called ``result.NAME``; a parameter with the name of one
        of these columns is called ``parameter.NAME``. What a run has not is missing (NaN or None).
        ``attrs["parameters"]`` says which columns are parameters.

    Raises:
        UserError: if there is no such folder.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise UserError(f"there is no folder {folder}: give the one that a sweep was told to write to")
    return table(sorted(find_runs(folder).values(), key=lambda run: (run["started"], run["name"])))


def table(runs: Iterable[Mapping[str, Any]]) -> pd.DataFrame:
    """A row for each run, as `read_sweep` has it."""
    runs = list(runs)
    given = list(dict.fromkeys(name for run in runs for name in run["parameters"]))
    own = {*_FIRST, *_LAST}
    names = {name: f"parameter.{name}" if name in own else name for name in given}
    rows = []
    for run in runs:
        parameters = {names[name]: value for name, value in run["parameters"].items()}
        results = {
            f"result.{name}" if name in own or name in given else name: value
            for name, value in scalars(read_results(Path(run["folder"]))).items()
        }
        about = {name: run.get(name) for name in _FIRST + _LAST}
        rows.append(about | parameters | results)
    results_too = list(dict.fromkeys(name for row in rows for name in row if name not in {*own, *names.values()}))
    columns = [*_FIRST, *names.values(), *results_too, *_LAST]
    index = pd.Index([run["name"] for run in runs], name="run", dtype=object)
    found = pd.DataFrame(rows, index=index, columns=columns)
    found.attrs["parameters"] = list(names.values())
    return found


def scalars(results: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """The single values among results, nested ones as ``outer.inner``, without versions of packages."""
    found: dict[str, Any] = {}
    for name, value in results.items():
        if isinstance(value, dict) and (prefix or name != "versions"):
            found |= scalars(value, f"{prefix}{name}.")
        elif not isinstance(value, dict | list):
            found[f"{prefix}{name}"] = value
    return found
