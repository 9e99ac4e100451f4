"""What experiments on phenomena recover: subunits, gain control, biphasic filters, and phenomena that are not there."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from scipy.stats import spearmanr

from retina_nb.analyses import phenomena
from retina_nb.checks.check import Check, at_least, at_most
from retina_nb.loaders.simulated import Truth
from retina_nb.loaders.simulated.cells import CELL_TYPES
from retina_nb.recording import Recording


def checks(model: Any, truth: Truth, recordings: Mapping[str, Recording]) -> list[Check]:
    """Run every experiment on cells of the first session, one or two of each type, at the places of the truth.

    Object motion cells and polarity reversal are not in the simulated circuit: there the truth, and any good twin of
    it, has a score of 0, and so have its linear cells in frequency doubling and motion reversal.
    """
    session = truth.sessions[0]
    cells = truth.neurons(session)[:24]
    options: dict[str, Any] = {"session": session, "neurons": range(len(cells))}
    local = {**options, "centers": cells[["y", "x"]].to_numpy()}
    # One cell of each type is enough to see that there is nothing.
    few = {**options, "neurons": range(12), "centers": local["centers"][:12]}
    kinds = [CELL_TYPES[name] for name in cells["type"]]
    controlled = np.array([kind.gain_control > 0 for kind in kinds])
    linear = np.array([not kind.nonlinear for kind in kinds])
    is_truth = isinstance(model, Truth)

    doubling = phenomena.frequency_doubling(model, **options).score
    adaptation = phenomena.contrast_adaptation(model, **options).score
    paired = phenomena.paired_flash_suppression(model, **local).score
    anticipation = phenomena.motion_anticipation(model, **local).score
    omitted = phenomena.omitted_stimulus_response(model, **local).score
    true_anticipation, true_omitted = anticipation, omitted
    if not is_truth:
        true_anticipation = phenomena.motion_anticipation(truth, **local).score
        true_omitted = phenomena.omitted_stimulus_response(truth, **local).score
    latency = phenomena.latency_coding(model, **local).score
    reversal = phenomena.motion_reversal_response(model, **few).score
    objects = phenomena.object_motion_sensitivity(model, **few).score
    polarity = phenomena.polarity_reversal(model, **few).score
    return [
        at_least("frequency doubling: cells with subunits told from linear ones (AUC)", _auc(doubling, ~linear), 0.85),
        at_most(
            "frequency doubling: median score of linear cells", _median(doubling[linear]), 0.05 if is_truth else 0.3
        ),
        at_least(
            "contrast adaptation: cells with gain control told from others (AUC)",
            _auc(adaptation, controlled),
            0.95 if is_truth else 0.5,
        ),
        at_least(
            "motion anticipation: cells with gain control told from linear ones (AUC)",
            _auc(anticipation[controlled | linear], controlled[controlled | linear]),
            0.9,
        ),
        at_least("motion anticipation: rank correlation with the truth", _order(anticipation, true_anticipation), 0.6),
        at_least("omitted stimulus response: rank correlation with the truth", _order(omitted, true_omitted), 0.6),
        at_least(
            "paired flashes: cells with gain control told from linear ones (AUC)",
            _auc(paired[controlled | linear], controlled[controlled | linear]),
            0.9,
        ),
        at_least(
            "latency coding: share of cells that fire earlier at higher contrast", _share(latency > 0, latency), 0.9
        ),
        at_most(
            "motion reversal: median size of the score of linear cells",
            _median(np.abs(reversal[linear[:12]])),
            0.25,
        ),
        at_most("object motion sensitivity, which no cell has: median size", _median(np.abs(objects)), 0.1),
        at_most("polarity reversal, which no cell has: median size", _median(np.abs(polarity)), 0.1),
    ]


def _auc(values: np.ndarray, members: np.ndarray) -> float:
    """How probable a member's value is the larger one of a member's and another's; ties count half, NaN not at all."""
    there = np.isfinite(values)
    inside, outside = values[members & there, None], values[~members & there]
    return float((inside > outside).mean() + 0.5 * (inside == outside).mean())


def _order(one: np.ndarray, other: np.ndarray) -> float:
    there = np.isfinite(one) & np.isfinite(other)
    return float(spearmanr(one[there], other[there]).statistic)


def _median(values: np.ndarray) -> float:
    return float(np.nanmedian(values))


def _share(holds: np.ndarray, values: np.ndarray) -> float:
    """Of the values that there are."""
    return float(holds[np.isfinite(values)].mean())
