"""What cells, sessions, frames and pixels cost, and how much of the machine a step of training uses.

``python -m benchmarks scale [--quick] [--readme FILE]`` measures a step of training, a prediction and loading over
ranges of each, in processes of their own; prints what they cost and where the cost of the work begins to outweigh what
there is without it; says what much larger work will need, with the largest point predicted from the others; and writes
``scale.json`` and ``scale.png``. ``python -m benchmarks scale once WHAT SIZE`` measures one point and prints a line of
JSON.
"""

import json
import math
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import torch

from benchmarks.machine import describe, measured, memory_mb, wait_until_quiet
from benchmarks.report import table_options
from retina_nb.files import replace_between, replace_file
from retina_nb.products import product

FOLDER = Path("runs/bench")
MARKS = ("<!-- scale -->\n", "<!-- /scale -->\n")
CHUNK, BATCH = 50, 16  # frames with their history, and rows, of a step
SIZES: dict[str, tuple[int, ...]] = {
    "cells": (100, 300, 1000, 3000, 10_000, 30_000, 100_000),  # in a step of training, of one session
    "sessions": (1, 3, 10, 30, 100, 200),  # of 50 cells that saw the same, in a step
    "pixels": (18 * 16, 36 * 32, 72 * 64),  # in a step, with the kernels of low resolution
    "predicted_frames": (1000, 3000, 10_000, 30_000),  # of one movie, 100 cells
    "loaded_frames": (10_000, 30_000, 100_000),  # of one session of 100 cells, up to the first batch
}
WORK = {
    "cells": "a step",
    "sessions": "a step",
    "pixels": "a step",
    "predicted_frames": "a prediction",
    "loaded_frames": "loading",
}
QUICK = {what: sizes[:-2] if len(sizes) > 4 else sizes[:2] for what, sizes in SIZES.items()}
_SIDES = {18 * 16: (18, 16), 36 * 32: (36, 32), 72 * 64: (72, 64)}


def main(arguments: Sequence[str]) -> None:
    """Measure everything, or one point."""
    if arguments[:1] == ["once"]:
        print(json.dumps(once(arguments[1], int(arguments[2]))))
        return
    given = table_options("scale", __doc__, arguments)
    found: dict[str, Any] = {"machine": describe(), "points": {}, "fits": {}}
    for what, sizes in (QUICK if given.quick else SIZES).items():
        points = [_point(what, size, given.wait_s) for size in sizes]
        found["points"][what] = points
        found["fits"][what] = {value: fit(points, value) for value in ("seconds", "memory_mb")}
        print(text(what, points, found["fits"][what]), flush=True)
    found["on_paper"] = on_paper(found["fits"])
    found["flops"] = flops(given.wait_s)
    print(f"on paper: {json.dumps(found['on_paper'])}\na step at low resolution: {json.dumps(found['flops'])}")
    with replace_file(FOLDER / "scale.json") as temporary:
        temporary.write_text(json.dumps(found, indent=1), encoding="utf-8")
    draw(FOLDER / "scale.png", found)
    if given.readme is not None:
        replace_between(given.readme, MARKS, markdown(found))


def once(what: str, size: int) -> dict[str, float]:
    """Median seconds of the work, and the memory that it took at most, without that of the imports."""
    before = memory_mb()
    work = _WORK[what](size)
    times = []
    for _ in range(4):
        started = time.perf_counter()
        work()
        times.append(time.perf_counter() - started)
    return {"size": size, "seconds": median(times[1:]), "memory_mb": memory_mb("VmHWM") - before}


def _point(what: str, size: int, wait_s: float) -> dict[str, float]:
    run = measured([sys.executable, "-m", "benchmarks", "scale", "once", what, str(size)], wait_s=wait_s)
    if "failed" in run:
        sys.exit(f"{what} {size}: {run['failed']}")
    return run


def fit(points: Sequence[Mapping[str, float]], value: str) -> dict[str, float]:
    """A line through the points, by least squares of relative errors; ``bend``, where the work costs as much as none.

    ``slope`` is the exponent between the last two points: 1 if the cost grows as the work does. ``error`` is that of
    the largest point, predicted by a line through the others, as a share of what was measured.
    """
    sizes, values = (np.array([point[name] for point in points]) for name in ("size", value))
    fixed, each = _line(sizes, values)
    found = {"fixed": fixed, "each": each, "bend": fixed / max(each, 1e-30)}
    found["slope"] = float(np.diff(np.log(values[-2:]))[0] / np.diff(np.log(sizes[-2:]))[0])
    if len(points) > 2:
        start, step = _line(sizes[:-1], values[:-1])
        found["error"] = float((start + step * sizes[-1]) / values[-1] - 1)
    return found


def _line(sizes: np.ndarray, values: np.ndarray) -> tuple[float, float]:
    weights = 1 / np.maximum(values, 1e-9)
    columns = np.stack([np.ones(len(sizes)), sizes], axis=1) * weights[:, None]
    fixed, each = np.linalg.lstsq(columns, np.ones(len(sizes)), rcond=None)[0]
    return float(max(fixed, 0.0)), float(each)


