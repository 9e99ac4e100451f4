"""Attribution: parts add up to the whole, and a twin's first layer has units like the planted subunits."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch

from retina_nb.analyses import conductance, integrated_gradients, match_units
from retina_nb.checks.check import Check, at_least, at_most
from retina_nb.loaders.simulated import Truth
from retina_nb.recording import Recording

# Their subunits respond to one polarity. Direction-selective and suppressed cells pool both, which one unit cannot.
ONE_POLARITY = ("ON transient", "OFF transient", "ON alpha", "OFF alpha")


def checks(model: Any, truth: Truth, recordings: Mapping[str, Recording]) -> list[Check]:
    """Completeness for pixels and, in a twin, for its layers; and subunits found among the units of its first layer."""
    session, recording = next(iter(recordings.items()))
    clip = recording.stimulus("test")[:, 200 : 200 + model.lag + 20]
    options: dict[str, Any] = {"session": session, "window": (model.lag + 15, model.lag + 20)}
    found = [
        at_most(
            "integrated gradients: largest error, share of the largest change",
            _error(integrated_gradients(model, clip, **options)),
            0.01,
        )
    ]
    if model is truth:
        return found
    layers = [_error(conductance(model, clip, layer, **options)) for layer in ("core.layers.0", "core.layers.1")]
    correlation, significant, distance = _subunits(model, truth, session, recording)
    return [
        *found,
        at_most("conductance: largest error, share of the largest change", max(layers), 0.01),
        at_least("subunits in the twin's first layer: median correlation", correlation, 0.7),
        at_least("subunits in the twin's first layer: share with p < 0.01", significant, 0.95),
        at_most("subunits in the twin's first layer: median distance (pixels)", distance, 1.5),
    ]


def _error(found: Any) -> float:
    return float(np.abs(found.error).max() / np.abs(found.response - found.baseline).max())


def _subunits(model: Any, truth: Truth, session: str, recording: Recording) -> tuple[float, float, float]:
    """How well the best units of the first layer match subunits: correlation, share significant, distance (pixels)."""
    stimulus = recording.movie.frames[:, :3000]
    table, kinds = truth.subunits(session), truth.neurons(session)["type"]
    chosen = np.flatnonzero(kinds[table["neuron"]].isin(ONE_POLARITY))
    chosen = np.random.default_rng(0).choice(chosen, 40, replace=False)
    with torch.no_grad():
        outputs = truth.subunit_traces(torch.from_numpy(stimulus)[None], session)[0, chosen].numpy()
    traces = np.pad(outputs, ((0, 0), (stimulus.shape[1] - outputs.shape[1], 0)))
    matches = match_units(model, "core.layers.0", stimulus, traces, session=session)
    # Kernels without padding: the first unit looks at the middle of the first kernel.
    middle = (model.core.layers[0].conv.kernel_size[1] - 1) / 2
    distance = np.hypot(*(matches.unit[:, 1:] + middle - table.iloc[chosen][["y", "x"]].to_numpy()).T)
    return float(np.median(matches.correlation)), float((matches.p_value < 0.01).mean()), float(np.median(distance))
