"""Train a twin: Lightning behind one function."""

import errno
import sys
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import lightning as L
import numpy as np
import pandas as pd
import torch
from lightning.pytorch.callbacks import TQDMProgressBar
from lightning.pytorch.loggers import CSVLogger, Logger, TensorBoardLogger
from lightning.pytorch.strategies import Strategy
from torch import Tensor, nn

from retina_nb.callbacks import MONITOR, Checkpoints, History, MovingAverage, Stopping, WholeFiles, quiet
from retina_nb.distributed import gathered, shared_statistics, summed, trainer_for
from retina_nb.errors import UserError
from retina_nb.files import absolute_path, replace_file
from retina_nb.interrupts import plain_interrupts
from retina_nb.loaders.batches import Batch, SharedBatches, Targets
from retina_nb.losses import Loss, Part, loss_named, mean_loss, weigh_neurons
from retina_nb.memory import enough_memory, keep_freed_memory
from retina_nb.metrics import pearson
from retina_nb.models.core_readout import CoreReadout
from retina_nb.models.feature_movies import feature_bytes, feature_movies
from retina_nb.pruning import pruning_callbacks
from retina_nb.readouts import SessionReadouts
from retina_nb.recording import Recording, by_name
from retina_nb.representations import one_line
from retina_nb.resuming import Best, copied, newest_checkpoint, training_settings
from retina_nb.seeding import seed_torch, seeded
from retina_nb.training_checks import check_options, check_twin

# A frozen core's features are kept if they need at most so much memory.
FEATURE_BYTES = 4 * 2**30
_DISK_ERRORS = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EFBIG, errno.EIO)


