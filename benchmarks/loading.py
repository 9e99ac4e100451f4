"""How long until a model can be trained on Höfling 2024, and how much memory it takes, in processes of their own.

A dataset of the published size and layout is loaded up to the first training batch (`benchmarks.load_once`). Memory is
the peak of the process, without what was there after the imports.

In high resolution openretina needs more memory than many machines have. It makes two copies of the movie for each
order of the clips: if all 20 do not fit, it is measured with fewer orders, and what they would take is a line through
these. The notes say so.
"""

import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from benchmarks.load_once import MOVIES, RESPONSES
from benchmarks.machine import available_mb, measured
from benchmarks.pairs import Measurement, Options, Refused
from benchmarks.synthetic_hoefling import write_hoefling

ORDERS = 20
_FEWER = (2, 6)  # orders with which a peer that does not fit is measured
_SPARE_MB = 1500  # left to others on this machine

Run = dict[str, Any]
KINDS: dict[str, tuple[str, Callable[[Run], float]]] = {
    "first_batch": ("s", lambda run: run["seconds"]),
    "load_memory": ("MB", lambda run: run["peak_mb"] - run["imported_mb"]),
}


def measure(name: str, options: Options) -> Measurement:
    """Seconds until the first batch, or memory, in low resolution; in high resolution with the suffix ``_high_res``."""
    kind, resolution = name.removesuffix("_high_res"), "high" if name.endswith("_high_res") else "low"
    folder = write_hoefling(options.folder / "hoefling_2024", resolution)
    runs: list[Run] = []
    orders: tuple[int, ...] = (ORDERS,)
    for _ in range(min(options.repetitions, 2) if options.quick else options.repetitions):
        runs.append(_run(folder, resolution, "ours", ORDERS, options))
        for number in orders:
            runs.append(_run(folder, resolution, "peer", number, options))
            if "failed" in runs[-1] and orders == (ORDERS,):
                orders = _FEWER  # it was stopped before the machine was out of memory
                runs += [_run(folder, resolution, "peer", fewer, options) for fewer in orders]
    mine = [run for run in runs if run["who"] == "ours"]
    failed = [run["failed"] for run in mine if "failed" in run]
    if failed:
        raise Refused(f"loading failed: {failed[0]}")
    theirs, notes = _whole_peer([run for run in runs if run["who"] == "peer"])
    unit, value = KINDS[kind]
    apart = max(abs(a["neurons"] - b["neurons"]) / b["neurons"] for a, b in zip(mine, theirs, strict=True))
    if apart:
        raise Refused("other neurons were loaded")
    one = mine[0]
    if kind == "load_memory":
        notes.append(
            f"one movie and the responses are {one['movie_mb'] + one['responses_mb']:.0f} MB; with imports "
            f"{one['peak_mb']:.0f} MB, openretina {theirs[0]['peak_mb']:.0f} MB"
        )
    work = f"{one['sessions']} sessions, {one['neurons']} cells, {resolution} resolution"
    others = [run["others"] for run in runs]
    return Measurement(work, [*map(value, mine)], [*map(value, theirs)], apart, unit, others, notes)


def _run(folder: Path, resolution: str, who: str, orders: int, options: Options) -> Run:
    for path in (folder / MOVIES[resolution], folder / RESPONSES):  # both read from the page cache
        with open(path, "rb", buffering=0) as file:
            while file.read(2**24):
                pass
    command = [sys.executable, "-m", "benchmarks.load_once", who, str(folder), resolution, str(orders)]
    run = measured(command, wait_s=options.wait_s, most_mb=max(available_mb() - _SPARE_MB, 1000))
    return {"who": who, "orders": orders} | run


def _whole_peer(runs: Sequence[Run]) -> tuple[list[Run], list[str]]:
    """Runs of the peer with all orders, measured or, if they failed, on a line through those with fewer."""
    whole = [run for run in runs if run["orders"] == ORDERS]
    failed = [run["failed"] for run in whole if "failed" in run]
    if not failed:
        return whole, []
    few, more = ([run for run in runs if run["orders"] == n and "failed" not in run] for n in _FEWER)
    if not few or len(few) != len(more):
        raise Refused(f"openretina could not be run: {failed[0]}")
    step = (ORDERS - _FEWER[0]) / (_FEWER[1] - _FEWER[0])
    lines = [
        a | {key: a[key] + step * (b[key] - a[key]) for key in ("seconds", "peak_mb", "imported_mb")}
        for a, b in zip(few, more, strict=True)
    ]
    note = (
        f"openretina could NOT be run with all {ORDERS} orders, there is too little memory here ({failed[0]}): its "
        f"numbers are a straight line through runs with {_FEWER[0]} and {_FEWER[1]} orders"
    )
    return lines, [note]
