"""Most exciting inputs once: run by `benchmarks.most_exciting`, by either package's Python, as a script.

``python most_exciting_once.py export|ours|peer FOLDER NEURONS STEPS RULE NORM STEP_SIZE``: ``export`` (ours) writes the
weights of the twin that comes with the package by openretina's names, and the start. Prints a line of JSON and writes
the scores to ``ours_RULE_NORM.npz`` or ``peer_RULE_NORM.npz``. Rules are ``sgd``, and of ours ``adaptive``, and
``until``, the same until stimuli have converged.
"""

# mypy: disable-error-code="import-not-found"

import json
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

BINS, FIRST, LENGTH = 50, 10, 10
RANGE = ((-0.654, 6.269), (-0.913, 6.269))  # openretina's limits of its two channels
SESSION = "one"


def export(folder: Path, neurons: int) -> None:
    """Our trained twin's weights as openretina's, and the noise to start from."""
    import torch

    import retina_nb as rnb

    twin = rnb.load_twin("simulated")
    weights: dict[str, Any] = {}
    for number, layer in enumerate(twin.core.layers):
        there, time_weights = f"core.features.layer{number}", layer.conv.time_weights
        # In ours, cosines and sines take turns, and there is no sine of frequency 0.
        weights[f"{there}.conv.cos_weights"] = torch.cat([time_weights[..., :1], time_weights[..., 1::2]], dim=-1)
        weights[f"{there}.conv.sin_weights"] = torch.cat([0 * time_weights[..., :1], time_weights[..., 2::2]], dim=-1)
        weights[f"{there}.conv.weight_spatial"] = layer.conv.space_weights[:, :, None]
        weights |= {f"{there}.norm.{name}": value for name, value in layer.norm.state_dict().items()}
    names = {"mask_mean": "position", "mask_log_var": "log_variance", "scale_param": "scale", "bias": "bias"}
    readouts = [twin.readout[session] for session in twin.sessions]
    for there, here in names.items():
        weights[f"readout.{SESSION}.{there}"] = torch.cat([getattr(one, here) for one in readouts])[:neurons]
    features = torch.cat([one.features for one in readouts], dim=1)[:, :neurons]
    weights[f"readout.{SESSION}.features"] = features[None, :, None]
    start = 0.1 * np.random.default_rng(0).standard_normal((1, 2, BINS, 18, 16)).astype(np.float32)
    np.savez(folder / "start.npz", start=start)
    np.savez(folder / "weights.npz", allow_pickle=False, **{name: w.detach().numpy() for name, w in weights.items()})


def ours(
    folder: Path, neurons: int, steps: int, rule: str, norm: float, step_size: float
) -> tuple[float, dict[str, np.ndarray]]:
    """Seconds, and scores."""
    import retina_nb as rnb
    from retina_nb.analyses import Constraint, most_exciting_inputs

    twin, start = rnb.load_twin("simulated"), np.load(folder / "start.npz")["start"]
    low, high = zip(*RANGE, strict=True)
    options: dict[str, Any] = {
        "bins": BINS,
        "first": FIRST,
        "length": LENGTH,
        "start": start,
        "constraints": Constraint(norm=norm, low=low, high=high),
        "optimizer": "sgd" if rule == "sgd" else "adaptive",
        "step_size": step_size if rule == "sgd" else None,
        "patience": 10 if rule == "until" else 10**6,
    }
    most_exciting_inputs(twin, neurons=range(2), steps=2, **options)
    started = time.perf_counter()
    made = most_exciting_inputs(twin, neurons=range(neurons), steps=steps, **options)
    seconds = time.perf_counter() - started
    return seconds, {"scores": made.scores, "steps": made.steps, "start": made.history[:, 0]}


def peer(
    folder: Path, neurons: int, steps: int, rule: str, norm: float, step_size: float
) -> tuple[float, dict[str, np.ndarray]]:
    """The same by openretina, one neuron after another."""
    import torch
    from openretina.insilico.stimulus_optimization.objective import IncreaseObjective, SliceMeanReducer
    from openretina.insilico.stimulus_optimization.optimization_stopper import OptimizationStopper
    from openretina.insilico.stimulus_optimization.optimizer import optimize_stimulus
    from openretina.insilico.stimulus_optimization.regularizer import ChangeNormJointlyClipRangeSeparately

    model = _peer_model(folder)
    start = torch.from_numpy(np.load(folder / "start.npz")["start"])
    hold = ChangeNormJointlyClipRangeSeparately(min_max_values=RANGE, norm=norm)

    def optimize(neuron: int, iterations: int) -> torch.Tensor:
        stimulus = hold.process(start).clone().requires_grad_()
        objective = IncreaseObjective(model, neuron, SESSION, SliceMeanReducer(axis=0, start=FIRST, length=LENGTH))
        optimize_stimulus(
            stimulus,
            lambda parameters: torch.optim.SGD(parameters, lr=step_size),
            objective,
            OptimizationStopper(iterations),
            stimulus_postprocessor=hold,
        )
        return stimulus

    optimize(0, 2)
    started = time.perf_counter()
    stimuli = [optimize(neuron, steps) for neuron in range(neurons)]
    seconds = time.perf_counter() - started
    with torch.no_grad():
        responses = torch.stack([model(one, SESSION)[0, :, neuron] for neuron, one in enumerate(stimuli)])
    return seconds, {"scores": responses[:, FIRST : FIRST + LENGTH].mean(dim=1).numpy()}


def _peer_model(folder: Path) -> Any:
    import torch
    from peer_model import low_res_model  # beside this script

    stored = np.load(folder / "weights.npz")
    weights = {name: torch.from_numpy(stored[name]) for name in stored.files if name != "allow_pickle"}
    model = low_res_model(SESSION, len(weights[f"readout.{SESSION}.bias"]), bins=BINS, positive=False)
    missing = model.load_state_dict(weights, strict=False).missing_keys
    model.eval()
    # What we do not have does nothing: a regulariser's filter, a default speed, a bias after the normalisation.
    left = [name for name in missing if not name.endswith(("laplace.filter", "log_speed_default", "bias.bias", "grid"))]
    if left:
        sys.exit(f"openretina's model has other weights: {left}")
    return model


def main(
    who: str, folder: str, neurons: str, steps: str = "0", rule: str = "", norm: str = "0", step_size: str = "0"
) -> None:
    if who == "export":
        export(Path(folder), int(neurons))
        print(json.dumps({}))
        return
    optimize = {"ours": ours, "peer": peer}[who]
    seconds, found = optimize(Path(folder), int(neurons), int(steps), rule, float(norm), float(step_size))
    np.savez(Path(folder) / f"{who}_{rule}_{norm}.npz", allow_pickle=False, **found)
    print(json.dumps({"seconds": seconds}))


if __name__ == "__main__":
    main(*sys.argv[1:])
