"""What a sweep costs beyond its runs: many short runs over two workers, beside bare calls of papermill.

``python -m benchmarks.sweeps`` runs the same short notebook 40 times in two processes that do nothing but call
papermill, and 40 times with `retina_nb.sweep` over two workers, prints a table and writes JSON: ``ratio`` is how many
times longer a run of the sweep takes than a bare call (medians of what runs took while two were at work), and
``wall_ratio`` the same for all 40 together, with the start and the end of the cluster. ``others`` is how many cores
others used meanwhile: a figure with more than a few tenths is worth nothing.
"""

import argparse
import json
import multiprocessing
import os
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.machine import busy_seconds, describe, wait_until_quiet

NOTEBOOK = """# %% tags=["parameters"]
seed = 0
output_dir = "runs"

# %%
import json, pathlib

# %%
pathlib.Path(output_dir, "results.json").write_text(json.dumps({"score": seed}))
"""


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=40)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--wait", type=float, default=600, help="for a quiet moment, at most (s)")
    parser.add_argument("--json", type=Path, help="where to write what was measured")
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as folder:
        waited = wait_until_quiet(options.wait)
        bare = _observed(lambda: bare_calls(Path(folder, "bare"), options.runs, options.workers))
        sweep = _observed(lambda: sweep_runs(Path(folder, "sweep"), options.runs, options.workers))
    found = {
        "ratio": round(median(sweep["seconds"]) / median(bare["seconds"]), 3),
        "wall_ratio": round(sweep["wall_s"] / bare["wall_s"], 3),
        "runs": options.runs,
        "workers": options.workers,
        "waited_s": round(waited, 1),
        "bare": bare,
        "sweep": sweep,
        "machine": describe(),
    }
    if options.json:
        options.json.write_text(json.dumps(found, indent=2) + "\n")
    print(table(found))


def bare_calls(folder: Path, runs: int, workers: int) -> list[float]:
    """How long papermill takes for each of the runs (s)."""
    folder.mkdir()
    with multiprocessing.get_context("spawn").Pool(workers) as pool:
        return pool.map(_bare_call, [(folder, seed) for seed in range(runs)], chunksize=1)


def sweep_runs(folder: Path, runs: int, workers: int) -> list[float]:
    """How long each run of a sweep takes (s), by what it says itself."""
    import retina_nb as rnb

    source = folder.parent / "short.py"
    source.write_text(NOTEBOOK)
    found = rnb.sweep(source, folder, grid={"seed": list(range(runs))}, workers=workers)
    assert (found["status"] == "complete").all()
    return list(found["seconds"])


def table(found: dict[str, Any]) -> str:
    """What was found, for people."""
    lines = [f"{found['runs']} runs, {found['workers']} at once      a run       all  others"]
    for name in ("bare", "sweep"):
        one = found[name]
        lines.append(f"{name:<22}{median(one['seconds']):8.2f} s{one['wall_s']:8.1f} s{one['others']:8.2f}")
    ratios = f"{found['ratio']:.2f} times as long as a bare call, all of them {found['wall_ratio']:.2f} times"
    return "\n".join([*lines, f"a run of a sweep takes {ratios}"])


def _bare_call(run: tuple[Path, int]) -> float:
    import jupytext
    import papermill

    folder, seed = run
    started = time.monotonic()
    document = jupytext.reads(NOTEBOOK, fmt="py:percent")
    papermill.execute_notebook(
        document,
        str(folder / f"{seed}.ipynb"),
        {"seed": seed, "output_dir": str(folder)},
        kernel_name="python3",
        language="python",
        progress_bar=False,
    )
    return time.monotonic() - started


def _observed(measure: Callable[[], list[float]]) -> dict[str, Any]:
    """What runs took, what all took, and how busy others kept the machine."""
    before, ours, then = busy_seconds(), _used(), time.monotonic()
    seconds = measure()
    wall = time.monotonic() - then
    others = max(0.0, (busy_seconds() - before - (_used() - ours)) / wall)
    return {"seconds": seconds, "wall_s": round(wall, 2), "others": round(others, 2)}


def _used() -> float:
    """Core-seconds of this process and of those of its descendants that have ended."""
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system


if __name__ == "__main__":
    main()
