"""One run of a notebook in a folder that it shares with others, whatever happens to it.

A run is named by what it depends on, and so is its folder from the start: every path that it writes down stays true.
Whether it is complete, ``status.json`` says, which is written twice: when the run begins, as "interrupted", which is
what it is if nobody writes there again, and when it has ended. A lock keeps others away meanwhile.
"""

import hashlib
import json
import os
import platform
import shutil
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

import nbformat
from filelock import FileLock, Timeout

from retina_nb import __version__
from retina_nb.errors import UserError
from retina_nb.files import absolute_path, expand_path, replace_file
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
from retina_nb.sweeps.records import (
    LOG,
    RESULTS,
    STATUS,
    Damaged,
    last_line,
    read_object,
    read_status,
    results_fault,
)


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

    Sets that come to the same are one run. Paths of what exists are made absolute, so that a run of another file is
    another run.

    Raises:
        UserError: if the notebook cannot be read or has no such parameters.
    """
    source = expand_path(notebook)
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
    directory: str | Path | None = None,
) -> dict[str, Any]:
    """Run a notebook, unless that run is complete already, in ``<folder>/<run_name>``.

    That folder holds the executed notebook, ``results.json`` and whatever else the notebook writes to its
    ``output_dir``, ``log.txt`` with what it printed, and ``status.json``. What is left there of a run that failed or
    was interrupted is removed first. Any number of processes and machines may do this at once: a run is claimed by a
    lock.

    Args:
        notebook: a notebook, ``.ipynb`` or ``.py``.
        folder: the folder of all runs, made if need be.
        parameters: those that are not the notebook's defaults.
        timeout: how long it may take (s).
        wait: for another process that is at the same run, to take what it finds. Otherwise the status is
            ``"running"``, and nothing else is told.
        environment: variables of the kernel's environment, on which the run's name does not depend.
        directory: the kernel's working directory; by default this process's, as for `run_notebook`.

    Returns:
        ``name``, ``status`` (``"complete"``, or ``"failed"`` if the notebook raises, takes too long, loses its kernel
        or leaves a damaged ``results.json``, or ``"pruned"`` if a search ended it), ``parameters`` (all of them),
        ``error`` (its last line, or None), ``seconds``, ``peak_memory_gb`` (of the kernel and its children),
        ``device``, ``host``, ``version``, ``started``, ``source``, ``attempt`` (a new word each time it is run),
        ``folder`` and ``notebook`` (paths; the executed copy).

    Raises:
        UserError: before anything runs, if the notebook cannot be read or has no such parameters, or the folder cannot
            be written.
    """
    source, folder, directory = absolute_path(notebook), absolute_path(folder), absolute_path(directory or ".")
    document, ((name, values),) = read_notebook(source), name_runs(source, [parameters or {}]).items()
    make_writable(folder)
    home = folder / name
    with claim(folder, name, wait=wait) as claimed:
        known = read_run(home) if home.is_dir() else {}
        if known.get("status") == "complete":
            return known
        if not claimed:
            return {"name": name, "status": "running"}
        _discard(home)
        return _run(document, source, home, values, timeout, environment or {}, directory)


def read_run(home: Path) -> dict[str, Any]:
    """What is known of a run, from its folder: as `run_once` returns it, or with status ``"interrupted"``.

    A run that cannot tell whether it is complete is not: it is interrupted if ``status.json`` is missing or damaged,
    and failed if its ``results.json`` cannot be read.
    """
    try:
        known = read_status(home)
    except (FileNotFoundError, Damaged) as error:
        reason = str(error) if isinstance(error, Damaged) else f"there is no {STATUS}"
        known = {"status": "interrupted", "parameters": {}, "error": f"its {reason}" if reason[0] == "s" else reason}
    if known["status"] == "complete" and (fault := results_fault(home)):
        known |= {"status": "failed", "error": f"its {fault}"}
    if known["status"] == "interrupted" and not known["error"]:
        line = last_line(home)
        known["error"] = f"interrupted after {line!r}" if line else "interrupted at its start"
    return known | {
        "name": home.name.partition(".")[0],
        "folder": str(home),
        "notebook": str(_copy(home, known.get("notebook"))),
    }


def _copy(home: Path, name: str | None) -> Path:
    """The executed notebook, or what there is of it."""
    known = home / Path(name or "").name
    return known if known.is_file() else next(iter(sorted(home.glob("*.ipynb"))), home)


def find_runs(folder: Path) -> dict[str, dict[str, Any]]:
    """What is known of all runs in a folder, by their names, where ``status`` may be ``"running"``, too."""
    runs: dict[str, dict[str, Any]] = {}
    for status in folder.glob(f"*/{STATUS}"):
        if status.parent.name.startswith("."):
            continue
        run = read_run(status.parent)
        if run["status"] == "interrupted" and _is_claimed(folder, run["name"]):
            run |= {"status": "running", "error": None}
        known = runs.get(run["name"])
        if known is None or _rank(run) > _rank(known):
            runs[run["name"]] = run
    return runs


def _rank(run: Mapping[str, Any]) -> tuple[bool, str]:
    return run["status"] == "complete", run.get("started") or ""


def discard_complete(folder: Path, names: Iterable[str]) -> None:
    """Remove runs that are complete, to do them again; not those that another process is at."""
    for name in names:
        if (folder / name).is_dir() and read_run(folder / name)["status"] == "complete":
            with claim(folder, name, wait=False) as claimed:
                if claimed:
                    _discard(folder / name)


def read_results(folder: Path) -> dict[str, Any]:
    """What the notebook of a run wrote to ``results.json``; nothing if that is not there or damaged."""
    try:
        return read_object(folder / RESULTS)
    except (FileNotFoundError, Damaged):
        return {}


@contextmanager
def claim(folder: Path, name: str, *, wait: bool) -> Iterator[bool]:
    """Whether a run is this process's for now. The claim ends with the process, however that ends."""
    path = folder / f".{name}.lock"
    lock = FileLock(path)
    try:
        lock.acquire(timeout=-1 if wait else 0)
    except Timeout:
        yield False
        return
    try:
        yield True
    finally:
        with suppress(OSError):
            path.unlink()  # while it is held: whoever waits for it finds it gone, and takes a new one
        lock.release()


