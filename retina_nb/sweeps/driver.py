"""Sweeps: many runs of a notebook, of which nothing can stop more than those that are at it."""

import os
from collections.abc import Collection, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from statistics import median
from typing import Any

import pandas as pd

from retina_nb.errors import UserError
from retina_nb.files import absolute_path
from retina_nb.sweeps.notebooks import make_writable, run_time
from retina_nb.sweeps.parameters import check_overrides, check_timeout, combined, varying
from retina_nb.sweeps.records import last_line
from retina_nb.sweeps.report import CSV, summary, write_csv
from retina_nb.sweeps.runs import discard_complete, find_runs, name_runs, read_run
from retina_nb.sweeps.table import in_order, table
from retina_nb.sweeps.watch import SweepProgress, duration, label


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
    scheduler or to this process, only runs that are under way are lost. At the end, a table of the runs is printed, and
    what is left; the whole table of the folder is written to ``runs.csv`` in it.

    Notebooks run in the working directory of this process, as by `run_notebook`; what they write should go to their
    ``output_dir``, or runs would write to one file at a time.

    The runs are tasks of Dask. A script that calls this must be guarded by ``if __name__ == "__main__":``, because
    worker processes import it. Workers elsewhere need this package, and the same paths to `notebook`, `folder` and the
    working directory.

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
        best: the result by which runs are sorted at the end, and whose largest value is shown before.
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
    notebook, folder = absolute_path(notebook), absolute_path(folder)
    check_timeout(timeout)
    runs = name_runs(notebook, combined(parameters or {}, grid or {}, sets))
    names = varying(runs.values())
    if not (resume or dry_run):
        discard_complete(folder, runs)
    before = find_runs(folder) if folder.is_dir() and (resume or not dry_run) else {}
    todo = {name: given for name, given in runs.items() if before.get(name, {}).get("status") != "complete"}
    check_overrides(todo.values())
    if dry_run:
        from retina_nb.sweeps.clusters import job_script, runs_at_once  # Dask takes seconds to import

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
                from retina_nb.sweeps import tasks

                def look() -> None:
                    left = todo.keys() - ended.keys()
                    progress.show({labels[name]: line for name, line in _under_way(folder, before, left).items()})

                with tasks.connected(len(todo), workers=workers, scheduler=scheduler, slurm=slurm) as client:
                    progress.announce(f"dashboard: {client.dashboard_link}")
                    do = tasks.run_with(notebook, folder, timeout, absolute_path("."))
                    for run in tasks.ended_runs(client, do, todo, look):
                        ended[run["name"]] = run
                        progress.end(run)
    except UserError:  # there is no such cluster
        raise
    except BaseException:
        _tell(runs, folder, ended, labels, best)
        raise
    return _tell(runs, folder, ended, labels, best)


def _tell(
    runs: Mapping[str, dict[str, Any]],
    folder: Path,
    ended: Mapping[str, dict[str, Any]],
    labels: Mapping[str, str],
    best: str,
) -> pd.DataFrame:
    """Print what became of the runs, and write down all that are in the folder."""
    found = find_runs(folder)
    left = _left(runs, found, ended)
    print(summary(left, folder, labels, best))
    print(write_csv(table(in_order(found)), folder / CSV))
    return left


def _under_way(folder: Path, before: Mapping[str, dict[str, Any]], names: Collection[str]) -> dict[str, str]:
    """The runs that have begun and not ended since, each with the last line that it printed."""
    try:
        there = os.listdir(folder)
    except OSError:  # somebody removed it
        return {}
    found = {}
    for name in {*there}.intersection(names):
        run = read_run(folder / name)
        if run["status"] == "interrupted" and run.get("attempt") != before.get(name, {}).get("attempt"):
            found[name] = last_line(folder / name)
    return found


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
        rows.append(nothing | end | known | {"name": name, "parameters": parameters})
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
    total = duration(-(-todo // max(1, at_once)) * each)
    return "\n".join([*lines, f"about {total} {how} ({duration(each)} a run, as the complete ones had)"])
