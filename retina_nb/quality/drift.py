"""Whether cells respond at the end of a session as they did at its start."""

from collections.abc import Iterator, Mapping
from typing import NamedTuple

import numpy as np
import pandas as pd
from jaxtyping import Float

from retina_nb.quality.cells import most_repeated
from retina_nb.quality.findings import FINE, LOOK, PROBLEM, Finding
from retina_nb.recording import Recording
from retina_nb.representations import one_line

CHECK = "drift"

_STRETCHES = 20  # of a session, for each of which there is a mean response
_SAMPLES = 500  # of the bootstrap over neurons
_CHANGED, _LOST = 1.25, 2.0  # factors by which responses may change until it is looked at, and is a problem
_FEWEST_CELLS = 5  # that can change together by chance
_FEWEST = 6  # trials from which it can be told that a single neuron changes
_SURE = 3.0  # standard errors of a neuron's change
_MANY = 0.2  # part of the neurons that may change by `_LOST`


@one_line
class Drift(NamedTuple):
    """How responses change over a session.

    Args:
        course: table of ``minute``; ``kind``, ``"all bins"`` or ``"trials"``; and ``relative``, the median
            over neurons of the mean response in this stretch or trial over that in all of them.
        change: of each neuron, mean response in the last third of the trials over that in the first; where nothing is
            repeated, of the session. NaN if it did not respond.
        sure: whether each change is more than trials differ anyway.
    """

    course: pd.DataFrame
    change: Float[np.ndarray, " neuron"]
    sure: np.ndarray


def measure_drift(recording: Recording) -> Drift:
    """Measure the change of the responses; where they may be negative, that of their standard deviation."""
    stretches = np.array_split(np.arange(len(recording)), min(_STRETCHES, len(recording)))
    name = most_repeated(recording)
    parts = {"all bins": stretches} | ({} if name is None else {"trials": list(recording.repeats[name])})
    sizes = {kind: _sizes(recording, bins) for kind, bins in parts.items()}
    course = pd.concat(
        [
            pd.DataFrame(
                {
                    "minute": [part.mean() / recording.rate / 60 for part in bins],
                    "kind": kind,
                    "relative": np.median(_relative(sizes[kind]), axis=1),
                }
            )
            for kind, bins in parts.items()
        ],
        ignore_index=True,
    )
    compared = sizes["all bins" if name is None else "trials"]
    third = -(-len(compared) // 3)
    first, last = compared[:third].mean(axis=0), compared[-third:].mean(axis=0)
    change = np.where(first > 0, last / np.where(first > 0, first, 1), np.where(last > 0, np.inf, np.nan))
    error = np.sqrt(2 / third) * np.diff(compared, axis=0).std(axis=0) / np.sqrt(2)
    sure = (name is not None) & (len(compared) >= _FEWEST) & (abs(last - first) > _SURE * error)
    return Drift(course, change, sure)


def judge_drift(
    recordings: Mapping[str, Recording], drifts: Mapping[str, Drift], *, level: float, seed: int
) -> list[Finding]:
    """Findings about sessions whose responses grow or shrink."""
    findings = [
        Finding(CHECK, severity, session, f"session {session}: {message}")
        for session, drift in drifts.items()
        for severity, message in _judge(recordings[session], drift, level, seed)
    ]
    changes = np.concatenate([drift.change for drift in drifts.values()])
    if not findings and np.isfinite(changes).any():
        middle = np.median(changes[np.isfinite(changes)])
        findings.append(Finding(CHECK, FINE, "", f"responses stay at {middle:.2f} of their size over the sessions"))
    return findings


def _judge(recording: Recording, drift: Drift, level: float, seed: int) -> Iterator[tuple[str, str]]:
    known = np.log(drift.change[np.isfinite(drift.change) & (drift.change > 0)])
    if not len(known) or (len(known) < _FEWEST_CELLS and not drift.sure.all()):
        return
    name = most_repeated(recording)
    what = "in all bins" if name is None else f"to the trials of {name!r}"
    drawn = np.random.default_rng(seed).integers(len(known), size=(_SAMPLES, len(known)))
    low, high = np.quantile(np.median(known[drawn], axis=1), [(1 - level) / 2, (1 + level) / 2])
    least = max(low, -high)  # logarithm of the factor by which they change for sure
    if least > np.log(_LOST if name is None else _CHANGED):
        yield (
            PROBLEM if name is not None and least > np.log(_LOST) and len(known) >= _FEWEST_CELLS else LOOK,
            f"responses {what} {'grow' if low > 0 else 'shrink'} to {np.exp(np.median(known)):.2f} of their size from "
            "the first to the last third; look at them over time, and leave out bins in which cells are lost",
        )
    elif (lost := drift.sure & (abs(np.log(np.maximum(drift.change, 1e-9))) > np.log(_LOST))).mean() > _MANY:
        yield LOOK, f"{lost.sum()} of {len(lost)} neurons lose or gain half of their responses {what}; are they lost?"


def _sizes(recording: Recording, parts: list[np.ndarray]) -> Float[np.ndarray, "part neuron"]:
    size = np.std if recording.signed else np.mean
    return np.stack([size(recording.responses[bins], axis=0, dtype=np.float64) for bins in parts])


def _relative(sizes: Float[np.ndarray, "part neuron"]) -> Float[np.ndarray, "part responding"]:
    """Sizes over their means, without neurons that have none."""
    responding = sizes.mean(axis=0) > 0
    return sizes[:, responding] / sizes[:, responding].mean(axis=0) if responding.any() else np.ones((len(sizes), 1))