def on_paper(fits: Mapping[str, Any]) -> dict[str, float]:
    """What a million cells and a movie of ten hours at 30 Hz would need on this machine."""
    cells, frames = 1e6, 10 * 3600 * 30
    step, load = fits["cells"], fits["loaded_frames"]
    return {
        "step_of_a_million_cells_s": step["seconds"]["fixed"] + cells * step["seconds"]["each"],
        "step_of_a_million_cells_gb": (step["memory_mb"]["fixed"] + cells * step["memory_mb"]["each"]) / 1e3,
        "responses_of_a_million_cells_over_ten_hours_tb": cells * frames * 4 / 1e12,
        "movie_of_ten_hours_gb": frames * 2 * 18 * 16 * 4 / 1e9,
        "loading_ten_hours_of_100_cells_s": load["seconds"]["fixed"] + frames * load["seconds"]["each"],
        "predicting_ten_hours_of_100_cells_s": frames * fits["predicted_frames"]["seconds"]["each"],
        "epoch_of_ten_hours_and_a_million_cells_h": frames
        / (BATCH * (CHUNK - 30))
        * (step["seconds"]["fixed"] + cells * step["seconds"]["each"])
        / 3600,
    }


def flops(wait_s: float) -> dict[str, float]:
    """Operations of a step at low resolution as they are carried out, over those of this machine's matrix products.

    Counted by torch, which counts a complex product as a real one. openretina's is left out where it is not installed.
    """
    from torch.utils.flop_counter import FlopCounterMode

    from benchmarks.pairs import Options
    from benchmarks.train_step import prepare

    peak = _peak(wait_s)
    found = {"peak_gflops": peak}
    try:
        pair = prepare("train_step_low_res", Options(folder=FOLDER / "files"))
    except ImportError:
        return found
    for who, step in (("ours", pair.ours), ("peer", pair.peer)):
        with FlopCounterMode(display=False) as counter:
            step()
        gflop = counter.get_total_flops() / 1e9
        seconds = _quiet_seconds(step, wait_s)
        rate = gflop / seconds
        found |= {f"{who}_gflop": gflop, f"{who}_seconds": seconds, f"{who}_share_of_peak": rate / peak}
    return found


def _peak(wait_s: float) -> float:
    """Billion operations a second of the fastest product of square matrices, by torch's own or by ours."""
    seconds: dict[int, float] = {}
    for size in (1024, 2048, 4096):
        one, other = torch.randn(2, size, size)
        for multiply in (torch.matmul, product):
            work = partial(multiply, one, other)
            seconds[size] = min(_quiet_seconds(work, wait_s), seconds.get(size, math.inf))
    return max(2 * size**3 / 1e9 / least for size, least in seconds.items())


def _quiet_seconds(work: Callable[[], Any], wait_s: float, repetitions: int = 5) -> float:
    wait_until_quiet(wait_s)
    work()
    times = []
    for _ in range(repetitions):
        started = time.perf_counter()
        work()
        times.append(time.perf_counter() - started)
    return median(times)


def _step(neurons: Mapping[str, int], size: tuple[int, int] = (18, 16)) -> Callable[[], Any]:
    """A step of training on sessions that share their stimulus."""
    from retina_nb.loaders.batches import Batch, Targets
    from retina_nb.losses import LOSSES
    from retina_nb.training import _Training

    twin = _twin(neurons, size)
    outputs = CHUNK - twin.lag
    targets = {
        name: Targets(slice(0, BATCH), torch.rand(BATCH, outputs, n), torch.ones(BATCH, outputs))
        for name, n in neurons.items()
    }
    batch = Batch(torch.randn(BATCH, 2, CHUNK, *size), targets, BATCH * outputs * sum(neurons.values()))
    weights = {name: torch.ones(n) for name, n in neurons.items()}
    training = _Training(twin, twin.core, LOSSES["poisson"], weights, 0.01, 0.01, patience=3, seed=0)
    training.on_train_epoch_start()
    optimizer: Any = training.configure_optimizers()

    def work() -> None:
        from benchmarks.train_step import silent

        optimizer.zero_grad()
        silent(training.training_step, batch, 0).backward()
        optimizer.step()
        training.on_train_batch_end(None, batch, 0)

    return work


def _twin(neurons: Mapping[str, int], size: tuple[int, int] = (18, 16)) -> Any:
    from retina_nb.models.parts import assemble
    from retina_nb.models.presets import load_preset

    return assemble(load_preset("hoefling_2024_low_res"), (2, *size), {"neurons": dict(neurons)})


def _prediction(frames: int) -> Callable[[], Any]:
    import retina_nb as rnb

    twin = _twin({"one": 100}).eval()
    movie = np.random.default_rng(0).standard_normal((2, frames, 18, 16), dtype=np.float32)
    return lambda: rnb.predict(twin, movie, "one")


