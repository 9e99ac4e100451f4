"""What training adds to Lightning: when to stop, what to remember, whole checkpoints, and silence."""

import logging
import time
import warnings
from typing import Any

import lightning as L
import torch
from lightning.pytorch.callbacks import Callback, EarlyStopping, WeightAveraging
from lightning.pytorch.plugins.io import TorchCheckpointIO
from torch import Tensor

from retina_nb.files import replace_file

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


class WholeFiles(TorchCheckpointIO):
    """A checkpoint appears whole or not at all, so that a kill at any moment leaves one to resume from."""

    def save_checkpoint(self, checkpoint: dict[str, Any], path: Any, storage_options: Any = None) -> None:
        with replace_file(path) as temporary:
            torch.save(checkpoint, temporary)


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
