"""When responses follow the stimulus: in each session and split, in every trial, and all the time.

The responses are predicted linearly from the coarse stimulus of the bins before and after them, learned from the
training bins. Where in time the weights are large tells the latency; where the prediction for other bins correlates
best with their responses tells whether these have the same latency.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int64

from retina_nb.peaks import peak_place
from retina_nb.quality.cells import most_repeated
from retina_nb.quality.fingerprints import Watched
from retina_nb.quality.regression import CoarseRegression, bins_with_surroundings, lags_at
from retina_nb.quality.shifts import Shift, find_shift
from retina_nb.recording import Recording
from retina_nb.representations import one_line

SLOWEST = 10.0  # rate (Hz) below which a bin is longer than the latencies of ganglion cells

_MOST_BINS = 20_000  # of training, from which is learned
_ENOUGH = 4  # times as many bins as weights, because false shifts are found with fewer
_REACH = 0.1  # largest shift (s)
_STANDS_OUT = 1.5  # by how much the weights at the latency exceed the usual ones
_FEWEST = 150  # bins from which a shift is told
_SAMPLES = 200  # of the bootstrap


@one_line
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
    """

    lags: Float[np.ndarray, " lag"]
    weights: Float[np.ndarray, " lag"]
    latency: tuple[float, float, float]
    latencies: Float[np.ndarray, " neuron"]
    shifts: Mapping[str, Shift]
    trials: Mapping[str, list[Shift]]


@dataclass(frozen=True)
class _Predicted:
    """A session, what predicts it, and in which bins; and how confidence intervals are found."""

    recording: Recording
    model: CoarseRegression
    neurons: slice
    known: Bool[np.ndarray, " time"]
    level: float
    seed: int

    @property
    def reach(self) -> int:
        return max(3, round(_REACH * self.recording.rate))

    def predict(self, bins: Int64[np.ndarray, " bin"]) -> Float[np.ndarray, "bin neuron"]:
        return self.model.predict(bins, self.neurons)

    def shift(self, prediction: np.ndarray, responses: np.ndarray, bins: np.ndarray) -> Shift:
        return find_shift(prediction, responses, bins, self.reach, level=self.level, seed=self.seed)

    def interval(self, samples: np.ndarray) -> tuple[float, float]:
        low, high = np.quantile(samples, [(1 - self.level) / 2, (1 + self.level) / 2])
        return float(low), float(high)

    def resampled(self, n: int) -> Int64[np.ndarray, "sample n"]:
        return np.random.default_rng(self.seed).integers(n, size=(_SAMPLES, n))


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
        if len(train) < _ENOUGH * len(lags) * first.prints.coarse.shape[1]:
            continue
        train = train[:: -(-len(train) // _MOST_BINS)]
        responses = [watched[name].recording.responses[train] for name in names]
        model = CoarseRegression(first, lags, train, np.concatenate(responses, axis=1))
        end = 0
        for name in names:
            start, end = end, end + watched[name].recording.n_neurons
            found[name] = _timing(_Predicted(watched[name].recording, model, slice(start, end), known, level, seed))
    return {name: found[name] for name in watched if name in found}


def _timing(one: _Predicted) -> Timing:
    rate = one.recording.rate
    lags = lags_at(rate)[1:-1]  # the ends stand for what is beyond
    power = one.model.power[one.neurons]
    weights = power[:, 1:-1] / power.sum(axis=1, keepdims=True).clip(min=1e-12)
    latency = _latency(one, weights, lags)
    return Timing(
        lags=lags / rate,
        weights=weights.mean(axis=0),
        latency=tuple(np.array(latency) / rate),
        latencies=np.array([_latency(one, of_neuron[None], lags)[0] for of_neuron in weights]) / rate,
        shifts=_shifts(one),
        trials={name: _trials(one, bins) for name, bins in one.recording.repeats.items()},
    )


def _latency(
    one: _Predicted, weights: Float[np.ndarray, "neuron lag"], lags: Int64[np.ndarray, " lag"]
) -> tuple[float, float, float]:
    """Where the mean weights are largest (bins), and its confidence interval."""
    mean = weights.mean(axis=0)
    if not mean.max() > _STANDS_OUT * np.median(mean):
        return (np.nan,) * 3
    low, high = one.interval(peak_place(weights[one.resampled(len(weights))].mean(axis=1)))
    return tuple(float(value) + lags[0] for value in (peak_place(mean), low, high))


def _shifts(one: _Predicted) -> dict[str, Shift]:
    """See `Timing`."""
    recording, third = one.recording, len(one.recording) // 3
    held = np.flatnonzero(one.known & np.isin(recording.split, ("validation", "test")))
    expected = one.predict(held)
    parts = {name: recording.split[held] == name for name in ("validation", "test")}
    parts |= {"early": held < third, "late": held >= len(recording) - third}
    name = most_repeated(recording)
    if name is not None:
        del parts["test"]
    shifts = {
        part: one.shift(expected[chosen], recording.responses, held[chosen])
        for part, chosen in parts.items()
        if chosen.sum() >= _FEWEST
    }
    if name is not None:  # what a stimulus tells is not told more surely by its repeats, so their mean counts
        bins = recording.repeats[name]
        inner = np.arange(one.reach, bins.shape[1] - one.reach)
        inner = inner[one.known[bins[0, inner]]]
        if len(inner) >= _FEWEST:
            shifts["test"] = one.shift(one.predict(bins[0, inner]), recording.trials(name).mean(axis=0), inner)
    return shifts


def _trials(one: _Predicted, bins: Int64[np.ndarray, "trial time"]) -> list[Shift]:
    """By how many bins each trial comes later than the mean of the others."""
    inner = np.arange(one.reach, bins.shape[1] - one.reach)
    if len(bins) < 3 or len(inner) < _FEWEST:
        return []
    trials = one.recording.responses[bins]  # (trial, time, neuron)
    total = trials.sum(axis=0)
    return [one.shift((total - trial)[inner], trial, inner) for trial in trials]