@one_line
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
    recordings: Recording | Mapping[str, Recording],
    *,
    max_epochs: int = 20,
    learning_rate: float = 0.01,
    weight_decay: float = 0.01,
    batch_size: int = 6,
    chunk_size: int = 150,
    patience: int = 3,
    clip_norm: float = 1.0,
    averaging: float = 0.9,
    loss: str | Loss = "poisson",
    neuron_weights: str = "none",
    seed: int = 0,
    folder: str | Path | None = None,
    resume: bool = False,
    loggers: Sequence[str] = (),
    precision: str = "32-true",
    accelerator: str = "auto",
    devices: int | str | list[int] = 1,
    num_nodes: int = 1,
    strategy: str | Strategy = "auto",
    compile: bool = False,
    keep_memory: bool = False,
) -> Fit:
    """Train a twin on its sessions; it ends with the weights of the epoch that validated best.

    AdamW on the mean loss over time and neurons. The learning rate falls to a third whenever the validation
    correlation has not risen for `patience` epochs; training ends when it has not for three times as many.

    A frozen core (`CoreReadout.freeze_core`) stays as it is, to the bit: only readouts are trained. So are only the
    readouts of `recordings`, which may be some of the twin's sessions.

    Args:
        twin: what to train, in place.
        recordings: its sessions, or one, with train and validation bins.
        max_epochs: end after so many epochs.
        learning_rate, weight_decay: of AdamW.
        batch_size: chunks in a batch; of short ones more, see `retina_nb.loaders.batches.SharedBatches`.
        chunk_size: the most bins of output in a chunk.
        patience: epochs without progress before the learning rate falls.
        clip_norm: largest norm of the gradient.
        averaging: decay of the running average of the weights, with which the twin is validated and kept (Polyak &
            Juditsky 1992); 0 for none.
        loss: a name in `retina_nb.losses.LOSSES`: ``"poisson"``, ``"l1_poisson"``, ``"mse"``, ``"correlation"``,
            ``"scaled_correlation"`` (within windows of 30 bins: slow changes do not count); or a function of (rate,
            response, weights) that gives a value for each neuron.
        neuron_weights: how much each neuron counts: ``"none"``, all alike; ``"rate"``, quiet ones as much as busy
            ones; ``"type"``, every cell type alike (`retina_nb.losses.weigh_neurons`).
        seed: fixes the order of batches and dropout. Random states outside stay as they are.
        folder: where to keep checkpoints (``last.ckpt``, ``best.ckpt``) and logs; needed to resume. Those of another
            training that are there are replaced when the first epoch is over.
        resume: go on from the last epoch in `folder`, as if training had never stopped; starts if there is none. Only
            `max_epochs` and what does not change the result (`loggers`, `accelerator`, `devices`, `num_nodes`,
            `strategy`, `compile`, `keep_memory`, where `folder` is) may be others than before; another twin, other
            recordings or another value of any other option are refused. A loss of one's own is known by its name.
        loggers: ``"csv"`` and ``"tensorboard"``; they need a `folder`.
        precision: ``"32-true"``, ``"bf16-mixed"`` or ``"16-mixed"``.
        accelerator: passed to Lightning's Trainer.
        devices, num_nodes, strategy: passed to Lightning's Trainer. Several devices train as one does, each on its
            part of the same batches, to rounding; only what is drawn (dropout) differs, and ``loss="correlation"`` is
            over each one's part. They need a script: ``scripts/train_on_many_gpus.py``. Every process returns the same;
            to resume, all must see `folder`.
        compile: compile the core with ``torch.compile``.
        keep_memory: see `retina_nb.memory.keep_freed_memory`: faster on a CPU, for the rest of the process.

    However it ends, also by Ctrl-C, the stop button or an error, the twin then has the weights that validated best so
    far (those it had before, if no epoch was finished), is in evaluation mode and on the CPU.

    Raises:
        UserError: before training begins, if sessions of twin and recordings do not match, labels are missing, an
            option has a wrong value, all is frozen, no cell responds, `folder` cannot be written, or its training is
            damaged or another one; later, if training diverges, or disk or memory are full.
        KeyboardInterrupt: at Ctrl-C or the stop button.

    Example:
        >>> import retina_nb as rnb
        >>> recordings = rnb.load_recordings("simulated", sessions=2, cells_per_session=12, size=(13, 15))
        >>> twin = rnb.build_twin("simulated_retina", recordings)
        >>> training = rnb.fit(twin, recordings, max_epochs=1)
        epoch 1/1  loss ...
        >>> list(training.history["validation_loss"].isna())
        [False]
    """
    options, started = dict(locals()), time.perf_counter()
    check_options(options)
    recordings = by_name(recordings)
    check_twin(twin, recordings, loss)
    weights, measured = weigh_neurons(recordings, neuron_weights), loss_named(loss)
    best, history, bar = Best(copied(twin)), History(max_epochs), sys.stderr.isatty()
    if keep_memory:
        keep_freed_memory()
    with quiet(), enough_memory("choose a smaller batch_size or chunk_size, or fewer sessions"):
        home, stored, keep = None, None, []
        if folder is not None:
            home, settings = _usable(folder), training_settings(twin, recordings, weights, options)
            stored = newest_checkpoint(home, settings) if resume else None
            keep = [Checkpoints(home, best, settings, resumed=stored is not None)]
        trainer = trainer_for(
            max_epochs=max_epochs,
            accelerator=accelerator,
            devices=devices,
            num_nodes=num_nodes,
            strategy=strategy,
            precision=precision,
            gradient_clip_val=clip_norm,
            callbacks=[
                *([MovingAverage(averaging)] if averaging else []),
                Stopping(MONITOR, mode="max", patience=3 * patience, min_delta=1e-4),
                history,
                *keep,
                *([TQDMProgressBar()] if bar else []),
                *pruning_callbacks(),
            ],
            logger=[_logger(name, home) for name in loggers if home is not None],
            plugins=[WholeFiles()],
            enable_checkpointing=bool(keep),
            enable_progress_bar=bar,
            enable_model_summary=False,
            num_sanity_val_steps=0,
            log_every_n_steps=10**9,
            default_root_dir=home or ".",
        )
        if stored:
            best.restore(stored[1])
        device = trainer.strategy.root_device
        try:
            with seeded(seed, device), plain_interrupts(), shared_statistics(twin, trainer):
                # A frozen core's features must be those of the training that goes on.
                twin.load_state_dict(best.weights)
                lag, core = twin.lag, torch.compile(twin.core) if compile else twin.core
                if twin.core_frozen and feature_bytes(twin, recordings) <= FEATURE_BYTES:
                    # What a core that does not change makes of the stimulus is made once, and is then the stimulus.
                    recordings, lag, core = feature_movies(twin.to(device), recordings), twin.readout.lag, nn.Identity()
                train, validation = (
                    SharedBatches(
                        recordings,
                        split=split,
                        lag=lag,
                        chunk_size=chunk_size,
                        batch_size=batch_size,
                        seed=seed if split == "train" else None,
                        device=device,
                        process=trainer.global_rank,
                        processes=trainer.world_size,
                    )
                    for split in ("train", "validation")
                )
                about = (twin, core, measured, weights, learning_rate, weight_decay, patience, seed)
                trainer.fit(
                    _Training(*about, trainer.world_size, best),
                    _Epochs(train, trainer),
                    validation,
                    ckpt_path=stored and stored[0],
                    weights_only=True,
                )
        except KeyboardInterrupt:
            raise KeyboardInterrupt(_told(history, best, home)) from None
        except OSError as error:
            if home is None or error.errno not in _DISK_ERRORS:
                raise
            told = f"cannot write to {home}: {error.strerror}; {_told(history, best, home)}"
            raise UserError(told) from None
        finally:
            twin.to("cpu").load_state_dict(best.weights)
            twin.eval()
    return Fit(pd.DataFrame(history.rows), best.epoch, time.perf_counter() - started, device.type, home)


