"""What the options of `fit` gain in a step of training, and what they change in its gradients; what Lightning costs.

``python -m benchmarks options [--quick] [--readme FILE]`` takes the default recordings and preset, measures each option
in a process of its own, prints a table and writes ``options.json``. How long compilation takes is told apart.
``python -m benchmarks options once NAME`` measures one and prints a line of JSON.
"""

import contextlib
import json
import sys
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

import lightning as L
import torch
from torch import nn

import retina_nb as rnb
from benchmarks.machine import describe, measured, wait_until_quiet
from benchmarks.report import table_options
from benchmarks.train_step import silent
from retina_nb.distributed import trainer_for
from retina_nb.files import replace_between, replace_file
from retina_nb.loaders.batches import Batch, SharedBatches
from retina_nb.losses import LOSSES
from retina_nb.memory import keep_freed_memory
from retina_nb.training import _Training

PRESET = "simulated_retina"
OPTIONS = {
    "none": "as `fit` is by default",
    "dense": "every layer by the plan `dense`, to see what plans gain",
    "keep_memory": "`keep_memory=True`",
    "bf16": '`precision="bf16-mixed"`',
    "compile": "`compile=True`",
    "bf16 compile keep_memory": "the three together",
}
MARKS = ("<!-- options -->\n", "<!-- /options -->\n")
_FOLDER = Path("runs/bench")


def main(arguments: Sequence[str]) -> None:
    """Measure all options, or one."""
    if arguments[:1] == ["once"]:
        print(json.dumps(once(arguments[1], int(arguments[2]))))
        return
    given = table_options("options", __doc__, arguments)
    wait_s, repetitions = given.wait_s, 5 if given.quick else 15
    command = [sys.executable, "-m", "benchmarks", "options", "once"]
    rows = {name: measured([*command, name, str(repetitions)], wait_s=wait_s) for name in OPTIONS}
    found = {"machine": describe(), "options": rows, "lightning": lightning_share(wait_s, 3 if given.quick else 7)}
    print(table := markdown(found))
    with replace_file(_FOLDER / "options.json") as temporary:
        temporary.write_text(json.dumps(found, indent=1), encoding="utf-8")
    if given.readme is not None:
        replace_between(given.readme, MARKS, table)


def once(name: str, repetitions: int) -> dict[str, Any]:
    """Seconds of a step with these options and of the first one, and how far its gradients are from those without."""
    training, batches = _training()
    batch = next(iter(batches))
    state = {key: value.clone() for key, value in training.twin.state_dict().items()}
    optimizer = training.configure_optimizers()
    _step(training, batch, optimizer)
    exact = _gradients(training)
    training.twin.load_state_dict(state)
    within: Callable[[], Any] = contextlib.nullcontext
    for option in name.split():
        if option == "dense":
            for layer in training.twin.core.layers:  # type: ignore[union-attr]
                layer.conv.plan = "dense"  # type: ignore[union-attr]
        elif option == "keep_memory":
            keep_freed_memory()
        elif option == "compile":
            training._cores[0] = torch.compile(training.twin.core)
        elif option == "bf16":
            within = partial(torch.autocast, training.device.type, dtype=torch.bfloat16)
    first = _seconds(partial(_step, training, batch, optimizer, within=within))
    apart = max(
        float((one - exact[key]).abs().max() / exact[key].abs().max()) for key, one in _gradients(training).items()
    )
    times = [_seconds(partial(_step, training, batch, optimizer, within=within)) for _ in range(repetitions + 2)]
    return {"seconds": times[2:], "first_seconds": first, "difference": apart}


def lightning_share(wait_s: float, repetitions: int) -> dict[str, Any]:
    """Seconds of an epoch's steps by Lightning's trainer and by a bare loop, in turn, and how many steps there are."""
    times: dict[str, list[float]] = {"bare": [], "lightning": []}
    for repetition in range(repetitions + 1):
        wait_until_quiet(wait_s)
        for who, epoch in (("bare", _bare_epoch), ("lightning", _lightning_epoch)):
            training, batches = _training()
            seconds = epoch(training, batches)
            if repetition:  # the first is to warm up
                times[who].append(seconds)
    return {**times, "steps": len(batches)}


