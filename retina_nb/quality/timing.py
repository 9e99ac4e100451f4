"""When responses follow the stimulus: in each session and split, in every trial, and all the time.

The responses are predicted linearly from the coarse stimulus of the bins before and after them, learned from the
training bins. Where in time the weights are large tells the latency; where the prediction for other bins correlates
best with their responses tells whether these have the same latency.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int64

from retina_nb.quality.fingerprints import Watched
from retina_nb.quality.regression import CoarseRegression, bins_with_surroundings, lags_at
from retina_nb.quality.shifts import Shift, find_shift, peak
from retina_nb.recording import Recording

SLOWEST = 10.0  # rate (Hz) below which a bin is longer than the latencies of ganglion cells

_MOST_BINS = 20_000  # of training, from which is learned
_REACH = 0.1  # largest shift (s)
_STANDS_OUT = 1.5  # by how much the weights at the latency exceed the usual ones
_FEWEST = 300  # bins from which a shift is told
_FEWEST_JUMPS = 10
_SAMPLES = 200  # of the bootstrap


@dataclass(frozen=True)
class Timing:
    """When the responses of a session follow the stimulus. Latencies are from frame to bin.

    Args:
        lags: of the stimulus before the response (s); negative after it.
        weights: at each lag, those of each neuron added up to 1, and the mean over neurons.
        latency: where `weights` are largest (s), and its confidence interval over neurons; NaN if nothing stands out.
        latencies: the same of each neuron.
        shifts: how much later than expected the responses come in ``"validation"`` and ``"test"`` bins, and in those of
            the first and last third of the session, ``"early"`` and ``"late"``.
        trials: for each repeated stimulus, how much later each trial comes than the others.
        jumps: correlation of prediction and response where the movie has just jumped, divided by that elsewhere, and
            its confidence interval; None where it does not jump.
    """

    lags: Float[np.ndarray, " lag"]
    weights: Float[np.ndarray, " lag"]
    latency: tuple[float, float, float]
    latencies: Float[np.ndarray, " neuron"]
    shifts: Mapping[str, Shift]
    trials: Mapping[str, list[Shift]]
    jumps: tuple[float, float, float] | None


def measure_timing(watched: Mapping[str, Watched], level: float, seed: int) -> dict[str, Timing]:
    """The timing of every session that has bins and presentations of such a length that it can be told."""
    groups: dict[int, list[str]] = {}
    for name, one in watched.items():
        if one.recording.rate >= SLOWEST:
            groups.setdefault(one.group, []).append(name)
    found: dict[str, Timing] = {}
    for names in groups.values():
        first = watched[names[0]]
        lags = lags_at(first.recording.rate)
        known = bins_with_surroundings(first, lags)
        train = np.flatnonzero(known & (first.recording.split == "train"))
        if len(train) < _FEWEST:
            continue
        train = train[:: -(-len(train) // _MOST_BINS)]
        responses = [watched[name].recording.responses[train] for name in names]
        model = CoarseRegression(first, lags, train, np.concatenate(responses, axis=1))
        end = 0
        for name in names:
            start, end = end, end + watched[name].recording.n_neurons
            found[name] = _timing(watched[name].recording, model, slice(start, end), known, level, seed)
    return {name: found[name] for name in watched if name in found}


def _timing(
    recording: Recording, model: CoarseRegression, neurons: slice, known: np.ndarray, level: float, seed: int
) -> Timing:
    lags = lags_at(recording.rate)
    weights = np.square(model.weights[..., neurons]).sum(axis=1)  # (lag, neuron)
    weights = (weights / weights.sum(axis=0).clip(min=1e-12))[1:-1].T  # the lags at the ends stand for those beyond
    latency = _latency(weights, lags[1:-1], level, seed)
    held = np.flatnonzero(known & np.isin(recording.split, ("validation", "test")))
    expected = model.predict(held, neurons)
    reach = max(3, round(_REACH * recording.rate))

    def shift(chosen: np.ndarray) -> Shift:
        return find_shift(expected[chosen], recording.responses, held[chosen], reach, level=level, seed=seed)

    third = len(recording) // 3
    parts = {name: recording.split[held] == name for name in ("validation", "test")}
    parts |= {"early": held < third, "late": held >= len(recording) - third}
    return Timing(
        lags=lags[1:-1] / recording.rate,
        weights=weights.mean(axis=0),
        latency=tuple(np.array(latency) / recording.rate),
        latencies=np.array([_latency(one[None], lags[1:-1], level, seed)[0] for one in weights]) / recording.rate,
        shifts={name: shift(chosen) for name, chosen in parts.items() if chosen.sum() >= _FEWEST},
        trials={name: _trials(recording, bins, reach, level, seed) for name, bins in recording.repeats.items()},
        jumps=_after_jumps(recording, model, neurons, known, latency[0], level, seed),
    )


def _latency(
    weights: Float[np.ndarray, "neuron lag"], lags: Int64[np.ndarray, " lag"], level: float, seed: int
) -> tuple[float, float, float]:
    """Where the mean weights are largest (bins), and its confidence interval."""
    mean = weights.mean(axis=0)
    if not mean.max() > _STANDS_OUT * np.median(mean):
        return (np.nan,) * 3
    drawn = np.random.default_rng(seed).integers(len(weights), size=(_SAMPLES, len(weights)))
    low, high = np.quantile(peak(weights[drawn].mean(axis=1)), [(1 - level) / 2, (1 + level) / 2])
    return tuple(float(value) + lags[0] for value in (peak(mean), low, high))


def _trials(recording: Recording, bins: np.ndarray, reach: int, level: float, seed: int) -> list[Shift]:
    """By how many bins each trial comes later than the mean of the others."""
    inner = np.arange(reach, bins.shape[1] - reach)
    if len(bins) < 3 or len(inner) < _FEWEST // 2:
        return []
    trials = recording.responses[bins]  # (trial, time, neuron)
    total = trials.sum(axis=0)
    return [find_shift((total - trial)[inner], trial, inner, reach, level=level, seed=seed) for trial in trials]


def _after_jumps(
    recording: Recording,
    model: CoarseRegression,
    neurons: slice,
    known: np.ndarray,
    latency: float,
    level: float,
    seed: int,
) -> tuple[float, float, float] | None:
    """How well bins are predicted whose strongest history lies before a jump of the movie, over those before it.

    None if there are too few jumps, or most frames do not follow one another: those of some movies have no order.
    """
    steps = np.diff(recording.frames)
    jumps = np.flatnonzero((steps != 0) & (steps != 1)) + 1
    jumps = jumps[~np.isin(jumps, recording.onsets)]
    if np.isnan(latency) or latency < 1 or len(jumps) > 0.2 * len(steps):
        return None
    length = int(latency)
    around = jumps[:, None] + np.arange(-2 * length, length)
    around = around[((around >= 0) & (around < len(known))).all(axis=1)]
    around = around[known[around].all(axis=1)]
    if len(around) < _FEWEST_JUMPS:
        return None
    products = _products(recording.responses[around], model.predict(around.ravel(), neurons).reshape(*around.shape, -1))
    before, after = products[:, :length].mean(axis=1), products[:, -length:].mean(axis=1)  # (jump,)
    drawn = np.random.default_rng(seed).integers(len(around), size=(_SAMPLES, len(around)))
    ratios = after[drawn].mean(axis=1) / before[drawn].mean(axis=1).clip(min=1e-6)
    low, high = np.quantile(ratios, [(1 - level) / 2, (1 + level) / 2])
    return float(after.mean() / max(before.mean(), 1e-6)), float(low), float(high)


def _products(responses: np.ndarray, expected: np.ndarray) -> np.ndarray:
    """(jump, bin): mean over neurons of the product of response and prediction, both standardised."""
    standard = []
    for traces in (responses, expected):
        centred = traces - traces.mean(axis=(0, 1))
        standard.append(centred / np.maximum(centred.std(axis=(0, 1)), 1e-6))
    return (standard[0] * standard[1]).mean(axis=2)
