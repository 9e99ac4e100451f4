"""Train a twin: Lightning behind one function."""

import logging
import sys
import tempfile
import time
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import lightning as L
import numpy as np
import pandas as pd
import torch
from lightning.pytorch.callbacks import Callback, EarlyStopping, EMAWeightAveraging, ModelCheckpoint, TQDMProgressBar
from lightning.pytorch.loggers import CSVLogger, Logger, TensorBoardLogger
from lightning.pytorch.plugins.io import TorchCheckpointIO
from torch import Tensor

from retina_nb.errors import UserError, unknown
from retina_nb.files import replace_file
from retina_nb.loaders.batches import Batch, SharedBatches
from retina_nb.losses import poisson_loss
from retina_nb.metrics import pearson
from retina_nb.models.core_readout import CoreReadout
from retina_nb.recording import Recording

MONITOR = "validation_correlation"
_LOGGERS = {"csv": CSVLogger, "tensorboard": TensorBoardLogger}


@dataclass(frozen=True)
class Fit:
    """How a training went.

    Args:
        history: a row for each epoch: ``loss``, ``validation_loss``, ``validation_correlation``, ``learning_rate``,
            ``seconds``.
        best_epoch: the epoch whose weights the twin has now.
        seconds: duration of the whole call.
        device: where it ran.
        folder: where checkpoints and logs are; None if none was asked for.
    """

    history: pd.DataFrame
    best_epoch: int
    seconds: float
    device: str
    folder: Path | None


def fit(
    twin: CoreReadout,
    recordings: Mapping[str, Recording],
    *,
    max_epochs: int = 20,
    learning_rate: float = 0.01,
    weight_decay: float = 0.01,
    batch_size: int = 12,
    chunk_size: int = 150,
    patience: int = 3,
    clip_norm: float = 1.0,
    averaging: float = 0.9,
    equal_neurons: bool = False,
    seed: int = 0,
    folder: str | Path | None = None,
    resume: bool = False,
    loggers: Sequence[str] = (),
    precision: str = "32-true",
    accelerator: str = "auto",
    devices: int | str | list[int] = 1,
    compile: bool = False,
) -> Fit:
    """Train a twin on its sessions; it ends with the weights of the epoch that validated best.

    AdamW on the mean Poisson loss. The learning rate falls to a third whenever the validation correlation has not
    risen for `patience` epochs; training ends when it has not for three times as many.

    Args:
        twin: what to train, in place.
        recordings: its sessions, with train and validation bins.
        max_epochs: end after so many epochs.
        learning_rate, weight_decay: of AdamW.
        batch_size: chunks in a batch.
        chunk_size: bins of output in a chunk.
        patience: epochs without progress before the learning rate falls.
        clip_norm: largest norm of the gradient.
        averaging: decay of the running average of the weights, with which the twin is validated and kept (Polyak &
            Juditsky 1992); 0 for none.
        equal_neurons: whether the loss of each neuron is divided by its mean response, so that quiet neurons count
            as much as busy ones.
        seed: fixes the order of batches and dropout.
        folder: where to keep checkpoints and logs; needed to resume.
        resume: go on from the last epoch in `folder`, as if training had never stopped; starts if there is none.
        loggers: ``"csv"`` and ``"tensorboard"``.
        precision, accelerator, devices: passed to Lightning's Trainer.
        compile: compile the core with ``torch.compile``.

    Raises:
        UserError: if sessions of twin and recordings do not match, labels are missing, training diverges, or
            `folder` cannot be written.
    """
    started = time.perf_counter()
    _check_sessions(twin, recordings)
    if resume and folder is None:
        raise UserError("fit(resume=True) needs the folder of the training to go on with")
    if max_epochs < 1:
        raise UserError(f"fit needs at least one epoch, not max_epochs={max_epochs}")
    for name in loggers:
        if name not in _LOGGERS:
            raise unknown("logger", name, _LOGGERS)
    with tempfile.TemporaryDirectory() as scratch, _quiet():
        home = Path(scratch) if folder is None else _writable(Path(folder))
        keep = partial(ModelCheckpoint, home, save_on_train_epoch_end=True, enable_version_counter=False)
        best, last = keep("best", monitor=MONITOR, mode="max"), keep("last")
        stopping = _Stopping(MONITOR, mode="max", patience=3 * patience, min_delta=1e-4)
        history = _History(max_epochs)
        bar = sys.stderr.isatty()
        trainer = L.Trainer(
            max_epochs=max_epochs,
            accelerator=accelerator,
            devices=devices,
            precision=precision,  # type: ignore[arg-type]
            gradient_clip_val=clip_norm,
            callbacks=[
                *([EMAWeightAveraging(decay=averaging)] if averaging else []),
                stopping,
                history,
                best,
                last,
                *([TQDMProgressBar()] if bar else []),
            ],
            logger=[_logger(name, home) for name in loggers],
            plugins=[_WholeFiles()],
            enable_progress_bar=bar,
            enable_model_summary=False,
            num_sanity_val_steps=0,
            log_every_n_steps=10**9,
        )
        device = trainer.strategy.root_device

        def batches(split: str) -> SharedBatches:
            shuffled = split == "train"
            return SharedBatches(
                recordings,
                split=split,
                lag=twin.lag,
                chunk_size=chunk_size,
                batch_size=batch_size,
                seed=seed if shuffled else None,
                device=device,
            )

        weights = _neuron_weights(recordings) if equal_neurons else {}
        module = _Training(twin, learning_rate, weight_decay, patience, seed, compile, weights)
        newest = home / "last.ckpt"
        trainer.fit(
            module,
            _Epochs(batches("train"), trainer),
            batches("validation"),
            ckpt_path=newest if resume and newest.exists() else None,
            weights_only=True,
        )
        kept = torch.load(home / "best.ckpt", map_location="cpu", weights_only=True)
        twin.load_state_dict({name.removeprefix("twin."): value for name, value in kept["state_dict"].items()})
        twin.to("cpu").eval()
    return Fit(
        pd.DataFrame(history.rows),
        int(kept["epoch"]),
        time.perf_counter() - started,
        device.type,
        None if folder is None else home,
    )


