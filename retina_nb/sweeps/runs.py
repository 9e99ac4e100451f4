"""One run of a notebook in a folder that it shares with others, whatever happens to it.

A run is named by what it depends on. Its folder is there, under that name, if and only if it is complete: it is written
under another name and renamed at the end. ``NAME.failed`` is what is left of a run that failed, and
``NAME.*.unfinished`` is a run that goes on or was interrupted.
"""

import hashlib
import json
import os
import platform
import shutil
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

import nbformat
from filelock import FileLock, Timeout

from retina_nb import __version__
from retina_nb.files import replace_file
from retina_nb.sweeps.kernels import NotebookFailed, execute, unfinished_copy
from retina_nb.sweeps.machine import PeakMemory, device
from retina_nb.sweeps.notebooks import (
    OUTPUT_DIR,
    check_parameters,
    make_writable,
    notebook_parameters,
    read_notebook,
)
from retina_nb.sweeps.progress import CellProgress

FAILED, UNFINISHED = ".failed", ".unfinished"
_STATUS, _LOG, _RESULTS = "status.json", "log.txt", "results.json"


def run_name(notebook: str | Path, parameters: Mapping[str, Any] | None = None) -> str:
    """The name of a run: 16 digits that stand for the code of the notebook, all of its parameters (the defaults, too)
    and the version of this package.

    Raises:
        UserError: if the notebook cannot be read or has no such parameters.
    """
    (name,) = name_runs(notebook, [parameters or {}])
    return name


