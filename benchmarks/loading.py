"""How long until a model can be trained on Höfling 2024, and how much memory it takes, beside openretina 1.1.1.

``python -m benchmarks.loading --peer PYTHON`` makes a dataset of the published size, has it loaded up to the first
training batch by either package, in processes of their own, in turn and in quiet moments, and prints a table and
writes JSON: ``ratios`` (how many times less we need; medians of pairs), their ``spread`` (least and largest pair), and
everything that was measured. Memory is told with and without (``net``) what was imported before. Second,
the memory of movies that are drawn where they are looked at, at two lengths (`benchmarks.lazy_movies`).

In high resolution openretina needs more memory than many machines have. It makes two copies of the movie for each
order of the clips: if all 20 do not fit, it is measured with fewer orders, and what they would take is a line through
these. The table says so.
"""

import argparse
import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks import lazy_movies
from benchmarks.load_once import MOVIES, RESPONSES
from benchmarks.machine import available_mb, describe, measured
from benchmarks.synthetic_hoefling import SIZES, write_hoefling
from retina_nb.files import replace_file

ORDERS = 20
_FEWER = (2, 6)  # orders with which a peer that does not fit is measured
_SPARE_MB = 1500  # left to others on this machine
_BUSY = 0.3  # cores that others use, above which a time counts as disturbed

Run = dict[str, Any]


def main(arguments: Sequence[str] | None = None) -> None:
    options = _options(arguments)
    repetitions, wait_s = (2, 10.0) if options.quick else (options.repetitions, options.wait)
    resolutions = list(SIZES) if options.resolution is None else [options.resolution]
    report: dict[str, Any] = {"ratios": {}, "spread": {}, "machine": describe(), "runs": {}, "notes": []}
    for resolution in resolutions[:1] if options.quick else resolutions:
        print(f"{resolution} resolution: writing or finding the dataset in {options.folder}", flush=True)
        folder = write_hoefling(options.folder / "hoefling_2024", resolution)
        runs = _compare(folder, resolution, options.peer, repetitions, wait_s)
        report["runs"][resolution] = runs
        summary = summarise(runs)
        print(table(resolution, runs, summary), flush=True)
        suffix = "" if resolution == "low" else f"_{resolution}"
        for kind in ("ratios", "spread"):
            report[kind] |= {f"{name}{suffix}": value for name, value in summary[kind].items()}
        report.setdefault("peak_over_movie_and_responses", {})[resolution] = summary["peak_over_movie_and_responses"]
        report["notes"] += [f"{resolution}: {note}" for note in summary["notes"]]
    if not options.quick:
        report["lazy_movies"] = lazy_movies.measure(options.folder, wait_s)
        print(lazy_table(report["lazy_movies"]))
    with replace_file(options.output) as temporary:
        temporary.write_text(json.dumps(report, indent=1))
    print(f"written to {options.output}")


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.loading", description=__doc__.split("\n\n")[0])
    parser.add_argument("--resolution", choices=list(SIZES), help="one of them; by default both")
    parser.add_argument("--peer", help="the Python that has openretina 1.1.1; without it only ours is measured")
    parser.add_argument("--folder", type=Path, default=Path("runs/bench/data"), help="where the datasets are kept")
    parser.add_argument("--output", type=Path, default=Path("runs/bench/loading.json"), help="the JSON")
    parser.add_argument("--repetitions", type=int, default=5)
    parser.add_argument("--wait", type=float, default=120.0, help="longest wait for a quiet machine (s)")
    parser.add_argument("--quick", action="store_true", help="two repetitions in low resolution, no long waiting")
    return parser.parse_args(arguments)


def _compare(folder: Path, resolution: str, peer: str | None, repetitions: int, wait_s: float) -> list[Run]:
    """Runs of both, in turn."""
    runs: list[Run] = []
    orders: tuple[int, ...] = (ORDERS,)
    for _ in range(repetitions):
        runs.append(_run(folder, resolution, sys.executable, "ours", ORDERS, wait_s))
        for number in orders if peer else ():
            run = _run(folder, resolution, str(peer), "peer", number, wait_s)
            runs.append(run)
            if "failed" in run and orders == (ORDERS,):
                orders = _FEWER  # it was stopped before the machine was out of memory
                runs += [_run(folder, resolution, str(peer), "peer", fewer, wait_s) for fewer in orders]
    return runs


def _run(folder: Path, resolution: str, python: str, who: str, orders: int, wait_s: float) -> Run:
    for path in (folder / MOVIES[resolution], folder / RESPONSES):  # both read from the page cache
        with open(path, "rb", buffering=0) as file:
            while file.read(2**24):
                pass
    ours = ["-m", "benchmarks.load_once"]
    script = ours if who == "ours" else [str(Path(__file__).with_name("load_once.py"))]
    command = [python, *script, who, str(folder), resolution, str(orders)]
    run = measured(command, wait_s=wait_s, most_mb=max(available_mb() - _SPARE_MB, 1000))
    said = run.get("failed") or f"{run['seconds']:.1f} s, {run['peak_mb']:.0f} MB, others {run['others']:.1f} cores"
    print(f"  {who}{'' if orders == ORDERS else f', {orders} orders'}: {said}", flush=True)
    return {"who": who, "orders": orders} | run


