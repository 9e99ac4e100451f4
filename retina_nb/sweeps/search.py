"""Searches: Optuna chooses the parameters of runs of a notebook, which Dask does."""

import json
import math
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any
from uuid import uuid4

import pandas as pd
from dask.distributed import Client, Future
from optuna.trial import Trial

from retina_nb.errors import UserError, unknown
from retina_nb.sweeps.clusters import connected
from retina_nb.sweeps.driver import outcome, threads
from retina_nb.sweeps.notebooks import make_writable, notebook_parameters
from retina_nb.sweeps.runs import find_runs, read_results, run_name, run_once
from retina_nb.sweeps.space import Space, checked_space, default_space, read_space
from retina_nb.sweeps.study import SharedStudy
from retina_nb.sweeps.table import scalars
from retina_nb.sweeps.watch import SweepProgress

_PAUSE = 0.5  # seconds between looks at the cluster


def search(
    notebook: str | Path,
    folder: str | Path,
    space: Mapping[str, Any] | str | Path | None = None,
    *,
    objective: str = "validation_correlation",
    minimize: bool = False,
    trials: int = 50,
    parameters: Mapping[str, Any] | None = None,
    seed: int = 0,
    prune: bool = True,
    workers: int | None = None,
    scheduler: str | None = None,
    slurm: Mapping[str, Any] | None = None,
    timeout: float | None = None,
) -> pd.DataFrame:
    """Search for the parameters of a notebook with which one of its results is best, several runs at once.

    Parameters are drawn by the tree-structured Parzen estimator (Bergstra et al. 2011) of Optuna. A trial is a run in a
    folder of its own, as `sweep` makes them. A trial whose first training is below the median of the trials before at
    the same epoch is pruned, without the notebook knowing of it.

    The same call takes up a search that was interrupted, and more of them, on this machine or others, share the trials
    of one folder. Trials that were under way when a driver or a scheduler was lost are repeated, and not counted. With
    one worker and one driver, `seed` fixes all that is drawn.

    Args:
        notebook: a notebook, ``.ipynb`` or ``.py``, that writes ``results.json``.
        folder: the folder of the search, made if need be; ``study.journal`` in it is Optuna's storage.
        space: what may change, by name, or a YAML file of it (`retina_nb.sweeps.space`): a list of values, or
            ``{"low": 0.001, "high": 0.1, "log": True}``; under ``"overrides"``, values within the notebook's preset;
            under a choice, what is there only with it, ``"readout": {"factorized": {"readout.mask_penalty": ...}}``.
            By default, what is worth changing in the notebook's preset (`default_space`).
        objective: the result to make as large as possible; ``outer.inner`` if it is nested.
        minimize: make it as small as possible instead.
        trials: how many trials there shall be in the folder.
        parameters: those that are the same for all trials and not the notebook's defaults.
        seed: of what is drawn.
        prune: whether trials may be ended early. Then the best objective should go with the best validation.
        workers, scheduler, slurm, timeout: as for `sweep`.

    Returns:
        A row for each trial: ``status`` (``"complete"``, ``"pruned"``, ``"failed"``, ``"interrupted"``, or
        ``"running"`` elsewhere), the objective, what was drawn, ``epochs``, ``seconds``, ``run`` (its name) and
        ``error``. `read_sweep` has their results.

    Raises:
        UserError: before anything runs, if the space does not fit the notebook, there are no trials to do or the folder
            has another search; later, if the notebook's results have no such objective.
    """
    source, folder, given = Path(notebook).absolute(), Path(folder).absolute(), dict(parameters or {})
    if trials < 1:
        raise UserError(f"a search needs at least one trial, not {trials}")
    checked = checked_space(source, given, _given_space(source, given, space))
    make_writable(folder)
    as_kept = json.loads(json.dumps(checked.given))  # keys become text
    settings = {"space": as_kept, "objective": objective, "minimize": minimize}
    settings |= {"notebook or parameters that are the same for all": run_name(source, given)}
    study = SharedStudy(folder, settings, minimize=minimize, seed=seed)
    left = study.left(trials)
    progress = SweepProgress(left, trials - left, "", ())
    try:
        if left:
            with study.driving(), connected(left, workers=workers, scheduler=scheduler, slurm=slurm) as client:
                progress.announce(f"dashboard: {client.dashboard_link}")
                run = partial(run_once, source, folder, timeout=timeout)
                for trial, ended in _ended(client, study, checked, trials, run, prune, progress):
                    study.tell(trial, ended, _value(ended, objective))
                    _check_objective(ended, objective)
                    progress.leader = _leader(study, objective)
                    progress.end(ended)
    finally:
        progress.close()
        found = study.table(objective, checked)
        print(_summary(found, study, objective))
    return found


