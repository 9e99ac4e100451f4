"""Sweeps: many runs of a notebook, of which nothing can stop more than those that are at it."""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from functools import partial
from pathlib import Path
from queue import Empty, SimpleQueue
from statistics import median
from typing import Any
from uuid import uuid4

import pandas as pd
from dask.distributed import Client, Future, KilledWorker

from retina_nb.errors import UserError
from retina_nb.sweeps.clusters import connected, job_script, runs_at_once
from retina_nb.sweeps.notebooks import make_writable, run_time
from retina_nb.sweeps.parameters import check_overrides, combined, varying
from retina_nb.sweeps.runs import discard_complete, find_runs, name_runs, run_once
from retina_nb.sweeps.table import table
from retina_nb.sweeps.watch import SweepProgress, duration, label

_PAUSE = 0.5  # seconds between looks at the cluster


def sweep(
    notebook: str | Path,
    folder: str | Path,
    *,
    parameters: Mapping[str, Any] | None = None,
    grid: Mapping[str, Sequence[Any]] | None = None,
    sets: Sequence[Mapping[str, Any]] = (),
    workers: int | None = None,
    scheduler: str | None = None,
    slurm: Mapping[str, Any] | None = None,
    timeout: float | None = None,
    best: str = "validation_correlation",
    resume: bool = True,
    dry_run: bool = False,
) -> pd.DataFrame:
    """Run a notebook with many parameters, several at once, each in a folder of its own in `folder`.

    Runs that are complete are not repeated, so that the same call takes up a sweep that was interrupted; any number of
    these calls may be at work in one folder. A run that fails stops no other. Whatever happens to workers, to the
    scheduler or to this process, only runs that are under way are lost. What is left is printed.

    The runs are tasks of Dask. A script that calls this must be guarded by ``if __name__ == "__main__":``, because
    worker processes import it. Workers elsewhere need this package, and the same paths to `notebook` and `folder`.

    Args:
        notebook: a notebook, ``.ipynb`` or ``.py``.
        folder: the folder of the sweep, made if need be.
        parameters: those that are the same for all runs and not the notebook's defaults.
        grid: values of parameters, of which every combination is run.
        sets: sets of parameters, each of which is run with every combination of the grid.
        workers: how many runs at once; by default one for each graphics card, or else as many as there are cores, and
            memory for. Threads are divided among them.
        scheduler: the address of a Dask scheduler whose workers do the runs, ``tcp://host:8786``.
        slurm: options of ``dask_jobqueue.SLURMCluster``, to do the runs in `workers` jobs of SLURM, by default one for
            each run. ``cores`` are those of one run.
        timeout: the most that a run may take (s).
        best: the result whose largest value is shown while it goes on.
        resume: whether what is complete is left alone. Otherwise it is discarded and done again, as after a change that
            a run's name does not depend on, such as of data or of modules that the notebook imports.
        dry_run: only print which runs there would be, how long they would take and, for SLURM, the script of a job.

    Returns:
        The table of `read_sweep`, of the runs that were asked for alone. Those without a folder have the status
        ``"not started"``.

    Raises:
        UserError: before anything runs, if the notebook has no such parameters, its preset no such overrides, two of
            the arguments have the same one, the folder cannot be written or there is no such cluster.
        KeyboardInterrupt: if it is interrupted, when it has told what is left.
    """
    folder = Path(folder).absolute()
    runs = name_runs(notebook, combined(parameters or {}, grid or {}, sets))
    check_overrides(runs.values())
    names = varying(runs.values())
    if not (resume or dry_run):
        discard_complete(folder, runs)
    before = find_runs(folder) if folder.is_dir() and (resume or not dry_run) else {}
    todo = {name: given for name, given in runs.items() if before.get(name, {}).get("status") != "complete"}
    if dry_run:
        at_once = runs_at_once(len(todo), workers=workers, scheduler=scheduler, slurm=slurm)
        print(_plan(runs, before, names, at_once, run_time(notebook)))
        if slurm is not None:
            print(f"each worker is a job of SLURM:\n{job_script(slurm)}")
        return _left(runs, before, {})
    make_writable(folder)
    progress = SweepProgress(len(todo), len(runs) - len(todo), best, names)
    ended: dict[str, dict[str, Any]] = {}
    labels = {name: label(given, names) for name, given in runs.items()}
    try:
        with closing(progress):
            if todo:
                with connected(len(todo), workers=workers, scheduler=scheduler, slurm=slurm) as client:
                    progress.announce(f"dashboard: {client.dashboard_link}")
                    for run in _ended(client, notebook, folder, todo, timeout, progress):
                        ended[run["name"]] = run
                        progress.end(run)
    except UserError:  # there is no such cluster
        raise
    except BaseException:
        print(_summary(_left(runs, find_runs(folder), ended), folder, labels))
        raise
    found = _left(runs, find_runs(folder), ended)
    print(_summary(found, folder, labels))
    return found


