"""Receptive fields: places, latencies, polarities, sizes and filters as planted, of models and from recorded spikes."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from scipy.stats import spearmanr

from retina_nb.analyses.receptive_fields import (
    ReceptiveFields,
    cosines,
    operating_points,
    receptive_fields,
    record_noise,
    shapes,
    smooth_receptive_fields,
    spike_triggered_averages,
    spike_triggered_covariance,
)
from retina_nb.checks.check import Check, at_least, at_most
from retina_nb.loaders.simulated import Truth
from retina_nb.recording import Recording

POINTS = 8  # operating points from each session
LAGS = 16  # bins of the truth's filters


def checks(model: Any, truth: Truth, recordings: Mapping[str, Recording]) -> list[Check]:
    """Gradients at operating points and covariance in noise; reverse correlation of spikes once, with the truth."""
    points = [operating_points(one, model.lag, stimuli=POINTS) for one in recordings.values()]
    found = _gradients(receptive_fields(model, np.concatenate(points)), truth)
    found += _covariance(model, truth)
    return found + _recorded(truth, recordings) if isinstance(model, Truth) else found


def _gradients(fields: ReceptiveFields, truth: Truth) -> list[Check]:
    cells, planted = truth.neurons(), truth.receptive_field().numpy()
    off = np.hypot(*(fields.centers - cells[["y", "x"]].to_numpy()).T)
    found, linear, one = shapes(fields), ~cells["nonlinear"].to_numpy(), cells["polarity"].to_numpy() != 0
    late = np.abs(found.time_to_peak - cells["latency"])[one]
    right = (found.polarity == cells["polarity"])[one]
    alike = cosines(fields.linear, planted)[linear]
    true = shapes(replace(fields, linear=planted, centers=cells[["y", "x"]].to_numpy()))
    size = np.abs(found.diameter_um / true.diameter_um - 1)[linear]
    surround = spearmanr(found.surround[one], true.surround[one]).statistic
    return [
        at_most("receptive field centre: median error (pixels)", np.median(off), 0.5),
        at_least("receptive field centre: cells within half a pixel", np.mean(off <= 0.5), 0.75),
        at_least("receptive field centre: cells within one pixel", np.mean(off <= 1), 0.95),
        at_least("time to peak: ON or OFF cells within a bin of the latency", np.mean(late <= 1 / fields.rate), 0.98),
        at_least("polarity: ON or OFF cells with the planted sign", np.mean(right), 0.95),
        at_most("centre size of linear cells: median relative error", np.median(size), 0.1),
        at_least("surround: rank correlation with that of the true filter, ON or OFF cells", surround, 0.8),
        at_least("gradient: cosine with a linear cell's filter, median", np.median(alike), 0.9),
    ]


def _covariance(model: Any, truth: Truth) -> list[Check]:
    """The first cell of each linear type, of each ON-OFF type and the one suppressed by contrast."""
    session = truth.sessions[0]
    cells = truth.neurons(session)[:12]
    cells = cells[~cells["nonlinear"] | (cells["polarity"] == 0) | (cells["type"] == "suppressed by contrast")]
    noise = record_noise(model, duration=400, stixel=2, kind="binary", session=session, neurons=cells.index.to_list())
    found = spike_triggered_covariance(noise, centers=cells[["y", "x"]].to_numpy())
    suppressed, linear = cells["type"].to_numpy() == "suppressed by contrast", ~cells["nonlinear"].to_numpy()
    excited = found.excitatory[~suppressed & ~linear] > 0
    silenced = found.suppressive[suppressed] > 0
    significant = (found.excitatory + found.suppressive)[linear]
    return [
        at_least("covariance: ON-OFF cells with excitatory directions", excited.mean(), 1.0),
        at_least("covariance: suppressed cells with suppressive directions", silenced.mean(), 1.0),
        at_most("covariance: significant directions of linear cells, mean", significant.mean(), 0.34),
    ]


def _recorded(truth: Truth, recordings: Mapping[str, Recording]) -> list[Check]:
    """Linear cells of a session whose retina saw natural movies."""
    session = truth.sessions[0]
    recording, linear = recordings[session], np.flatnonzero(~truth.neurons(session)["nonlinear"])
    planted = truth.receptive_field(session).numpy()[linear]
    average = cosines(spike_triggered_averages(recording, lags=LAGS).linear[linear], planted)
    smooth = cosines(smooth_receptive_fields(recording, neurons=linear.tolist(), lags=LAGS).linear, planted)
    return [
        at_least("recorded: smooth estimate's cosine with a linear cell's filter, median", np.median(smooth), 0.75),
        at_least("recorded: that, more than for the plain average", np.median(smooth - average), 0.3),
    ]
