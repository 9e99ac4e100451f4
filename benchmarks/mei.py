"""Most exciting inputs by openretina's recipe: a stimulus for each cell, from the same start in as many steps."""

# mypy: disable-error-code="import-not-found"

import numpy as np
import torch

from benchmarks.pairs import Options, Pair, Results
from benchmarks.peer_models import CHUNK, both, peer_model, settle
from retina_nb.analyses import Constraint, most_exciting_inputs

SESSION, CELLS, FIRST, LENGTH = "one", 100, 10, 10  # outputs that count
NORM, STEP, STEPS = 5.0, 10.0, 10  # of the example that openretina ships
RANGE = ((-0.654, 6.269), (-0.913, 6.269))  # its limits of the two channels


def prepare(name: str, options: Options) -> Pair:
    """All cells at once; openretina takes them one by one, so that some of them tell its time for each."""
    from openretina.insilico.stimulus_optimization.objective import IncreaseObjective, SliceMeanReducer
    from openretina.insilico.stimulus_optimization.optimization_stopper import OptimizationStopper
    from openretina.insilico.stimulus_optimization.optimizer import optimize_stimulus
    from openretina.insilico.stimulus_optimization.regularizer import ChangeNormJointlyClipRangeSeparately

    model = settle(peer_model("low_res", {SESSION: CELLS}), "low_res")
    twin, theirs = (one.eval().to(options.device) for one in both(model, options.folder / f"{name}.ckpt"))
    start = 0.1 * torch.randn(1, 2, CHUNK, 18, 16, generator=torch.Generator().manual_seed(0))
    start[:, :, :FIRST] = 0  # frames that no counted output sees: openretina keeps them as they were, we make them grey
    hold = ChangeNormJointlyClipRangeSeparately(min_max_values=RANGE, norm=NORM)
    compared = 3 if options.quick else 10
    low, high = zip(*RANGE, strict=True)

    def ours() -> Results:
        found = most_exciting_inputs(
            twin,
            neurons=range(CELLS),
            bins=CHUNK,
            first=FIRST,
            length=LENGTH,
            start=start.numpy(),
            constraints=Constraint(norm=NORM, low=low, high=high),
            optimizer="sgd",
            step_size=STEP,
            steps=STEPS,
            patience=STEPS + 1,
            session=SESSION,
        )
        return {"stimuli": found.stimuli[:compared]}

    def optimize(neuron: int) -> np.ndarray:
        stimulus = hold.process(start.to(options.device)).clone().requires_grad_()
        optimize_stimulus(
            stimulus,
            lambda parameters: torch.optim.SGD(parameters, lr=STEP),
            IncreaseObjective(theirs, neuron, SESSION, SliceMeanReducer(axis=0, start=FIRST, length=LENGTH)),
            OptimizationStopper(STEPS),
            stimulus_postprocessor=hold,
        )
        return stimulus[0].detach().cpu().numpy()

    def peer() -> Results:
        return {"stimuli": np.stack([optimize(neuron) for neuron in range(compared)])}

    work = f"2 x {CHUNK} x 18 x 16, {STEPS} steps, {CELLS} cells, by cell"
    return Pair(work, ours, peer, ours_units=CELLS, peer_units=compared)