def _summary(runs: pd.DataFrame, folder: Path, labels: Mapping[str, str]) -> str:
    """What became of the runs, and where to look at those that are not complete."""
    counts = runs["status"].value_counts()
    lines = [f"in {folder}: " + ", ".join(f"{count} {status}" for status, count in counts.items())]
    for name, run in runs[~runs["status"].isin(["complete", "not started"])].iterrows():
        lines.append(f"  {labels[name]} is {run['status']}" + (f": {run['error']}" if run["error"] else ""))
        lines += [f"    {run['notebook']}"] if isinstance(run["notebook"], str) else []
    if not (runs["status"] == "complete").all():
        lines.append("the same again does what is not complete")
    return "\n".join(lines)


def _ended(
    client: Client,
    notebook: str | Path,
    folder: Path,
    runs: Mapping[str, Mapping[str, Any]],
    timeout: float | None,
    progress: SweepProgress,
) -> Iterator[dict[str, Any]]:
    """The runs as they end. Those that another driver is at come last, when it is done with them."""
    elsewhere: list[str] = []
    for wait in (False, True):
        names = elsewhere if wait else list(runs)
        run = partial(run_once, Path(notebook).absolute(), folder, timeout=timeout, wait=wait)
        # Keys that no other client has: two drivers at one scheduler would share tasks, and their ends. They are of one
        # group, for Dask to keep them back until a worker is free: what a worker had when it died counts against it.
        group = f"run-{uuid4().hex[:8]}"
        futures = client.map(run, [runs[name] for name in names], key=[(group, name) for name in names], pure=False)
        of_future = dict(zip(futures, names, strict=True))
        for future in _done(client, futures, progress):
            ended = outcome(future, of_future[future])
            if ended["status"] == "running":
                elsewhere.append(ended["name"])
            else:
                yield ended


def _done(client: Client, futures: Iterable[Future], progress: SweepProgress) -> Iterator[Future]:
    """Futures when they are done, or when they never will be because the scheduler is lost."""
    waiting = set(futures)
    queue: SimpleQueue[Future] = SimpleQueue()
    for future in waiting:
        future.add_done_callback(queue.put)
    while waiting:
        try:
            future = queue.get(timeout=_PAUSE)
        except Empty:
            if client.status != "running":
                yield from waiting
                return
            progress.show(min(len(waiting), threads(client)))
            continue
        waiting.discard(future)
        yield future


def threads(client: Client) -> int:
    """How many runs can be at work."""
    try:
        return client.scheduler_info(n_workers=0).get("total_threads", 0)
    except OSError:  # no answer, as when the scheduler is just being lost
        return 0


def outcome(future: Future, name: str) -> dict[str, Any]:
    lost = {"name": name, "status": "interrupted"}
    if future.status == "finished":
        return future.result()
    if future.status != "error":
        return lost | {"error": "the scheduler was lost"}
    error = future.exception()
    if isinstance(error, KilledWorker):
        return lost | {"error": "its worker was killed, again and again"}
    return lost | {"status": "failed", "error": f"{type(error).__name__}: {error}"}


def _left(
    runs: Mapping[str, dict[str, Any]], found: Mapping[str, dict[str, Any]], ended: Mapping[str, dict[str, Any]]
) -> pd.DataFrame:
    """A row for every run that was asked for: what its folder says, or else what its end was."""
    nothing = {"status": "not started", "folder": ""}
    rows = []
    for name, parameters in runs.items():
        end, known = ended.get(name, {}), found.get(name, {})
        if known.get("status") == "interrupted" and end.get("error"):
            known = known | {"error": f"{known['error']}: {end['error']}"}
        rows.append(nothing | {"name": name, "parameters": parameters} | end | known)
    return table(rows)


def _plan(
    runs: Mapping[str, dict[str, Any]],
    before: Mapping[str, dict[str, Any]],
    names: list[str],
    at_once: int,
    by_itself: str | None,
) -> str:
    """Which runs there are, and an estimate: from those that are complete, or else what the notebook says of itself."""
    rows = [
        {"run": name, "status": before.get(name, {}).get("status", "new")} | {one: given[one] for one in names}
        for name, given in runs.items()
    ]
    todo = sum(row["status"] != "complete" for row in rows)
    lines = [pd.DataFrame(rows).to_string(index=False), f"{todo} of {len(runs)} runs to do"]
    seconds = [run["seconds"] for run in before.values() if run["status"] == "complete"]
    if not seconds:
        told = f"the notebook says of itself: {by_itself}" if by_itself else "do one to know how long they take"
        return "\n".join([*lines, f"no run is complete in this folder; {told}"])
    each = median(seconds)
    how = f"with {at_once} at once" if at_once > 1 else "one after the other"
    total = duration(math.ceil(todo / max(1, at_once)) * each)
    return "\n".join([*lines, f"about {total} {how} ({duration(each)} a run, as the complete ones had)"])
