"""Whether the responses of all splits and sessions are in one unit, by the steps in which they come and by their size.

Counts come in steps of 1, the same in spikes per second in steps of the rate. Another stimulus changes how large
responses are, but not the step. Responses without a step are of another unit if mean and noise both grow alike in
nearly all neurons, since counting noise grows less than the mean, and other noise not with it.
"""

from collections.abc import Iterator, Mapping
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from retina_nb.quality.findings import FINE, LOOK, PROBLEM, Finding, some
from retina_nb.recording import Recording
from retina_nb.representations import one_line

CHECK = "units"

_COUNTS = "spikes/bin"
_MOST_BINS, _MOST_NEURONS = 20_000, 100  # that are looked at
_FEWEST = 10  # responses by which the step of a neuron is told
_CONTINUOUS = 20  # different responses, beyond which the lack of a step is not by chance
_MOST_STEPS = 5000  # of the largest response: more would fit anything
_SAME = 1.25  # factor below which steps are the same
_GROWN = 8.0  # factor of responses without a step beyond which no stimulus explains them
_NEARLY_ALL = 0.8  # part of the neurons


@one_line
class Scales(NamedTuple):
    """How large the responses of some neurons are in some bins.

    Args:
        mean: response.
        noise: variance of the difference of neighboring bins, halved.
        step: of which all responses are multiples; 0 if there is none, NaN if there are too few to tell.
    """

    mean: Float[np.ndarray, " neuron"]
    noise: Float[np.ndarray, " neuron"]
    step: Float[np.ndarray, " neuron"]


def judge_units(recordings: Mapping[str, Recording]) -> list[Finding]:
    """Findings about splits of a session, and sessions, whose responses are in different units."""
    findings, steps = list[Finding](), dict[str, float]()
    for session, recording in recordings.items():
        found = {label: _scales(recording, label) for label in ("train", "validation", "test")}
        train = found.pop("train")
        if train is None:
            continue
        if (step := _common(train.step)) > 0:
            steps[session] = step
        messages = [*_labelled(recording, steps.get(session, 1.0))]
        for label, one in found.items():
            if one is not None:
                messages += _signed(train, one, label) if recording.signed else _compared(train, one, label)
        findings += [Finding(CHECK, severity, session, f"session {session}: {told}") for severity, told in messages]
    if not findings:
        findings += _between(recordings, steps)
    return findings or [Finding(CHECK, FINE, "", "the responses of all splits and sessions are in one unit")]


