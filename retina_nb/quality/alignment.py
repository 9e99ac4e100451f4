"""What the timing of sessions says about how they were aligned."""

from collections.abc import Iterator, Mapping

import numpy as np

from retina_nb.quality.findings import FINE, LOOK, PROBLEM, Finding, some
from retina_nb.quality.shifts import LEAST, Shift
from retina_nb.quality.timing import SLOWEST, Timing
from retina_nb.recording import Recording

CHECK = "timing"

_PLAUSIBLE = (0.015, 0.3)  # latencies (s) of ganglion cells
_BIOLOGY = 0.025  # latencies (s) by which retinas may differ: temperature, light, cells
_FEWEST_CELLS = 5  # fewer may be late by chance, or by nature


def judge_timing(
    recordings: Mapping[str, Recording], timings: Mapping[str, Timing], expected_latency: float | None
) -> list[Finding]:
    """Findings about latencies, shifts between splits, trials and times."""
    findings = []
    for session, timing in timings.items():
        rate = recordings[session].rate
        others = [timings[name].latency[0] for name in timings if name != session]
        many = recordings[session].n_neurons >= _FEWEST_CELLS
        findings += [
            Finding(CHECK, severity if many else LOOK, session, f"session {session}: {message}")
            for severity, message in (
                *_latency(timing, rate),
                *_against_expected(timing, rate, expected_latency),
                *_splits(timing, rate),
                *(_against_others(timing, rate, others) if many else ()),
                *(_trials(timing) if many else ()),
            )
        ]
    if untold := [name for name in recordings if name not in timings]:
        slow = all(recordings[name].rate < SLOWEST for name in untold)
        reason = "bins are longer than latencies" if slow else "too few training bins have a whole history for it"
        findings.append(
            Finding(
                CHECK, FINE if slow else LOOK, untold[0], f"{some('session', untold)}: no latency is told, {reason}"
            )
        )
    if timings and not any(finding.severity != FINE for finding in findings):
        latency = 1000 * float(np.median([timing.latency[0] for timing in timings.values()]))
        findings.insert(0, Finding(CHECK, FINE, "", f"responses follow the stimulus by {latency:.0f} ms in all splits"))
    return findings


def _latency(timing: Timing, rate: float) -> Iterator[tuple[str, str]]:
    latency, _, high = timing.latency
    if np.isnan(latency):
        yield (
            LOOK,
            "the stimulus hardly predicts the responses, so that no latency is told; are they in the same order?",
        )
    elif high < 0:
        yield (
            PROBLEM,
            f"responses come {-latency * rate:.1f} bins ({-1000 * latency:.0f} ms) before the stimulus that predicts "
            "them best; shift them",
        )
    elif not _PLAUSIBLE[0] < latency < _PLAUSIBLE[1]:
        yield (
            LOOK,
            f"responses follow the stimulus by {1000 * latency:.0f} ms ({latency * rate:.1f} bins), which is unusual "
            "for ganglion cells; check the rate and the alignment",
        )


def _against_expected(timing: Timing, rate: float, expected: float | None) -> Iterator[tuple[str, str]]:
    if expected is not None and _differs(timing, expected, rate):
        bins = (timing.latency[0] - expected) * rate
        yield (
            PROBLEM,
            f"responses follow the stimulus by {1000 * timing.latency[0]:.0f} ms, {abs(bins):.1f} bins "
            f"{'more' if bins > 0 else 'less'} than the {1000 * expected:.0f} ms that are expected; shift them",
        )


def _against_others(timing: Timing, rate: float, others: list[float]) -> Iterator[tuple[str, str]]:
    told = [latency for latency in others if not np.isnan(latency)]
    if not told:
        return
    usual = float(np.median(told))
    if _differs(timing, usual, rate):
        later = timing.latency[0] - usual
        yield (
            PROBLEM if abs(later) >= _BIOLOGY else LOOK,
            f"responses come {abs(later) * rate:.1f} bins ({1000 * abs(later):.0f} ms) "
            f"{'later' if later > 0 else 'earlier'} than in other sessions ({1000 * usual:.0f} ms after the stimulus); "
            "check how it was aligned",
        )


def _differs(timing: Timing, latency: float, rate: float) -> bool:
    found, low, high = timing.latency
    return bool(abs(found - latency) * rate > LEAST and not low <= latency <= high)


def _splits(timing: Timing, rate: float) -> Iterator[tuple[str, str]]:
    for name, shift in timing.shifts.items():
        if name in ("validation", "test") and shift.found:
            yield (
                PROBLEM,
                f"{name} responses come {_bins(shift)} than training responses to the same stimulus would; check how "
                "their first bin was found",
            )
    if "early" in timing.shifts and "late" in timing.shifts:
        early, late = timing.shifts["early"], timing.shifts["late"]
        slip = late.bins - early.bins
        if abs(slip) > LEAST and max(late.low - early.high, early.low - late.high) > LEAST / 2:
            yield (
                PROBLEM,
                f"responses slip by {abs(slip):.1f} bins ({1000 * abs(slip) / rate:.0f} ms) from the first to the last "
                "third of the session; check for dropped frames, and the rates of stimulus and responses",
            )


def _trials(timing: Timing) -> Iterator[tuple[str, str]]:
    for name, shifts in timing.trials.items():
        if moved := [trial for trial, shift in enumerate(shifts) if shift.found]:
            yield (
                PROBLEM,
                f"trial {moved[0]} of repeats[{name!r}] comes {_bins(shifts[moved[0]])} than the others"
                + (f", and so do {len(moved) - 1} more" if len(moved) > 1 else "")
                + "; check the first bin of each trial",
            )


def _bins(shift: Shift) -> str:
    return f"{abs(shift.bins):.1f} bins {'later' if shift.bins > 0 else 'earlier'}"