def _loading(frames: int) -> Callable[[], Any]:
    """Reading a recording from the disk, and the first batch."""
    import retina_nb as rnb
    from retina_nb.loaders.batches import SharedBatches

    path = FOLDER / "files" / f"frames_{frames}.h5"
    if not path.exists():
        rng = np.random.default_rng(0)
        movie = rnb.Movie(rng.standard_normal((2, frames, 18, 16), dtype=np.float32))
        responses = rng.poisson(0.3, (frames, 100)).astype(np.float32)
        rnb.write_recordings({"one": rnb.Recording("one", movie, responses, rate=30.0)}, path)

    def work() -> None:
        read = rnb.load_recordings(path)
        next(iter(SharedBatches(read, split="train", lag=30, chunk_size=CHUNK - 30, batch_size=BATCH, seed=0)))

    return work


_WORK: dict[str, Callable[[int], Callable[[], Any]]] = {
    "cells": lambda n: _step({"one": n}),
    "sessions": lambda n: _step({f"session_{number}": 50 for number in range(n)}),
    "pixels": lambda n: _step({"one": 100}, _SIDES[n]),
    "predicted_frames": _prediction,
    "loaded_frames": _loading,
}


def text(what: str, points: Sequence[Mapping[str, float]], fits: Mapping[str, Mapping[str, float]]) -> str:
    """A line for each point, and the line through them."""
    lines = [f"{what:<18}{'seconds':>10}{'MB':>9}"]
    lines += [f"{point['size']:<18,.0f}{point['seconds']:10.4f}{point['memory_mb']:9.0f}" for point in points]
    for value, unit in (("seconds", "s"), ("memory_mb", "MB")):
        one = fits[value]
        missed = f", the largest point is missed by {100 * one['error']:+.0f} %" if "error" in one else ""
        lines.append(
            f"  {one['fixed']:.3g} {unit} + {1000 * one['each']:.3g} {unit} for a thousand; bends at "
            f"{one['bend']:,.0f}; exponent at the end {one['slope']:.2f}{missed}"
        )
    return "\n".join(lines)


def markdown(found: Mapping[str, Any]) -> str:
    """The table for the README, and what much larger work would need."""
    lines = ["| cost of | by | from | to | fixed | for each | bends at | error |", "|" + "---|" * 8]
    for what, points in found["points"].items():
        for value, unit, small in (("seconds", "s", "ms"), ("memory_mb", "MB", "kB")):
            line = found["fits"][what][value]
            missed = f"{100 * line['error']:+.0f} %" if "error" in line else ""
            sizes = f"{points[0]['size']:,.0f} | {points[-1]['size']:,.0f}"
            lines.append(
                f"| {WORK[what]} ({unit}) | {what.split('_')[-1]} | {sizes} | {_short(line['fixed'])} {unit} | "
                f"{_short(1000 * line['each'])} {small} | {line['bend']:,.0f} | {missed} |"
            )
    paper, used = found["on_paper"], found["flops"]
    shares = ", ".join(
        f"{name} {100 * used[f'{who}_share_of_peak']:.0f} %"
        for who, name in (("ours", "retina_nb"), ("peer", "openretina"))
        if f"{who}_gflop" in used
    )
    text = (
        "On paper, a million cells and a movie of ten hours need a step of "
        f"{paper['step_of_a_million_cells_s']:.0f} s and {paper['step_of_a_million_cells_gb']:.0f} GB on this machine, "
        f"{paper['epoch_of_ten_hours_and_a_million_cells_h']:,.0f} hours an epoch. The movie is "
        f"{paper['movie_of_ten_hours_gb']:.1f} GB, the responses "
        f"{paper['responses_of_a_million_cells_over_ten_hours_tb']:.1f} TB: every machine can hold the movie and the "
        "core, while sessions must be spread over machines, each with the readouts of its own. In a step at low "
        f"resolution, the share of {used['peak_gflops']:.0f} GFLOP/s, the fastest product of matrices here: {shares}."
    )
    legend = (
        'Lines through what was measured. "Bends at" is the size at which the variable cost equals the fixed cost. '
        "The error is that of a line through all other sizes at the largest one."
    )
    return "\n".join([*lines, "", legend, "", text, ""])


def _short(value: float) -> str:
    return f"{value:,.0f}" if value >= 10 else f"{value:.2g}"


def draw(path: Path, found: Mapping[str, Any]) -> None:
    """Time and memory against work, with the lines."""
    from retina_nb.plots.style import BASELINE, TWIN, figure

    made, axes = figure(2, len(found["points"]), size=(3.2 * len(found["points"]), 5.5), sharex="col")
    for column, (what, points) in enumerate(found["points"].items()):
        sizes = np.array([point["size"] for point in points])
        for row, (value, label) in enumerate((("seconds", "seconds"), ("memory_mb", "memory (MB)"))):
            ax, line = axes[row, column], found["fits"][what][value]
            ax.loglog(sizes, line["fixed"] + line["each"] * sizes, color=BASELINE, label="fixed + a part for each")
            ax.loglog(sizes, [point[value] for point in points], "o", color=TWIN, label="measured")
            ax.set_ylabel(label if column == 0 else "")
        axes[1, column].set_xlabel(what.replace("_", " "))
    axes[0, 0].legend(frameon=False)
    with replace_file(path) as temporary:
        made.savefig(temporary, dpi=150)