def _scales(recording: Recording, label: str) -> Scales | None:
    """Of the bins of a split that have a neighbor in it; None if there are hardly any."""
    inside = recording.split == label
    bins = np.flatnonzero(inside[:-1] & inside[1:])
    if len(bins) < _FEWEST:
        return None
    bins = bins[:: -(-len(bins) // _MOST_BINS)]
    neurons = slice(None, None, -(-recording.n_neurons // _MOST_NEURONS))
    here, after = (recording.responses[at, neurons].astype(np.float64) for at in (bins, bins + 1))
    return Scales(
        mean=here.mean(axis=0),
        noise=np.square(after - here).mean(axis=0) / 2,
        step=np.array([_step(values) for values in here.T]),
    )


def _step(values: Float[np.ndarray, " bin"]) -> float:
    sizes = np.abs(values[values != 0])
    if len(sizes) < _FEWEST:
        return np.nan
    sizes = np.unique(sizes)
    gaps = np.diff(sizes, prepend=0.0)
    least = gaps[gaps > 1e-5 * sizes[-1]].min()  # smaller ones are of rounding
    for parts in (1, 2, 3, 4):
        many = np.rint(sizes[-1] * parts / least)
        multiples = sizes * many / sizes[-1]
        if many <= _MOST_STEPS and np.abs(multiples - np.rint(multiples)).max() < 0.02:
            return float(sizes[-1] / many)
    return 0.0 if len(sizes) >= _CONTINUOUS else np.nan


def _common(steps: Float[np.ndarray, " neuron"]) -> float:
    """The step, or factor between steps, of most neurons that have one; 0 if there is none in common."""
    known = steps[np.isfinite(steps)]
    if not len(known):
        return 0.0
    middle = float(np.median(known))
    return middle if np.isclose(known, middle, rtol=0.05).mean() > 0.5 else 0.0


def _compared(train: Scales, other: Scales, label: str) -> Iterator[tuple[str, str]]:
    """Rates and counts."""
    usable = (train.mean > 0) & (other.mean > 0)
    if not usable.any():
        return
    mean = other.mean[usable] / train.mean[usable]
    size = float(np.median(mean))
    grown = f"{label} responses are {size:.3g} times as large as training responses"
    ask = "are both in the same unit (spikes/bin, spikes/s)? Give all responses in one"
    ours, theirs = train.step[usable], other.step[usable]
    stepped = (ours > 0) & (theirs > 0)
    if (factor := _common(theirs[stepped] / ours[stepped])) > 0:
        if not 1 / _SAME < factor < _SAME:
            steps = f"come in steps of {_common(theirs[stepped]) or np.median(theirs[stepped]):.3g}, training responses"
            told = f"{label} responses {steps} in steps of {np.median(ours[stepped]):.3g}"
            if abs(np.log(size / factor)) < abs(np.log(size)):
                yield PROBLEM, f"{grown} and {told}; {ask}"
            else:
                yield LOOK, f"{told}; are they in another unit, or means over trials?"
    elif (one_sided := ((ours > 0) & (theirs == 0)) | ((ours == 0) & (theirs > 0))).mean() > _NEARLY_ALL:
        which = (label, "training") if (ours[one_sided] > 0).mean() < 0.5 else ("training", label)
        yield LOOK, f"{which[0]} responses come in steps, {which[1]} responses do not; were they made in the same way?"
    else:
        noise = (other.noise[usable] / other.mean[usable]) / np.maximum(train.noise[usable] / train.mean[usable], 1e-30)
        sign = np.sign(np.log(size))
        sure = np.quantile(sign * np.log(mean), 1 - _NEARLY_ALL) > np.log(_GROWN)
        if sure and np.median(sign * np.log(np.maximum(noise, 1e-30))) > np.log(_GROWN) / 2:
            yield LOOK, f"{grown}, and so is their noise; {ask}"


def _signed(train: Scales, other: Scales, label: str) -> Iterator[tuple[str, str]]:
    """Responses around 0, whose size is that of their noise."""
    usable = (train.noise > 0) & (other.noise > 0)
    if usable.any():
        size = np.log(other.noise[usable] / train.noise[usable]) / 2
        if np.quantile(np.sign(np.median(size)) * size, 1 - _NEARLY_ALL) > np.log(_GROWN):
            yield (
                LOOK,
                f"{label} responses change by {np.exp(np.median(size)):.3g} times as much from bin to bin as training "
                "responses; are both in the same unit? Give all responses in one",
            )


def _labelled(recording: Recording, step: float) -> Iterator[tuple[str, str]]:
    if recording.unit == _COUNTS and not 1 / _SAME < step < _SAME:
        yield LOOK, f"responses come in steps of {step:.3g} and are said to be {_COUNTS}, which come in steps of 1"


def _between(recordings: Mapping[str, Recording], steps: Mapping[str, float]) -> Iterator[Finding]:
    by_step: dict[tuple[str, float], list[str]] = {}
    for session, step in steps.items():
        by_step.setdefault((recordings[session].unit, round(step, 3)), []).append(session)
    for unit in {unit for unit, _ in by_step}:
        found = {step: names for (one, step), names in by_step.items() if one == unit}
        if len(found) > 1 and max(found) > _SAME * min(found):
            told = "; ".join(f"of {step:g} in {some('session', names, 2)}" for step, names in found.items())
            first = next(iter(found.values()))[0]
            yield Finding(
                CHECK, LOOK, first, f"responses in {unit} come in different steps ({told}); are they one unit?"
            )