def _is_claimed(folder: Path, name: str) -> bool:
    if not (folder / f".{name}.lock").exists():
        return False
    try:
        with claim(folder, name, wait=False) as free:
            return not free
    except OSError:  # a folder that can only be read
        return False


def _all_parameters(defaults: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
    return {
        name: float(value) if isinstance(defaults[name], float) else _absolute(value)
        for name, value in {**defaults, **given}.items()
        if name != OUTPUT_DIR
    }


def _name(document: nbformat.NotebookNode, parameters: Mapping[str, Any]) -> str:
    cells = [cell for cell in document.cells if "injected-parameters" not in cell.metadata.get("tags", [])]
    code = [cell.source.strip() for cell in cells if cell.cell_type == "code"]
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
    directory: Path,
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
        "attempt": uuid4().hex,
    }
    started = time.monotonic()
    try:
        home.mkdir()
        _write(status, home)
        with PeakMemory() as memory:
            end = _outcome(document, source, home, parameters, timeout, environment, directory, memory)
        end |= {"seconds": round(time.monotonic() - started, 2), "peak_memory_gb": round(memory.gb, 3)}
        return _end(status, end, home)
    except OSError as error:  # most of all, a full disk
        return status | {"status": "failed", "error": _line(error), "folder": str(home), "notebook": str(home)}


def _outcome(
    document: nbformat.NotebookNode,
    source: Path,
    home: Path,
    parameters: dict[str, Any],
    timeout: float | None,
    environment: Mapping[str, str],
    directory: Path,
    memory: PeakMemory,
) -> dict[str, Any]:
    values = parameters | ({OUTPUT_DIR: str(home)} if OUTPUT_DIR in notebook_parameters(source) else {})
    with (home / LOG).open("w", encoding="utf-8", errors="backslashreplace") as log:
        try:
            executed = execute(
                document,
                source,
                home,
                values,
                CellProgress(len(document.cells), log),
                directory=directory,
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
    return reason if isinstance(error, UserError) else f"{type(error).__name__}: {reason}"


def _end(status: Mapping[str, Any], end: Mapping[str, Any], home: Path) -> dict[str, Any]:
    """Write down how a run ended, if its folder is still its own."""
    try:
        if read_status(home)["attempt"] != status["attempt"]:  # where locks do not work
            return read_run(home) | {"error": "another process took its folder"}
    except (OSError, Damaged):
        end = {**end, "status": "failed", "error": "the run's folder was removed or damaged while it ran"}
        if not home.is_dir():
            _discard(home)
            home.mkdir(parents=True)
    _write({**status, **end}, home)
    return read_run(home)


def _discard(home: Path) -> None:
    """Remove what is left of a run. It is renamed first: whoever still writes to it finds it gone as a whole."""
    away = home.with_name(f".{home.name}.{os.getpid()}.{time.monotonic_ns()}")
    try:
        home.rename(away)
    except FileNotFoundError:
        return
    if away.is_dir() and not away.is_symlink():
        shutil.rmtree(away, ignore_errors=True)
    else:
        away.unlink()


def _write(status: Mapping[str, Any], home: Path) -> None:
    with replace_file(home / STATUS) as temporary:
        temporary.write_text(json.dumps(status, indent=2) + "\n", encoding="utf-8")
