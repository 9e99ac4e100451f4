"""What training adds to Lightning: when to stop, what to remember, whole checkpoints, and silence."""

import io
import json
import logging
import time
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import lightning as L
import torch
from lightning.pytorch.callbacks import Callback, Checkpoint, EarlyStopping, WeightAveraging
from lightning.pytorch.plugins.io import TorchCheckpointIO
from torch import Tensor

from retina_nb.files import replace_file
from retina_nb.resuming import BEST, BEST_SO_FAR, LAST, SETTINGS, Best

MONITOR = "validation_correlation"


class MovingAverage(WeightAveraging):
    """Validates and keeps a running average of the weights; what does not change stays as it is, to the bit."""

    def __init__(self, decay: float) -> None:
        def average(averages: list[Tensor], current: list[Tensor], _: Tensor) -> None:
            """Of all tensors of a type at once."""
            if averages[0].is_floating_point():
                # Not decay * average + (1 - decay) * current, which wears frozen weights away by rounding.
                torch._foreach_lerp_(averages, current, 1 - decay)
            else:
                torch._foreach_copy_(averages, current)

        super().__init__(multi_avg_fn=average)


class Stopping(EarlyStopping):
    """Early stopping that a resumed training remembers."""

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        trainer.should_stop = trainer.should_stop or self.wait_count >= self.patience  # it had stopped already


class History(Callback):
    """Keeps a row for each epoch, and prints it where there is no progress bar."""

    def __init__(self, max_epochs: int) -> None:
        self.rows: list[dict[str, float]] = []
        self._max_epochs = max_epochs

    def state_dict(self) -> dict[str, Any]:
        return {"rows": self.rows}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.rows = state_dict["rows"]

    def on_train_epoch_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self._started = time.perf_counter()
        self._rate = trainer.optimizers[0].param_groups[0]["lr"]

    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        metrics = {name: float(trainer.callback_metrics[name]) for name in ("loss", "validation_loss", MONITOR)}
        seconds = time.perf_counter() - self._started
        self.rows.append({"epoch": trainer.current_epoch, **metrics, "learning_rate": self._rate, "seconds": seconds})
        if trainer.progress_bar_callback is None and trainer.is_global_zero:
            print(
                f"epoch {trainer.current_epoch + 1}/{self._max_epochs}  loss {metrics['loss']:.4f}  "
                f"validation correlation {metrics[MONITOR]:.4f}  learning rate {self._rate:.2g}  {seconds:.1f} s",
                flush=True,
            )


class Checkpoints(Checkpoint):
    """Writes `LAST` after every epoch, and `BEST` after those that validated best.

    The files of another training stay until the first epoch is over, and then go together.
    """

    def __init__(self, folder: Path, best: Best, settings: Mapping[str, Any], *, resumed: bool) -> None:
        self._folder, self._best, self._settings, self._alone = folder, best, json.dumps(settings), resumed

    def on_save_checkpoint(self, trainer: L.Trainer, pl_module: L.LightningModule, checkpoint: dict[str, Any]) -> None:
        checkpoint |= {SETTINGS: self._settings, BEST_SO_FAR: vars(self._best)}

    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        if not self._alone and trainer.is_global_zero:
            (self._folder / LAST).unlink(missing_ok=True)
        self._alone = True
        if self._best.epoch == trainer.current_epoch:
            trainer.save_checkpoint(self._folder / BEST)
        trainer.save_checkpoint(self._folder / LAST)


class WholeFiles(TorchCheckpointIO):
    """A checkpoint appears whole or not at all, so that a kill at any moment leaves one to resume from."""

    def save_checkpoint(self, checkpoint: dict[str, Any], path: Any, storage_options: Any = None) -> None:
        content = io.BytesIO()  # torch's own writing hides why it failed
        torch.save(checkpoint, content)
        with replace_file(path) as temporary:
            temporary.write_bytes(content.getbuffer())


class quiet(warnings.catch_warnings):
    """Lightning without its advertisements and advice that does not apply."""

    def __enter__(self) -> None:
        super().__enter__()
        self._log = logging.getLogger("lightning.pytorch")
        self._level = self._log.level
        self._log.setLevel(logging.ERROR)
        for message in (
            "does not have many workers",
            "in eval mode at the start of training",  # a frozen core is
            "Checkpoint directory",
            "smaller than the logging interval",
            "LeafSpec",
            "sync_dist=True",  # what is logged is of all processes already
            "did not find any unused parameters",
        ):
            warnings.filterwarnings("ignore", f".*{message}.*")

    def __exit__(self, *exception: Any) -> None:
        self._log.setLevel(self._level)
        super().__exit__(*exception)