def _given_space(
    notebook: Path, parameters: Mapping[str, Any], space: Mapping[str, Any] | str | Path | None
) -> Mapping[str, Any]:
    if isinstance(space, str | Path):
        return read_space(space)
    if space is not None:
        return space
    preset = {**notebook_parameters(notebook), **parameters}.get("preset")
    if preset is None:
        raise UserError(f"{notebook.name} has no preset, so there is no space that suits it: give one")
    return default_space(preset)


def _ended(
    client: Client,
    study: SharedStudy,
    space: Space,
    trials: int,
    run: Callable[..., dict[str, Any]],
    prune: bool,
    progress: SweepProgress,
) -> Iterator[tuple[Trial, dict[str, Any]]]:
    """The trials of this driver, one for each free worker, as they end; until there are none left, or the scheduler
    is lost."""
    running: dict[Future, Trial] = {}
    queue: SimpleQueue[Future] = SimpleQueue()
    while running or study.left(trials):
        if len(running) < threads(client) and (trial := study.ask(space, trials)):
            environment = study.environment(trial) if prune else {}
            # A key that no other client has: two drivers at one scheduler would share the task, and its end.
            key = f"trial-{trial.number}-{uuid4().hex[:8]}"
            parameters = space.parameters_of(trial.params)
            future = client.submit(run, parameters, environment=environment, key=key, pure=False)
            running[future] = trial
            future.add_done_callback(queue.put)
            continue
        progress.show(len(running))
        try:
            future = queue.get(timeout=_PAUSE)
        except Empty:
            if client.status != "running":
                return
            continue
        if future.status in ("finished", "error"):
            trial = running.pop(future)
            yield trial, outcome(future, f"trial {trial.number}")


def _value(run: dict[str, Any], objective: str) -> float | None:
    """The objective of a run that is complete, which fails without one."""
    if run["status"] != "complete":
        return None
    value = scalars(read_results(Path(run["folder"]))).get(objective)
    if isinstance(value, int | float) and math.isfinite(value):
        return float(value)
    run |= {"status": "failed", "error": f"its results have {value} for {objective}"}
    return None


def _check_objective(run: Mapping[str, Any], objective: str) -> None:
    results = scalars(read_results(Path(run["folder"]))) if "folder" in run else {}
    if results and objective not in results:
        numbers = [name for name, value in results.items() if isinstance(value, int | float)]
        raise unknown("result of the notebook", objective, numbers)


def _leader(study: SharedStudy, objective: str) -> str:
    best = study.best()
    return f"best {objective} {best.values[0]:.4g} in trial {best.number}" if best else ""


def _summary(trials: pd.DataFrame, study: SharedStudy, objective: str) -> str:
    """What became of the trials, where to look at those that are not complete, and the best."""
    counts = ", ".join(f"{count} {status}" for status, count in trials["status"].value_counts().items())
    lines = [f"in {study.folder}: {counts or 'no trials'}"]
    runs = find_runs(study.folder)
    for number, trial in trials[trials["status"] == "failed"].iterrows():
        lines.append(f"  trial {number}, run {trial['run']}, failed: {trial['error']}")
        lines += [f"    {runs[trial['run']]['notebook']}"] if trial["run"] in runs else []
    if lost := study.lost():
        lines.append(f"  interrupted, and repeated by the same again: trials {', '.join(map(str, lost))}")
    if best := study.best():
        home = study.folder / trials.loc[best.number, "run"]
        lines.append(f"best is trial {best.number}, {objective} {best.values[0]:.4g}, in {home}:")
        drawn = best.params.items()
        lines += [f"  {label}: {f'{value:.4g}' if isinstance(value, float) else value}" for label, value in drawn]
    return "\n".join(lines)
