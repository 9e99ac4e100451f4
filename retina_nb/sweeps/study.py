"""The study of a search: trials in a file beside their runs, shared by any number of drivers, which may be killed."""

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

import numpy as np
import optuna
import pandas as pd
from filelock import FileLock
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, Trial, TrialState

from retina_nb.errors import UserError
from retina_nb.pruning import pruner, storage, trial_environment
from retina_nb.sweeps.runs import claim
from retina_nb.sweeps.space import Space

NAME = "search"
JOURNAL = "study.journal"
_SETTINGS, _DRIVER, _RUN, _ERROR = "settings", "driver", "run", "error"
_STATES = {
    TrialState.COMPLETE: "complete",
    TrialState.PRUNED: "pruned",
    TrialState.FAIL: "failed",
    TrialState.RUNNING: "running",
    TrialState.WAITING: "waiting",
}


class SharedStudy:
    """Optuna's study in a folder, and what a driver does with it. A context: outside, its trials are interrupted.

    Args:
        folder: of the search.
        settings: what must be the same whenever it is taken up.
        minimize: whether the least value is best.
        seed: fixes what is drawn, given the trials before.
        prune: whether trials may be ended early.

    Raises:
        UserError: if the study in the folder has other settings.
    """

    def __init__(self, folder: Path, settings: Mapping[str, Any], *, minimize: bool, seed: int) -> None:
        self.folder, self.seed, self.driver = folder, seed, uuid4().hex[:8]
        self.journal = folder / JOURNAL
        with self._alone(), _quiet():
            _check(self.journal)
            try:
                self.study = optuna.create_study(
                    study_name=NAME,
                    storage=storage(self.journal),
                    direction="minimize" if minimize else "maximize",
                    pruner=pruner(),
                    load_if_exists=True,
                )
            except Exception as error:  # of lines that are JSON, and yet none of Optuna's
                raise _damaged(self.journal, f"Optuna says {type(error).__name__}: {error}") from None
            known = self.study.user_attrs.get(_SETTINGS)
            if known is None:
                self.study.set_user_attr(_SETTINGS, dict(settings))
            elif changed := [name for name, value in settings.items() if known.get(name) != value]:
                raise UserError(
                    f"the search in {folder} has another {changed[0]}: take another folder, or the same again"
                )

    @contextmanager
    def driving(self) -> Iterator[None]:
        """While this lasts, trials that were asked for here are under way."""
        try:
            with claim(self.folder, f"driver-{self.driver}", wait=True):
                yield
        finally:
            with self._alone(), _quiet():
                self._repeat_interrupted()

    def ask(self, space: Space, trials: int) -> Trial | None:
        """The next of `trials` trials; None if all have ended or are under way."""
        with self._alone(), _quiet():
            self._repeat_interrupted()
            begun = self._begun()
            if begun >= trials:
                return None
            # What is drawn depends on the trials before, so that a search goes on as if it had not been interrupted.
            draws = int(np.random.default_rng([self.seed, begun]).integers(2**31))
            self.study.sampler = optuna.samplers.TPESampler(seed=draws, constant_liar=True)
            trial = self.study.ask()
            trial.set_user_attr(_DRIVER, self.driver)
            space.draw(trial)
            return trial

    def left(self, trials: int) -> int:
        """How many of `trials` trials nobody has begun."""
        with self._alone(), _quiet():
            self._repeat_interrupted()
            return max(0, trials - self._begun())

    def environment(self, trial: Trial) -> dict[str, str]:
        """In which a training can be pruned."""
        return trial_environment(self.journal, NAME, trial._trial_id)

    def tell(self, trial: Trial, run: Mapping[str, Any], value: float | None) -> None:
        """How a trial ended: with a value, pruned, or not at all."""
        pruned = run["status"] == "pruned"
        with _quiet():
            trial.set_user_attr(_RUN, run["name"])
            if run.get("error"):
                trial.set_user_attr(_ERROR, run["error"])
            state = TrialState.COMPLETE if value is not None else TrialState.PRUNED if pruned else TrialState.FAIL
            self.study.tell(trial, value, state=state)

    def trials(self) -> list[FrozenTrial]:
        return self.study.get_trials(deepcopy=False)

    @property
    def minimizes(self) -> bool:
        return self.study.direction is StudyDirection.MINIMIZE

    def best(self) -> FrozenTrial | None:
        """The best of the trials that are complete."""
        done = [trial for trial in self.trials() if trial.state is TrialState.COMPLETE]
        sign = -1 if self.minimizes else 1
        return max(done, key=lambda trial: sign * trial.values[0], default=None)

    def lost(self) -> list[int]:
        """The trials of this driver that were interrupted."""
        mine = [trial for trial in self.trials() if trial.user_attrs.get(_DRIVER) == self.driver]
        return [trial.number for trial in mine if _status(trial) == "interrupted"]

    def table(self, objective: str, space: Space) -> pd.DataFrame:
        """A row for each trial."""
        names = space.names
        rows = [
            {"status": _status(trial), objective: None if trial.values is None else trial.values[0]}
            | space.by_name(trial.params)
            | {"epochs": len(trial.intermediate_values), "seconds": trial.duration and trial.duration.total_seconds()}
            | {"run": trial.user_attrs.get(_RUN), "error": trial.user_attrs.get(_ERROR)}
            for trial in self.trials()
        ]
        columns = ["status", objective, *names, "epochs", "seconds", "run", "error"]
        found = pd.DataFrame(rows, columns=columns, index=pd.RangeIndex(len(rows), name="trial"))
        found = found[found["status"] != "waiting"].astype({objective: float, "seconds": float})
        found.attrs["parameters"] = names
        return found

    def _begun(self) -> int:
        return sum(_status(trial) not in ("interrupted", "waiting") for trial in self.trials())

    def _alone(self) -> FileLock:
        return FileLock(self.folder / ".study.lock")

    def _repeat_interrupted(self) -> None:
        """Tell the end of trials whose driver is no more, and have them repeated."""
        for trial in self.trials():
            if trial.state is not TrialState.RUNNING:
                continue
            with claim(self.folder, f"driver-{trial.user_attrs.get(_DRIVER)}", wait=False) as abandoned:
                if abandoned:
                    self.study.tell(trial.number, state=TrialState.FAIL)
                    self.study.enqueue_trial(trial.params)