def _bare_epoch(training: _Training, batches: SharedBatches) -> float:
    optimizer = training.configure_optimizers()
    started = time.perf_counter()
    training.on_train_epoch_start()
    for batch in batches:
        _step(training, batch, optimizer)
    return time.perf_counter() - started


def _lightning_epoch(training: _Training, batches: SharedBatches) -> float:
    class Clock(L.Callback):
        """From the first batch on, so that setting up and tearing down do not count."""

        def on_train_epoch_start(self, trainer: L.Trainer, module: L.LightningModule) -> None:
            self.started = time.perf_counter()

        def on_train_epoch_end(self, trainer: L.Trainer, module: L.LightningModule) -> None:
            self.seconds = time.perf_counter() - self.started

    clock = Clock()
    trainer = trainer_for(
        max_epochs=1,
        accelerator="cpu",
        devices=1,
        num_nodes=1,
        strategy="auto",
        precision="32-true",
        gradient_clip_val=1.0,
        callbacks=[clock],
        logger=False,
        limit_val_batches=0,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    silent(trainer.fit, training, batches)
    return clock.seconds


def _training() -> tuple[_Training, SharedBatches]:
    """The default twin, untrained, and its batches."""
    recordings = rnb.load_recordings("simulated")
    twin = rnb.build_twin(PRESET, recordings, seed=0)
    settings: dict[str, Any] = {"chunk_size": 150, "batch_size": 6} | (twin.config or {})["training"]
    sizes = {name: settings[name] for name in ("chunk_size", "batch_size")}
    batches = SharedBatches(recordings, split="train", lag=twin.lag, seed=0, device="cpu", **sizes)
    weights = {name: torch.ones(one.n_neurons) for name, one in recordings.items()}
    training = _Training(twin, twin.core, LOSSES["poisson"], weights, 0.01, 0.01, patience=3, seed=0)
    training._losses = []
    return training, batches


def _step(
    training: _Training, batch: Batch, optimizer: Any, *, within: Callable[[], Any] = contextlib.nullcontext
) -> None:
    optimizer.zero_grad()
    with within():
        loss = silent(training.training_step, batch, 0)
    loss.backward()
    nn.utils.clip_grad_norm_(training.parameters(), 1.0)
    optimizer.step()
    training.on_train_batch_end(None, batch, 0)


def _gradients(training: _Training) -> dict[str, torch.Tensor]:
    named = training.twin.named_parameters()
    return {name: one.grad.clone() for name, one in named if one.grad is not None}


def _seconds(work: Callable[[], Any]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def markdown(found: dict[str, Any]) -> str:
    """The table for the README."""
    lines = ["| option | step | times as fast | first step | difference of gradients |", "|---|---|---|---|---|"]
    plain = median(found["options"]["none"]["seconds"])
    for name, row in found["options"].items():
        if "failed" in row:
            lines.append(f"| {OPTIONS[name]} | failed: {row['failed']} | | | |")
            continue
        seconds = median(row["seconds"])
        lines.append(
            f"| {OPTIONS[name]} | {1000 * seconds:.0f} ms | {plain / seconds:.2f} | {row['first_seconds']:.2f} s | "
            f"{row['difference']:.0e} |"
        )
    bare, with_it = (median(found["lightning"][who]) for who in ("bare", "lightning"))
    each = 1000 * (with_it - bare) / found["lightning"]["steps"]
    share = (
        f"Lightning takes {each:.1f} ms a step more than a bare loop, {100 * (with_it / bare - 1):.1f} % of it here."
    )
    return "\n".join([*lines, "", share, ""])