class _Training(L.LightningModule):
    def __init__(
        self,
        twin: CoreReadout,
        learning_rate: float,
        weight_decay: float,
        patience: int,
        seed: int,
        compile: bool,
        neuron_weights: Mapping[str, Tensor],
    ) -> None:
        super().__init__()
        self.twin = twin
        # In a list, so that the core is not registered twice.
        self._cores = [torch.compile(twin.core) if compile else twin.core]
        self._neuron_weights = neuron_weights
        self._rate, self._decay, self._patience, self._seed = learning_rate, weight_decay, patience, seed
        self._plateau_state: dict[str, Any] = {}
        self._predicted: dict[str, list[tuple[Tensor, Tensor]]] = {}

    def configure_optimizers(self) -> torch.optim.Optimizer:
        optimizer = torch.optim.AdamW(self.twin.parameters(), lr=self._rate, weight_decay=self._decay)
        # Lightning would step a plateau schedule after the epoch's checkpoint is written, and a resumed training
        # would miss that step; so it is stepped and stored here.
        self._plateau = torch.optim.lr_scheduler.ReduceLROnPlateau(
            optimizer, mode="max", factor=1 / 3, patience=self._patience, threshold=1e-4, threshold_mode="abs"
        )
        if self._plateau_state:
            self._plateau.load_state_dict(self._plateau_state)
        return optimizer

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        checkpoint["plateau"] = {**self._plateau.state_dict(), "best": float(self._plateau.best)}

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        self._plateau_state = checkpoint["plateau"]

    def transfer_batch_to_device(self, batch: Batch, device: torch.device, dataloader_idx: int) -> Batch:
        return batch  # made on the device

    def on_train_epoch_start(self) -> None:
        # Dropout of an epoch depends on nothing before it, so that resuming gives the same.
        torch.manual_seed(hash((self._seed, self.current_epoch)) % 2**63)

    def training_step(self, batch: Batch, _: int) -> Tensor:
        losses = self._losses(batch)
        self.log("loss", losses, on_step=False, on_epoch=True, batch_size=batch.stimulus.shape[0])
        readouts = [self.twin.session_readout(session).regularizer() for session in batch.targets]
        return losses + self.twin.core.regularizer() + torch.stack(readouts).mean()

    def on_train_batch_end(self, outputs: Any, batch: Batch, batch_idx: int) -> None:
        for session in batch.targets:
            self.twin.session_readout(session).constrain()

    def on_validation_epoch_start(self) -> None:
        self._predicted = {}

    def validation_step(self, batch: Batch, _: int) -> None:
        features = self._cores[0](batch.stimulus)
        for session, target in batch.targets.items():
            counts = target.weights > 0
            rate = self.twin.read(features[target.rows], session)[counts].float()
            self._predicted.setdefault(session, []).append((rate.cpu(), target.responses[counts].cpu()))

    def on_validation_epoch_end(self) -> None:
        correlations, losses = [], []
        for parts in self._predicted.values():
            rate, response = (torch.cat(part) for part in zip(*parts, strict=True))
            correlations.append(pearson(rate.numpy(), response.numpy()))
            losses.append(poisson_loss(rate, response).mean(dim=0))
        value = float(np.nan_to_num(np.concatenate(correlations)).mean())
        self.log(MONITOR, value)
        self.log("validation_loss", torch.cat(losses).mean())
        self._plateau.step(value)

    def _losses(self, batch: Batch) -> Tensor:
        features = self._cores[0](batch.stimulus)
        total, count = features.new_zeros(()), features.new_zeros(())
        for session, target in batch.targets.items():
            rate = self.twin.read(features[target.rows], session)
            loss = target.weights[..., None] * poisson_loss(rate, target.responses)
            if session in self._neuron_weights:
                loss = loss * self._neuron_weights[session].to(loss.device)
            total = total + loss.sum()
            count = count + target.weights.sum() * rate.shape[-1]
        if not torch.isfinite(total):
            raise UserError("training diverged (the loss is not finite): lower learning_rate")
        return total / count


