"""Contrast gradients or local fields once: run by `benchmarks.gradients`, by either package's Python, as a script.

``python gradients_once.py ours|peer|make FOLDER contrast|lsta CELLS STEP``: ``make`` (openretina's Python) writes a
model of its low resolution with random weights, and the stimuli. Prints a line of JSON and writes what it found.
"""

# mypy: disable-error-code="import-not-found"

import json
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

SESSION, WINDOW, IMAGES, FRAMES = "one", (5, 15), 64, 16
PEER_GREY = 40  # frames that openretina puts before an image: its lag and ten more


def make(folder: Path) -> None:
    """A model and stimuli for both. Its weights are random, its normalisation is of noise."""
    import lightning
    import torch
    from peer_model import low_res_model  # beside this script

    torch.manual_seed(0)
    model = low_res_model(SESSION, 100, bins=80, positive=True)
    with torch.no_grad():
        for _ in range(20):
            model(torch.randn(8, 2, 50, 18, 16), SESSION)
    trainer = lightning.Trainer(max_epochs=0, logger=False, enable_checkpointing=False, accelerator="cpu")
    trainer.strategy.connect(model)
    trainer.save_checkpoint(folder / "peer.ckpt")
    rng = np.random.default_rng(0)
    images = rng.standard_normal((IMAGES, 2, 1, 18, 16)).astype(np.float32)
    movies = np.concatenate([np.zeros_like(images).repeat(PEER_GREY, axis=2), images.repeat(FRAMES, axis=2)], axis=2)
    np.savez(folder / "stimuli.npz", clip=rng.standard_normal((2, 50, 18, 16)).astype(np.float32), movies=movies)


def ours(folder: Path, task: str, cells: int, step: float) -> tuple[float, dict[str, np.ndarray]]:
    """Seconds, and what was found, with the numbers' meaning in openretina."""
    import retina_nb as rnb
    from retina_nb.analyses import contrast_gradients, local_spike_triggered_averages

    stimuli, twin = np.load(folder / "stimuli.npz"), rnb.load_twin(folder / "peer.ckpt")
    clip, movies = stimuli["clip"], stimuli["movies"]
    if task == "contrast":
        window = (twin.lag + 10, twin.lag + 20)
        contrast_gradients(twin, clip, step=1, window=window, session=SESSION, neurons=0)
        started = time.perf_counter()
        grid = contrast_gradients(twin, clip, step=step, window=window, session=SESSION, neurons=0)
        return time.perf_counter() - started, {"gradient": grid.gradient[0], "response": grid.response[0]}
    window = (twin.lag + WINDOW[0], twin.lag + WINDOW[1])
    local_spike_triggered_averages(twin, movies[:8], window=window, session=SESSION, neurons=0)
    started = time.perf_counter()
    local = local_spike_triggered_averages(twin, movies, window=window, session=SESSION, neurons=range(cells))
    seconds = time.perf_counter() - started
    # openretina sums responses over the window, and averages gradients over all frames, the empty ones included.
    return seconds, {"lsta": local.lsta * (WINDOW[1] - WINDOW[0]) / movies.shape[2]}


def peer(folder: Path, task: str, cells: int, step: float) -> tuple[float, dict[str, np.ndarray]]:
    """The same by openretina."""
    import torch
    from openretina.insilico.stimulus_optimization.objective import IncreaseObjective, SliceMeanReducer
    from openretina.insilico.tuning_analyses.response_gradient import get_gradient_grid
    from openretina.insilico.vector_field_analysis.vector_field_analysis import compute_lsta_library
    from openretina.models.core_readout import UnifiedCoreReadout

    stimuli = np.load(folder / "stimuli.npz")
    model: Any = UnifiedCoreReadout.load_from_checkpoint(folder / "peer.ckpt", map_location="cpu", weights_only=False)
    model.eval()
    if task == "contrast":
        objective = IncreaseObjective(model, 0, SESSION, SliceMeanReducer(axis=0, start=10, length=10))
        clip = torch.from_numpy(stimuli["clip"])[None]
        get_gradient_grid(clip, objective, step_size=1.0)
        started = time.perf_counter()
        gradient, response, *_ = get_gradient_grid(clip, objective, step_size=step)
        return time.perf_counter() - started, {"gradient": gradient, "response": response}
    options = {"session_id": SESSION, "integration_window": WINDOW, "device": "cpu"}
    compute_lsta_library(model, stimuli["movies"][:8], cell_id=0, **options)
    started = time.perf_counter()
    found = [compute_lsta_library(model, stimuli["movies"], cell_id=cell, **options)[0] for cell in range(cells)]
    return time.perf_counter() - started, {"lsta": np.stack(found)}


def main(who: str, folder: str, task: str = "", cells: str = "1", step: str = "0.1") -> None:
    if who == "make":
        make(Path(folder))
        print(json.dumps({}))
        return
    cpu = time.process_time()
    seconds, found = {"ours": ours, "peer": peer}[who](Path(folder), task, int(cells), float(step))
    np.savez(Path(folder) / f"{who}_{task}.npz", allow_pickle=False, **found)
    print(json.dumps({"seconds": seconds, "cpu_s": time.process_time() - cpu}))


if __name__ == "__main__":
    main(*sys.argv[1:])
