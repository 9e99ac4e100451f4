"""Everything that can be wrong with recordings before a model is fitted, in one table."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from itertools import groupby
from numbers import Real

import numpy as np
import pandas as pd

from retina_nb.arrays import as_count, as_number, as_seed, describe
from retina_nb.errors import UserError
from retina_nb.quality.alignment import judge_timing
from retina_nb.quality.cells import judge_cells, judge_reliability, neuron_quality
from retina_nb.quality.copies import find_copies
from retina_nb.quality.drift import Drift, judge_drift, measure_drift
from retina_nb.quality.findings import PROBLEM, SEVERITIES, Finding, count
from retina_nb.quality.fingerprints import Watched, watch
from retina_nb.quality.layout import judge_agreement, judge_layout
from retina_nb.quality.regression import features_at
from retina_nb.quality.timing import Timing, measure_timing
from retina_nb.quality.units import judge_units
from retina_nb.recording import SPLITS, UNUSED, Recording, by_name
from retina_nb.representations import as_html, one_line

_MOST_TOLD = 3  # findings of one check and severity in a summary


@one_line
@dataclass(frozen=True)
class Audit:
    """What `audit` found, and what it measured on the way.

    Args:
        findings: the worst first.
        sessions: a row each: size, rate, latency (s), shifts of the splits (bins), change over the session.
        neurons: a row each: see `neuron_quality`, with ``latency`` (s) and ``change`` over the session.
        copies: a row for each stretch of one split that is in another.
        timing: for each session, how much the stimulus at each ``lag`` (s) counts (``curve`` is ``"weights"``), and how
            well responses correlate with what is expected a ``lag`` before (``curve`` is a split).
        drift: for each session, responses over time, relative to their mean.
    """

    findings: tuple[Finding, ...]
    sessions: pd.DataFrame
    neurons: pd.DataFrame
    copies: pd.DataFrame
    timing: pd.DataFrame
    drift: pd.DataFrame

    @property
    def problems(self) -> tuple[Finding, ...]:
        """The findings that make results wrong."""
        return tuple(finding for finding in self.findings if finding.severity == PROBLEM)

    def to_dataframe(self) -> pd.DataFrame:
        """The findings, a row each: ``severity``, ``check``, ``session``, ``message``."""
        return pd.DataFrame(self.findings)[["severity", "check", "session", "message"]]

    def summary(self) -> str:
        """The findings as text, the worst first."""
        counts = [f"{sum(one.severity == severity for one in self.findings)} {severity}" for severity in SEVERITIES]
        size = f"{count(len(self.sessions), 'session')}, {count(len(self.neurons), 'neuron')}"
        lines = [f"audit of {size}: " + ", ".join(counts)]
        for (severity, check), group in groupby(self.findings, lambda one: (one.severity, one.check)):
            messages = [finding.message for finding in group]
            if len(messages) > _MOST_TOLD:
                messages[_MOST_TOLD - 1 :] = [f"... and {len(messages) - _MOST_TOLD + 1} more, see to_dataframe()"]
            lines += [f"  {severity:<10}  {check:<11}  {message}" for message in messages]
        return "\n".join(lines)

    __str__ = summary
    _repr_html_ = as_html(summary)

    def _in_words(self) -> str:
        counts = (f"{sum(one.severity == severity for one in self.findings)} {severity}" for severity in SEVERITIES)
        return ", ".join([count(len(self.sessions), "session"), count(len(self.neurons), "neuron"), *counts])


def audit(
    recordings: Recording | Mapping[str, Recording],
    *,
    history: float = 1.0,
    clip: float = 1.0,
    expected_latency: float | None = None,
    max_frames: int = 50_000,
    level: float = 0.95,
    seed: int = 0,
) -> Audit:
    """Check recordings for what would make a model's scores wrong, before one is fitted.

    Whether sessions agree; whether the stimulus is normalised; whether all responses are in one unit; splits, repeats
    and histories; copies of frames and clips in several splits, exact and near; whether responses follow the stimulus
    by a plausible latency that is the same in all sessions, splits and trials and at all times; cells that never
    respond, and copies; drift; reliability.

    A shift of one bin, of a session or of its test, is found with a dozen cells and half a minute of test. With few
    cells, or responses that no linear filter predicts, it may not be; fewer than five cells never make a problem of
    timing. A shift of all responses of all sessions is found only if they come before the stimulus, by an unusual
    latency, or if `expected_latency` is given.

    Args:
        recordings: sessions by name, or one session.
        history: how far models look back (s).
        clip: copies of so many seconds and more are clips. (Shorter ones may be nearly alike by chance, as full-field
            flicker is.)
        expected_latency: of the responses behind the stimulus that drives them, from frame to bin (s), if it is known.
        max_frames: of a movie with more frames only so many are looked at, which bounds time and memory.
        level: of the confidence intervals.
        seed: of the bootstraps.

    Raises:
        UserError: if there is no recording, or a setting is not possible.

    Example:
        >>> import retina_nb as rnb
        >>> recordings = rnb.load_recordings("simulated", sessions=2, cells_per_session=12, size=(13, 15))
        >>> rnb.audit(recordings).problems
        ()
    """
    recordings = by_name(recordings)
    for name, value in {"history": history, "clip": clip}.items():
        if not isinstance(value, Real) or not 0 < value < 1e6:
            raise UserError(f"{name} must be more than 0 seconds, not {describe(value)}")
    max_frames, seed = as_count(max_frames, "max_frames", least=2), as_seed(seed)
    if expected_latency is not None:
        expected_latency = as_number(expected_latency, "expected_latency", "s", least=-10, most=10)
    tables = [neuron_quality(one, level=level, seed=seed).assign(session=name) for name, one in recordings.items()]
    neurons = pd.concat(tables, ignore_index=True)
    usable = {name: _finite(recording) for name, recording in recordings.items()}
    features = min(features_at(one.rate, one.movie.frame_shape[0]) for one in recordings.values())
    watched = watch(usable, max_frames, features)
    timings = measure_timing(watched, level, seed)
    drifts = {name: measure_drift(recording) for name, recording in usable.items()}
    copied, copies = find_copies(watched, clip)
    findings = [
        *judge_agreement(recordings),
        *judge_layout(watched, history),
        *judge_units(usable),
        *copied,
        *judge_timing(usable, timings, expected_latency),
        *judge_cells(recordings, neurons),
        *judge_reliability(recordings, neurons),
        *judge_drift(usable, drifts, level=level, seed=seed),
    ]
    findings.sort(key=lambda finding: SEVERITIES.index(finding.severity))
    return Audit(
        findings=tuple(findings),
        sessions=pd.DataFrame([_session(name, one, timings.get(name), drifts[name]) for name, one in watched.items()]),
        neurons=neurons.assign(
            latency=np.concatenate([_latencies(one, timings.get(name)) for name, one in usable.items()]),
            change=np.concatenate([drift.change for drift in drifts.values()]),
        ),
        copies=copies,
        timing=_curves(timings, usable),
        drift=pd.concat([drift.course.assign(session=name) for name, drift in drifts.items()], ignore_index=True),
    )


def _finite(recording: Recording) -> Recording:
    """With 0 for what is not finite, which cannot be measured."""
    if np.isfinite([recording.responses.min(), recording.responses.max()]).all():
        return recording
    return replace(recording, responses=np.nan_to_num(recording.responses, nan=0.0, posinf=0.0, neginf=0.0))


def _session(name: str, one: Watched, timing: Timing | None, drift: Drift) -> dict[str, object]:
    recording = one.recording
    latency = (np.nan,) * 3 if timing is None else timing.latency
    shifts = {} if timing is None else {name: shift.bins for name, shift in timing.shifts.items()}
    changes = drift.change[np.isfinite(drift.change)]
    return {
        "session": name,
        "neurons": recording.n_neurons,
        "rate": recording.rate,
        **{f"{label}_minutes": (recording.split == label).sum() / recording.rate / 60 for label in SPLITS},
        "unused": float((recording.split == UNUSED).mean()),
        "onsets": len(recording.onsets),
        "trials": max((len(bins) for bins in recording.repeats.values()), default=0),
        "stimulus_mean": one.prints.mean,
        "stimulus_std": one.prints.std,
        **dict(zip(("latency", "latency_low", "latency_high"), latency, strict=True)),
        "validation_shift": shifts.get("validation", np.nan),
        "test_shift": shifts.get("test", np.nan),
        "slip": shifts.get("late", np.nan) - shifts.get("early", np.nan),
        "change": float(np.median(changes)) if len(changes) else np.nan,
    }


def _latencies(recording: Recording, timing: Timing | None) -> np.ndarray:
    return np.full(recording.n_neurons, np.nan) if timing is None else timing.latencies


def _curves(timings: Mapping[str, Timing], recordings: Mapping[str, Recording]) -> pd.DataFrame:
    """What `Audit.timing` has."""
    tables = []
    for session, timing in timings.items():
        curves = {"weights": (timing.lags, timing.weights)}
        for name, shift in timing.shifts.items():
            curves[name] = (shift.shifts / recordings[session].rate, shift.correlation)
        for curve, (lag, value) in curves.items():
            tables.append(pd.DataFrame({"session": session, "curve": curve, "lag": lag, "value": value}))
    columns = ["session", "curve", "lag", "value"]
    return pd.concat(tables, ignore_index=True) if tables else pd.DataFrame(columns=columns)
