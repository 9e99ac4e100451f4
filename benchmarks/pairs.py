"""Two packages doing the same work in one process: first that results agree, then how long each takes, in turn."""

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import torch

from benchmarks.machine import busy_seconds, wait_until_quiet

LIMIT = 1e-4  # the largest difference of results, as a share of their largest number, with which times are told
_LEAST_S = 0.3  # shorter work is repeated until it takes so long, or the clock and a cold cache would be measured

Results = Mapping[str, Any]  # numbers, arrays or tensors by name
# Does the work and gives the results, or something that makes them of what is there, which is not timed.
Call = Callable[[], Results | Callable[[], Results]]


class Refused(Exception):
    """Results that differ: their times say nothing."""


@dataclass(frozen=True)
class Options:
    """How to measure.

    Args:
        quick: less work, so that all benchmarks together take less than 15 minutes on two cores.
        repetitions: how often each side is timed.
        budget_s: of slow work there are two repetitions, and more only until so much time has gone.
        wait_s: longest wait for a quiet machine before each.
        device: where both compute.
        folder: for checkpoints and data.
    """

    quick: bool = False
    repetitions: int = 5
    budget_s: float = math.inf
    wait_s: float = 120.0
    device: str = "cpu"
    folder: Path = Path("runs/bench")


@dataclass(frozen=True)
class Pair:
    """The same work by both.

    Args:
        work: what it is, in a few words.
        ours, peer: do it and give the results; their first calls are compared.
        reference: the first results in float64, asked for if those of both differ.
        ours_units, peer_units: how much work each call does, e.g. a number of cells; times are for one unit.
    """

    work: str
    ours: Call
    peer: Call
    reference: Callable[[], Results] | None = None
    ours_units: float = 1.0
    peer_units: float = 1.0


@dataclass(frozen=True)
class Measurement:
    """What the same work took, for each unit of it; a pair of numbers for each repetition.

    Args:
        difference: of the results; a share of their largest number.
        unit: of the numbers.
        others: cores that others used meanwhile, for each repetition.
        notes: anything to know about the numbers.
    """

    work: str
    ours: list[float]
    peer: list[float]
    difference: float
    unit: str = "s"
    others: list[float] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    @property
    def ratios(self) -> list[float]:
        """How many times less we took, for each pair."""
        return [peer / ours for ours, peer in zip(self.ours, self.peer, strict=True)]

    @property
    def ratio(self) -> float:
        return median(self.ratios)


def measure(pair: Pair, options: Options) -> Measurement:
    """Compare the results of both, then time both in turn; who is first changes every time.

    Raises:
        Refused: if results differ.
    """
    clock = _Clock(options)
    calls = {"ours": pair.ours, "peer": pair.peer}
    units = {"ours": pair.ours_units, "peer": pair.peer_units}
    first = {who: clock.once(call) for who, call in calls.items()}
    largest, notes = compare(*(found for _, found in first.values()), pair.reference)
    times: dict[str, list[float]] = {"ours": [], "peer": []}
    others = []
    repeats = {who: clock.repeats(calls[who], seconds) for who, (seconds, _) in first.items()}
    started = time.perf_counter()
    for repetition in range(options.repetitions):
        if repetition > 1 and time.perf_counter() - started > options.budget_s:
            break
        busy = []
        for who in ("ours", "peer") if repetition % 2 else ("peer", "ours"):
            seconds, used = clock.timed(calls[who], repeats[who])
            times[who].append(seconds / units[who])
            busy.append(used)
        others.append(max(busy))
    return Measurement(pair.work, times["ours"], times["peer"], largest, others=others, notes=notes)


def compare(ours: Results, peer: Results, reference: Callable[[], Results] | None = None) -> tuple[float, list[str]]:
    """The largest difference of results, and what to know of it.

    If both differ, and a reference in float64 says that it is the peer that is wrong, ours is compared with that.

    Raises:
        Refused: if they differ by more than `LIMIT`.
    """
    found = difference(ours, peer)
    if found <= LIMIT:
        return found, []
    if reference is None:
        raise Refused(f"results differ by {found:.1e} of the largest number, {LIMIT:.0e} is allowed")
    exact = reference()
    mine, theirs = difference(ours, exact), difference(peer, exact)
    if mine > LIMIT or theirs <= LIMIT:
        raise Refused(f"results differ by {found:.1e}; from float64 ours by {mine:.1e}, openretina's by {theirs:.1e}")
    return mine, [f"compared with float64, from which openretina's results differ by {theirs:.1e}"]


def difference(results: Results, expected: Results) -> float:
    """The largest difference between arrays of the same name, as a share of that array's largest number."""
    if set(results) != set(expected):
        raise Refused(f"results have other names: {sorted(set(results) ^ set(expected))}")
    return max(_difference(_array(results[name]), _array(value)) for name, value in expected.items())


def _difference(one: np.ndarray, other: np.ndarray) -> float:
    if one.shape != other.shape:
        raise Refused(f"results have other shapes: {one.shape} and {other.shape}")
    apart = float(np.abs(one - other).max() / max(np.abs(other).max(), 1e-30))
    return apart if math.isfinite(apart) else math.inf


def _array(value: Any) -> np.ndarray:
    value = value.detach().cpu().numpy() if isinstance(value, torch.Tensor) else value
    return np.array(value, dtype=np.float64)


class _Clock:
    def __init__(self, options: Options) -> None:
        self._wait_s = options.wait_s
        self._synchronize = torch.cuda.synchronize if options.device.startswith("cuda") else lambda: None

    def once(self, call: Call) -> tuple[float, dict[str, np.ndarray]]:
        """Seconds, and a copy of the results."""
        started = time.perf_counter()
        found = call()
        self._synchronize()
        seconds = time.perf_counter() - started
        return seconds, {name: _array(value) for name, value in (found() if callable(found) else found).items()}

    def repeats(self, call: Call, seconds: float) -> int:
        """How often to call in one repetition."""
        if seconds < _LEAST_S:
            seconds, _ = self.once(call)  # the first call had things to set up
        return max(1, math.ceil(_LEAST_S / max(seconds, 1e-4)))

    def timed(self, call: Call, repeats: int) -> tuple[float, float]:
        """Seconds of a call in a quiet moment, and how many cores others used meanwhile."""
        wait_until_quiet(self._wait_s)
        if repeats > 1:
            call()  # wakes the threads up
            self._synchronize()
        busy, cpu, started = busy_seconds(), time.process_time(), time.perf_counter()
        for _ in range(repeats):
            call()
        self._synchronize()
        seconds = time.perf_counter() - started
        others = max(0.0, (busy_seconds() - busy - (time.process_time() - cpu)) / seconds)
        return seconds / repeats, round(others, 2)
