"""Gradients of a cell's response over a grid of the contrasts of two channels."""

# mypy: disable-error-code="import-not-found"

from functools import partial

import torch

from benchmarks.pairs import Options, Pair, Results
from benchmarks.peer_models import CHUNK, both, peer_model, settle
from retina_nb.analyses import contrast_gradients

SESSION, CELL, FIRST, LENGTH = "one", 0, 10, 10  # outputs that count


def prepare(name: str, options: Options) -> Pair:
    """21 x 21 contrasts; 11 x 11 if it should be quick."""
    from openretina.insilico.stimulus_optimization.objective import IncreaseObjective, SliceMeanReducer
    from openretina.insilico.tuning_analyses.response_gradient import get_gradient_grid

    step = 0.2 if options.quick else 0.1
    model = settle(peer_model("low_res", {SESSION: 100}), "low_res")
    twin, theirs = (one.eval().to(options.device) for one in both(model, options.folder / f"{name}.ckpt"))
    clip = torch.randn(2, CHUNK, 18, 16, generator=torch.Generator().manual_seed(0))
    objective = IncreaseObjective(theirs, CELL, SESSION, SliceMeanReducer(axis=0, start=FIRST, length=LENGTH))

    def ours() -> Results:
        window = (twin.lag + FIRST, twin.lag + FIRST + LENGTH)
        grid = contrast_gradients(twin, clip.numpy(), step=step, window=window, session=SESSION, neurons=CELL)
        return {"gradient": grid.gradient[0], "response": grid.response[0]}

    def peer(clip: torch.Tensor) -> Results:
        gradient, response, *_ = get_gradient_grid(clip, objective, step_size=step)
        return {"gradient": gradient, "response": response}

    points = round(2 / step) + 1
    return Pair(f"{points} x {points} contrasts, one cell", ours, partial(peer, clip[None].to(options.device)))