@dataclass
class _Epochs:
    """The batches of whatever epoch the trainer is in."""

    batches: SharedBatches
    trainer: L.Trainer

    def __len__(self) -> int:
        return len(self.batches)

    def __iter__(self) -> Iterator[Batch]:
        # Read when the first batch is asked for: a resumed trainer does not know its epoch before.
        self.batches.epoch = self.trainer.current_epoch
        yield from self.batches


class _Stopping(EarlyStopping):
    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        trainer.should_stop = trainer.should_stop or self.wait_count >= self.patience  # it had stopped already


class _History(Callback):
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
        if trainer.progress_bar_callback is None:
            print(
                f"epoch {trainer.current_epoch + 1}/{self._max_epochs}  loss {metrics['loss']:.4f}  "
                f"validation correlation {metrics[MONITOR]:.4f}  learning rate {self._rate:.2g}  {seconds:.1f} s",
                flush=True,
            )


class _WholeFiles(TorchCheckpointIO):
    """A checkpoint appears whole or not at all, so that a kill at any moment leaves one to resume from."""

    def save_checkpoint(self, checkpoint: dict[str, Any], path: Any, storage_options: Any = None) -> None:
        with replace_file(path) as temporary:
            torch.save(checkpoint, temporary)


class _quiet(warnings.catch_warnings):
    """Lightning without its advertisements and advice that does not apply."""

    def __enter__(self) -> None:
        super().__enter__()
        self._log = logging.getLogger("lightning.pytorch")
        self._level = self._log.level
        self._log.setLevel(logging.ERROR)
        for message in (
            "does not have many workers",
            "Checkpoint directory",
            "smaller than the logging interval",
            "LeafSpec",
        ):
            warnings.filterwarnings("ignore", f".*{message}.*")

    def __exit__(self, *exception: Any) -> None:
        self._log.setLevel(self._level)
        super().__exit__(*exception)


def _logger(name: str, folder: Path) -> Logger:
    return _LOGGERS[name](folder, name="logs", version=name)


def _writable(folder: Path) -> Path:
    with replace_file(folder / ".writable") as probe:
        probe.touch()
    (folder / ".writable").unlink()
    return folder


def _neuron_weights(recordings: Mapping[str, Recording]) -> dict[str, Tensor]:
    """For each session, what the loss of each neuron is multiplied by: the mean response of all over its own."""
    means = {name: torch.from_numpy(one.response("train").mean(axis=0)) for name, one in recordings.items()}
    overall = torch.cat([*means.values()]).mean()
    # A neuron that hardly ever fires does not get to decide alone.
    return {name: overall / mean.clamp(min=0.05 * overall) for name, mean in means.items()}


def _check_sessions(twin: CoreReadout, recordings: Mapping[str, Recording]) -> None:
    for session, recording in recordings.items():
        known = twin.about.get("neurons", {})
        if twin.sessions and session not in twin.sessions:
            raise unknown("session of the twin", session, twin.sessions)
        if session in known and known[session] != recording.n_neurons:
            raise UserError(
                f"session {session} has {recording.n_neurons} neurons, the twin was built for {known[session]}"
            )
