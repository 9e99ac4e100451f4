"""Trials of a search that end early: a training tells the search how it goes, epoch by epoch."""

import json
import os
import warnings
from pathlib import Path
from typing import Any

import lightning as L
from lightning.pytorch.callbacks import Callback

from retina_nb.callbacks import MONITOR

VARIABLE = "RETINA_NB_TRIAL"


def trial_environment(journal: Path, study: str, trial: int) -> dict[str, str]:
    """The environment in which a training belongs to a trial: its storage, its study and its identifier there."""
    return {VARIABLE: json.dumps({"journal": str(journal), "study": study, "trial": trial})}


def pruning_callbacks() -> list[Callback]:
    """What lets a search prune this training, if it is the first one in a run that is a trial."""
    told = os.environ.pop(VARIABLE, None)
    return [Pruning(**json.loads(told))] if told else []


class Pruning(Callback):
    """Reports the validation correlation (or loss, if the search minimises) of each epoch; ends hopeless trials."""

    def __init__(self, journal: str, study: str, trial: int) -> None:
        self._journal, self._study, self._trial = journal, study, trial

    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        verdict = self._verdict(trainer) if trainer.is_global_zero else None
        verdict = trainer.strategy.broadcast(verdict)
        if verdict:
            from optuna import TrialPruned

            raise TrialPruned(verdict)

    def _verdict(self, trainer: L.Trainer) -> str | None:
        import optuna

        # It samples nothing.
        options: dict[str, Any] = {"sampler": optuna.samplers.RandomSampler(), "pruner": pruner()}
        study = optuna.load_study(study_name=self._study, storage=storage(self._journal), **options)
        trial = optuna.trial.Trial(study, self._trial)
        maximized = study.direction == optuna.study.StudyDirection.MAXIMIZE
        metric = MONITOR if maximized else "validation_loss"
        value = float(trainer.callback_metrics[metric])
        with warnings.catch_warnings(action="ignore"):  # what a worker has reported that was killed is not taken twice
            trial.report(value, trainer.current_epoch)
        return f"after epoch {trainer.current_epoch + 1}, {metric} {value:.4f}" if trial.should_prune() else None


def pruner() -> Any:
    """Prunes what is below the median of the trials before, at the same epoch; neither early trials nor epochs."""
    from optuna.pruners import MedianPruner

    return MedianPruner(n_startup_trials=5, n_warmup_steps=2)


def storage(journal: str | Path) -> Any:
    """The storage of a study in a file, for any number of processes and machines that see it."""
    from optuna.storages import JournalStorage
    from optuna.storages.journal import JournalFileBackend

    return JournalStorage(JournalFileBackend(str(journal)))