def _status(trial: FrozenTrial) -> str:
    # A trial that ended has a run, however it ended.
    interrupted = trial.state is TrialState.FAIL and _RUN not in trial.user_attrs
    return "interrupted" if interrupted else _STATES[trial.state]


def _check(journal: Path) -> None:
    """Cut off half a line at the end, which a full disk or a kill may have left; refuse what is damaged elsewhere."""
    try:
        content = journal.read_bytes()
    except FileNotFoundError:
        return
    except OSError as error:
        raise _damaged(journal, str(error.strerror)) from None
    for number, line in enumerate(content.splitlines(keepends=True), 1):
        if line.endswith(b"\n") and not _is_entry(line):
            raise _damaged(journal, f"line {number} is none of Optuna's")
    whole = content.rfind(b"\n") + 1
    if whole < len(content):
        os.truncate(journal, whole)


def _is_entry(line: bytes) -> bool:
    try:
        entry = json.loads(line)
    except (ValueError, RecursionError):
        return False
    return isinstance(entry, dict) and {"op_code", "worker_id"} <= entry.keys()


def _damaged(journal: Path, reason: str) -> UserError:
    return UserError(
        f"{journal} is damaged ({reason}): restore it, or take another folder; the runs stay readable by read_sweep"
    )


@contextmanager
def _quiet() -> Iterator[None]:
    """Optuna without its running commentary."""
    level = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    try:
        yield
    finally:
        optuna.logging.set_verbosity(level)