def name_runs(notebook: str | Path, sets: Iterable[Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    """The names of runs and all of their parameters: the notebook's defaults and, in their place, those of a set.

    Sets that come to the same are one run. Paths of what exists are made absolute, because every run has a working
    directory of its own.

    Raises:
        UserError: if the notebook cannot be read or has no such parameters.
    """
    source = Path(notebook)
    document, defaults = read_notebook(source), notebook_parameters(source)
    runs = (_all_parameters(defaults, check_parameters(given, defaults, source.name)) for given in sets)
    return {_name(document, parameters): parameters for parameters in runs}


def run_once(
    notebook: str | Path,
    folder: str | Path,
    parameters: Mapping[str, Any] | None = None,
    *,
    timeout: float | None = None,
    wait: bool = True,
    environment: Mapping[str, str] | None = None,
) -> dict[str, Any]:
    """Run a notebook, unless that run is complete already, in ``<folder>/<run_name>``.

    That folder holds the executed notebook, ``results.json`` and whatever else the notebook writes to its
    ``output_dir``, ``log.txt`` with what it printed, and ``status.json``. It is the kernel's working directory, too.
    Any number of processes and machines may do this at once: a run is claimed by a lock, and if locks should not work
    in that folder, the first one to finish wins.

    Args:
        notebook: a notebook, ``.ipynb`` or ``.py``.
        folder: the folder of all runs, made if need be.
        parameters: those that are not the notebook's defaults.
        timeout: how long it may take (s).
        wait: for another process that is at the same run, to take what it finds. Otherwise the status is
            ``"running"``, and nothing else is told.
        environment: variables of the kernel's environment, of which the run's name does not depend.

    Returns:
        ``name``, ``status`` (``"complete"``, or ``"failed"`` if the notebook raises, takes too long or loses its
        kernel, or ``"pruned"`` if a search ended it), ``parameters`` (all of them), ``error`` (its last line, or
        None), ``seconds``, ``peak_memory_gb`` (of the kernel and its children), ``device``, ``host``, ``version``,
        ``started``, ``source``, ``folder`` and ``notebook`` (paths; the executed copy).

    Raises:
        UserError: before anything runs, if the notebook cannot be read or has no such parameters, or the folder cannot
            be written.
    """
    source = Path(notebook).absolute()
    document, ((name, values),) = read_notebook(source), name_runs(source, [parameters or {}]).items()
    folder = Path(folder).absolute()
    make_writable(folder)
    with claim(folder, name, wait=wait) as claimed:
        if (folder / name).is_dir():
            return read_run(folder / name)
        if not claimed:
            return {"name": name, "status": "running"}
        _discard_remains(folder, name)
        return _run(document, source, folder / name, values, timeout, environment or {})


def read_run(folder: Path) -> dict[str, Any]:
    """What is known of a run, from its folder: as `run_once` returns it, or with status ``"interrupted"``."""
    known = json.loads((folder / _STATUS).read_text(encoding="utf-8"))
    if known["status"] == "interrupted":
        lines = [line.strip() for line in _text(folder / _LOG).splitlines() if line.strip()]
        known["error"] = f"interrupted after {lines[-1]!r}" if lines else "interrupted at its start"
    notebook = folder / known["notebook"]
    if not notebook.exists():
        notebook = next(folder.glob("*.ipynb"), folder)
    return known | {"folder": str(folder), "notebook": str(notebook)}


def find_runs(folder: Path) -> dict[str, dict[str, Any]]:
    """What is known of all runs in a folder, by their names, where ``status`` may be ``"running"``, too."""
    runs: dict[str, dict[str, Any]] = {}
    for status in folder.glob(f"*/{_STATUS}"):
        if status.parent.name.startswith("."):
            continue
        try:
            run = read_run(status.parent)
        except FileNotFoundError:  # it was renamed meanwhile
            continue
        if status.parent.name.endswith(UNFINISHED) and _is_claimed(folder, run["name"]):
            run |= {"status": "running", "error": None}
        known = runs.get(run["name"])
        if known is None or (run["status"] == "complete", run["started"]) > (
            known["status"] == "complete",
            known["started"],
        ):
            runs[run["name"]] = run
    return runs


def discard_complete(folder: Path, names: Iterable[str]) -> None:
    """Remove runs that are complete, to do them again; not those that another process is at."""
    for name in names:
        if (folder / name).is_dir():
            with claim(folder, name, wait=False) as claimed:
                if claimed:
                    _discard(folder / name)


def read_results(folder: Path) -> dict[str, Any]:
    """What the notebook of a run wrote to ``results.json``."""
    text = _text(folder / _RESULTS)
    return json.loads(text) if text else {}


@contextmanager
def claim(folder: Path, name: str, *, wait: bool) -> Iterator[bool]:
    """Whether a run is this process's for now. The claim ends with the process, however that ends."""
    lock = FileLock(folder / f".{name}.lock")
    try:
        lock.acquire(timeout=-1 if wait else 0)
    except Timeout:
        yield False
        return
    try:
        yield True
    finally:
        lock.release()


def _is_claimed(folder: Path, name: str) -> bool:
    if not (folder / f".{name}.lock").exists():
        return False
    with claim(folder, name, wait=False) as free:
        return not free


def _all_parameters(defaults: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
    return {
        name: float(value) if isinstance(defaults[name], float) else _absolute(value)
        for name, value in {**defaults, **given}.items()
        if name != OUTPUT_DIR
    }


def _name(document: nbformat.NotebookNode, parameters: Mapping[str, Any]) -> str:
    code = [cell.source.strip() for cell in document.cells if cell.cell_type == "code"]
    text = json.dumps([code, parameters, __version__], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _absolute(value: Any) -> Any:
    match value:
        case str() if os.sep in value and os.path.exists(value):
            return os.path.abspath(value)
        case list():
            return [_absolute(one) for one in value]
        case dict():
            return {name: _absolute(one) for name, one in value.items()}
    return value


def _run(
    document: nbformat.NotebookNode,
    source: Path,
    home: Path,
    parameters: dict[str, Any],
    timeout: float | None,
    environment: Mapping[str, str],
) -> dict[str, Any]:
    status: dict[str, Any] = {
        "name": home.name,
        "status": "interrupted",  # what it is if nobody writes here again
        "parameters": parameters,
        "error": None,
        "seconds": None,
        "peak_memory_gb": None,
        "device": device(),
        "host": platform.node(),
        "version": __version__,
        "started": datetime.now(UTC).isoformat(timespec="seconds"),
        "source": str(source),
        "notebook": unfinished_copy(source, Path()).name,
    }
    room = home.with_name(f"{home.name}.{uuid4().hex[:8]}{UNFINISHED}")
    started = time.monotonic()
    try:
        room.mkdir()
        _write(status, room)
        with PeakMemory() as memory:
            status |= _outcome(document, source, room, parameters, timeout, environment, memory)
        status["seconds"] = round(time.monotonic() - started, 2)
        status["peak_memory_gb"] = round(memory.gb, 3)
        return _publish(status, room, home)
    except OSError as error:  # most of all, a full disk
        return status | {"status": "failed", "error": _line(error), "folder": str(room), "notebook": str(room)}


def _outcome(
    document: nbformat.NotebookNode,
    source: Path,
    room: Path,
    parameters: dict[str, Any],
    timeout: float | None,
    environment: Mapping[str, str],
    memory: PeakMemory,
) -> dict[str, Any]:
    values = parameters | ({OUTPUT_DIR: str(room)} if OUTPUT_DIR in notebook_parameters(source) else {})
    with (room / _LOG).open("w", encoding="utf-8") as log:
        try:
            progress = CellProgress(len(document.cells), log)
            executed = execute(
                document,
                source,
                room,
                values,
                progress,
                directory=room,
                timeout=timeout,
                environment=environment,
                on_kernel=memory.watch,
            )
        except NotebookFailed as failure:
            status = "pruned" if failure.reason.startswith("TrialPruned") else "failed"
            return {"status": status, "error": failure.reason, "notebook": failure.notebook.name}
        except Exception as error:  # of papermill or the system, not of the notebook
            return {"status": "failed", "error": _line(error)}
    return {"status": "complete", "notebook": executed.name}


def _line(error: Exception) -> str:
    reason = getattr(error, "strerror", None) or (str(error).strip().splitlines() or [""])[-1]
    return f"{type(error).__name__}: {reason}"


def _publish(status: dict[str, Any], room: Path, home: Path) -> dict[str, Any]:
    """Give a run its name, unless another was faster."""
    complete = status["status"] == "complete"
    target = home if complete else home.with_name(home.name + FAILED)
    _tell_where(room, target, status["notebook"])
    _write(status, room)
    if not complete:
        _discard(target)
    try:
        room.rename(target)
    except OSError:
        if not target.is_dir():
            raise
        _discard(room)
    if complete:
        _discard(home.with_name(home.name + FAILED))
    return read_run(target)


def _tell_where(room: Path, target: Path, notebook: str) -> None:
    """The paths that a run wrote down are those of the folder that it will be in."""
    for path in (room / notebook, room / _RESULTS):
        text = _text(path)
        if str(room) in text:
            with replace_file(path) as temporary:
                temporary.write_text(text.replace(str(room), str(target)), encoding="utf-8")


def _discard_remains(folder: Path, name: str) -> None:
    """Remove what was left by runs that were interrupted. Nobody is at it: it is claimed here."""
    for remains in folder.glob(f"{name}.*{UNFINISHED}"):
        _discard(remains)


def _discard(folder: Path) -> None:
    """Remove a folder at once: if someone should still write to it, he finds it gone, not half gone."""
    away = folder.with_name(f".{folder.name}.{os.getpid()}.{time.monotonic_ns()}")
    try:
        folder.rename(away)
    except FileNotFoundError:
        return
    shutil.rmtree(away, ignore_errors=True)


def _write(status: Mapping[str, Any], room: Path) -> None:
    with replace_file(room / _STATUS) as temporary:
        temporary.write_text(json.dumps(status, indent=2) + "\n", encoding="utf-8")


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return ""