def _told(history: History, best: Best, folder: Path | None) -> str:
    """How far a training came that did not end by itself."""
    if best.epoch < 0:
        return "training stopped in its first epoch; the twin is as it was"
    resume = "" if folder is None else "; fit(resume=True) goes on"
    return (
        f"training stopped after {len(history.rows)} epochs; the twin has the weights of epoch {best.epoch + 1}, which "
        f"validated best{resume}"
    )


class _Training(L.LightningModule):
    def __init__(
        self,
        twin: CoreReadout,
        core: Any,
        loss: Loss,
        neuron_weights: Mapping[str, Tensor],
        learning_rate: float,
        weight_decay: float,
        patience: int,
        seed: int,
        processes: int = 1,
        best: Best | None = None,
    ) -> None:
        super().__init__()
        self.twin = twin.train()  # Lightning would leave a twin that was trained or loaded in evaluation mode
        # In a list, so that the core is not registered twice.
        self._cores = [core]
        self._loss, self._neuron_weights = loss, neuron_weights
        self._rate, self._decay, self._patience, self._seed = learning_rate, weight_decay, patience, seed
        self._processes, self._best = processes, best or Best({})
        self._plateau_state: dict[str, Any] = {}
        self._predicted: dict[str, list[tuple[Tensor, Tensor]]] = {}

    def configure_optimizers(self) -> torch.optim.Optimizer:
        trained = [parameter for parameter in self.twin.parameters() if parameter.requires_grad]
        optimizer = torch.optim.AdamW(trained, lr=self._rate, weight_decay=self._decay, foreach=True)
        # Lightning would step a plateau schedule after the epoch's checkpoint is written, and a resumed training
        # would miss that step; so it is stepped and stored here.
        self._plateau = torch.optim.lr_scheduler.ReduceLROnPlateau(
            optimizer, mode="max", factor=1 / 3, patience=self._patience, threshold=1e-4, threshold_mode="abs"
        )
        if self._plateau_state:
            self._plateau.load_state_dict(self._plateau_state)
        return optimizer

    def on_fit_start(self) -> None:
        self._neuron_weights = {name: one.to(self.device) for name, one in self._neuron_weights.items()}

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        checkpoint["plateau"] = {**self._plateau.state_dict(), "best": float(self._plateau.best)}

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        self._plateau_state = checkpoint["plateau"]

    def transfer_batch_to_device(self, batch: Batch, device: torch.device, dataloader_idx: int) -> Batch:
        return batch  # made on the device

    def on_train_epoch_start(self) -> None:
        # Dropout of an epoch depends on nothing before it, so that resuming gives the same.
        seed_torch((hash((self._seed, self.current_epoch)) + self.global_rank) % 2**63, self.device)
        self._losses: list[Tensor] = []

    def training_step(self, batch: Batch, _: int) -> Tensor:
        # Batches of chunks that few sessions share have less to say; in an epoch every bin and neuron counts alike.
        loss = mean_loss(self._loss, self._parts(batch), count=batch.count)
        self._losses.append(loss.detach())  # looked at when the epoch is over, so that no step waits for the device
        # Gradients become their mean over processes, but each has a part of the sum.
        return self._processes * loss + self._penalty(batch)

    def on_train_batch_end(self, outputs: Any, batch: Batch, batch_idx: int) -> None:
        for session in batch.targets:
            self.twin.session_readout(session).constrain()

    def on_validation_epoch_start(self) -> None:
        self._predicted, self._validated = {}, copied(self.twin)
        loss = summed(torch.stack(self._losses).mean(), self.trainer)
        if not torch.isfinite(loss):
            raise UserError("training diverged (the loss is not finite): lower learning_rate")
        self.log("loss", loss)

    def validation_step(self, batch: Batch, _: int) -> None:
        for session, target, rate in self._read(batch):
            counts = target.weights > 0
            pair = rate[counts].float().cpu(), target.responses[counts].cpu()
            self._predicted.setdefault(session, []).append(pair)

    def on_validation_epoch_end(self) -> None:
        predicted = gathered(self._predicted, self.trainer)
        # From one process to all, so that no rounding makes them decide differently.
        value, loss = self.trainer.strategy.broadcast(self._scores(predicted) if predicted else (0.0, 0.0))
        self.log(MONITOR, value)
        self.log("validation_loss", loss)
        self._plateau.step(value)
        self._best.consider(self._validated, value, self.current_epoch)

    def _scores(self, predicted: Sequence[Mapping[str, list[tuple[Tensor, Tensor]]]]) -> tuple[float, float]:
        """Mean correlation and loss over the neurons, of what all processes have predicted."""
        correlations, losses = [], []
        for session in predicted[0]:
            parts = (pair for of_process in predicted for pair in of_process[session])
            rate, response = (torch.cat(part) for part in zip(*parts, strict=True))
            correlations.append(pearson(rate.numpy(), response.numpy()))
            losses.append(self._neuron_weights[session].cpu() * self._loss(rate, response, torch.ones(len(rate))))
        return float(np.nan_to_num(np.concatenate(correlations)).mean()), float(torch.cat(losses).mean())

    def _parts(self, batch: Batch) -> Iterator[Part]:
        """What the loss is of. Sessions in which the same bins count are one part, for speed."""
        alike: dict[Tensor, list[tuple[Tensor, ...]]] = defaultdict(list)
        for session, target, rate in self._read(batch):
            alike[target.weights].append((rate.float(), target.responses, self._neuron_weights[session]))
        for bin_weights, sessions in alike.items():
            rate, responses, weights = (torch.cat(one, dim=-1) for one in zip(*sessions, strict=True))
            yield Part(rate, responses, bin_weights, weights)

    def _read(self, batch: Batch) -> Iterator[tuple[str, Targets, Tensor]]:
        """Every session's rates. The core runs once for all, and sessions that share rows are read out together."""
        core, shared = self._cores[0], defaultdict(list)
        if getattr(core, "per_session", False):
            for session, target in batch.targets.items():
                yield session, target, self.twin.read(core(batch.stimulus[target.rows], session), session)
            return
        for session, target in batch.targets.items():
            shared[target.rows.start, target.rows.stop].append(session)
        features = core(batch.stimulus)
        for rows, sessions in shared.items():
            # Gradients of a slice come in another layout, which slows every layer below.
            seen = features if rows == (0, len(features)) else features[slice(*rows)]
            for session, rate in self.twin.rates(seen, sessions).items():
                yield session, batch.targets[session], rate

    def _penalty(self, batch: Batch) -> Tensor:
        """Of the core, unless it is frozen, and the mean over neurons of the readouts'."""
        sizes = {session: target.responses.shape[-1] for session, target in batch.targets.items()}
        readout = self.twin.readout
        penalty = readout.penalty(sizes) if isinstance(readout, SessionReadouts) else readout.regularizer()
        return penalty if self.twin.core_frozen else penalty + self.twin.core.regularizer()


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


def _logger(name: str, folder: Path) -> Logger:
    return {"csv": CSVLogger, "tensorboard": TensorBoardLogger}[name](folder, name="logs", version=name)


def _usable(folder: str | Path) -> Path:
    """The folder, whatever becomes the working folder later; it can be written."""
    home = absolute_path(folder)
    with replace_file(home / ".writable") as probe:
        probe.touch()
    (home / ".writable").unlink(missing_ok=True)  # another process may have
    return home
