"""An epoch of training on sessions that saw the same clips, each package with its own batches.

Times are for as many outputs of neurons that count in the loss: openretina's chunks of 50 frames have 20 of them, and
an epoch of it looks at a part of the bins, one of ours at all of them.
"""

# mypy: disable-error-code="import-not-found"

import random
from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from benchmarks.pairs import Options, Pair, Results
from benchmarks.peer_models import CHUNK, LAG, both, peer_model
from benchmarks.sessions import peer_loaders, recordings
from benchmarks.train_step import DECAY, RATE, silent
from retina_nb.loaders.batches import SharedBatches
from retina_nb.losses import LOSSES
from retina_nb.models.presets import load_preset
from retina_nb.training import _Training

BATCH, UNIT = 128, 1e6  # of openretina's configuration; outputs of neurons
_QUICK_STEPS = {"ours": 12, "peer": 6}


def prepare(name: str, options: Options) -> Pair:
    """One epoch, or some steps of it if it should be quick. Compared are the rates before it, of all sessions."""
    from openretina.data_io.cyclers import LongCycler

    shown = recordings()
    settings = load_preset("hoefling_2024_low_res")["training"]
    batches = SharedBatches(
        shown,
        split="train",
        lag=LAG,
        chunk_size=settings["chunk_size"],
        batch_size=settings["batch_size"],
        seed=0,
        device=options.device,
    )
    loaders = peer_loaders(shown, chunk=CHUNK, batch=BATCH)["train"]
    steps = _QUICK_STEPS if options.quick else {"ours": len(batches), "peer": len(LongCycler(loaders))}
    twin, model = both(peer_model("low_res", {n: one.n_neurons for n, one in shown.items()}), options.folder / name)
    twin, model = twin.to(options.device), model.to(options.device)
    rates = _rates(twin, model, batches)
    weights = {n: torch.ones(one.n_neurons, device=options.device) for n, one in shown.items()}
    training = _Training(twin, twin.core, LOSSES["poisson"], weights, RATE, DECAY, patience=3, seed=0)
    ours_optimizer: Any = training.configure_optimizers()
    peer_optimizer = torch.optim.AdamW(model.parameters(), lr=RATE, weight_decay=DECAY)

    def ours() -> Results:
        training.on_train_epoch_start()
        for _, batch in zip(range(steps["ours"]), batches, strict=False):
            _step(lambda batch=batch: training.training_step(batch, 0), ours_optimizer)
            training.on_train_batch_end(None, batch, 0)
        return rates["ours"]

    def peer() -> Results:
        _seed()
        for _, (session, point) in zip(range(steps["peer"]), LongCycler(loaders), strict=False):
            moved = type(point)(*(one.to(options.device) for one in point))
            _step(lambda one=(session, moved): model.training_step(one, 0), peer_optimizer)
        return rates["peer"]

    outputs = sum(
        float(one.weights.sum()) * one.responses.shape[-1]
        for _, batch in zip(range(steps["ours"]), batches, strict=False)
        for one in batch.targets.values()
    )
    theirs = steps["peer"] * BATCH * (CHUNK - LAG) * next(iter(shown.values())).n_neurons  # sessions are alike
    work = f"{len(shown)} sessions, {sum(one.n_neurons for one in shown.values())} cells, by million outputs"
    return Pair(work, ours, peer, ours_units=outputs / UNIT, peer_units=theirs / UNIT)


def _step(loss: Callable[[], torch.Tensor], optimizer: torch.optim.Optimizer) -> None:
    optimizer.zero_grad()
    silent(loss).backward()
    optimizer.step()


def _seed() -> None:
    """openretina draws chunks and the order of sessions from the global generators."""
    random.seed(0)
    np.random.seed(0)
    torch.manual_seed(0)


@torch.no_grad()
def _rates(twin: Any, model: Any, batches: SharedBatches) -> dict[str, dict[str, torch.Tensor]]:
    """Rates of every session to what it saw in the first batch: ours together, openretina's one by one."""
    batch = next(iter(batches))
    twin.eval()
    model.eval()
    features = twin.features(batch.stimulus)
    found: dict[str, dict[str, torch.Tensor]] = {"ours": {}, "peer": {}}
    for session, target in batch.targets.items():
        found["ours"][session] = twin.read(features[target.rows], session)
        found["peer"][session] = model(batch.stimulus[target.rows], session)
    twin.train()
    model.train()
    return found