def summarise(runs: Sequence[Run]) -> dict[str, Any]:
    """Ratios of the peer to ours by repetition, our memory beside what has to be there, and what to know of them."""
    mine = [run for run in runs if run["who"] == "ours" and "failed" not in run]
    theirs, notes = _whole_peer([run for run in runs if run["who"] == "peer"])
    pairs = list(zip(theirs, mine, strict=False))
    kinds = {
        "first_batch": lambda run: run["seconds"],
        "first_batch_cpu": lambda run: run["cpu_s"],
        "load_memory": lambda run: run["peak_mb"],
        "load_memory_net": net_mb,
    }
    ratios = {name: [kind(one) / kind(other) for one, other in pairs] for name, kind in kinds.items() if pairs}
    needed = median(run["movie_mb"] + run["responses_mb"] for run in mine)
    busy = sum(run["others"] > _BUSY for run in runs)
    if busy:
        others = median(run["others"] for run in runs)
        notes.append(
            f"no quiet machine for {busy} of {len(runs)} runs, others used {others:.1f} cores (median): "
            "trust first_batch_cpu more than first_batch"
        )
    return {
        "ratios": {name: median(values) for name, values in ratios.items()},
        "spread": {name: [min(values), max(values)] for name, values in ratios.items()},
        "peak_over_movie_and_responses": median(map(net_mb, mine)) / needed,
        "notes": notes,
    }


def net_mb(run: Run) -> float:
    return run["peak_mb"] - run["imported_mb"]


def _whole_peer(runs: Sequence[Run]) -> tuple[list[Run], list[str]]:
    """Runs of the peer with all orders, measured or, if they failed, on a line through those with fewer."""
    whole = [run for run in runs if run["orders"] == ORDERS]
    if all("failed" not in run for run in whole):
        return whole, []
    few, more = ([run for run in runs if run["orders"] == n and "failed" not in run] for n in _FEWER)
    step = (ORDERS - _FEWER[0]) / (_FEWER[1] - _FEWER[0])
    lines = [
        {key: a[key] + step * (b[key] - a[key]) for key in ("seconds", "cpu_s", "peak_mb", "imported_mb")}
        for a, b in zip(few, more, strict=False)
    ]
    failed = next(run["failed"] for run in whole if "failed" in run)
    note = (
        f"openretina could NOT be run with all {ORDERS} orders, there is too little memory here ({failed}); its "
        f"numbers are a straight line through runs with {_FEWER[0]} and {_FEWER[1]} orders"
    )
    return lines, [note]


def table(resolution: str, runs: Sequence[Run], summary: Mapping[str, Any]) -> str:
    """Medians of each kind of run, and the ratios."""
    lines = [f"{resolution:<22}{'first batch':>12}{'CPU':>9}{'peak':>10}{'imports':>10}{'net':>10}"]
    for who, orders in dict.fromkeys((run["who"], run["orders"]) for run in runs):
        same = [run for run in runs if (run["who"], run["orders"]) == (who, orders) and "failed" not in run]
        name = "retina_nb" if who == "ours" else f"openretina, {orders} orders"
        if not same:
            lines.append(f"{name:<22}{'out of memory':>12}")
            continue
        seconds, cpu, peak, imports = (
            median(run[key] for run in same) for key in ("seconds", "cpu_s", "peak_mb", "imported_mb")
        )
        net = median(map(net_mb, same))
        lines.append(f"{name:<22}{seconds:10.2f} s{cpu:7.2f} s{peak:7.0f} MB{imports:7.0f} MB{net:7.0f} MB")
    for name, ratio in summary["ratios"].items():
        least, largest = summary["spread"][name]
        lines.append(f"{name:<22}{ratio:9.1f} times less ({least:.1f} to {largest:.1f})")
    one = next(run for run in runs if run["who"] == "ours" and "failed" not in run)
    lines.append(
        f"our net peak is {summary['peak_over_movie_and_responses']:.2f} of one movie and the responses "
        f"({one['movie_mb']:.0f} + {one['responses_mb']:.0f} MB)"
    )
    return "\n".join([*lines, *(f"NOTE {note}" for note in summary["notes"])])


def lazy_table(found: Mapping[str, Iterable[Run]]) -> str:
    """Memory at two lengths of the movie."""
    lines = [f"{'drawn where looked at':<22}{'bins':>8}{'movie':>10}{'net peak':>12}{'responses, labels':>20}"]
    for dataset, runs in found.items():
        for run in runs:
            if "failed" in run:
                lines.append(f"{dataset:<22}{run['failed']}")
            else:
                lines.append(
                    f"{dataset:<22}{run['bins']:8d}{run['movie_mb']:7.0f} MB{run['net_mb']:9.0f} MB"
                    f"{run['responses_and_labels_mb']:17.1f} MB"
                )
    return "\n".join(lines)


if __name__ == "__main__":
    main()
