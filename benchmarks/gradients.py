"""Response gradients beside openretina 1.1.1 on the same weights: a grid of contrasts, and local fields of many cells.

``python -m benchmarks.gradients --peer PYTHON`` has openretina write a low-resolution model, and both packages compute
its gradients, in processes of their own, in turn and in quiet moments: over 21 x 21 contrasts for one cell, and in 64
images for 20 cells. Prints a table and writes JSON: ``ratios`` (how many times faster we are; medians of pairs), their
``spread`` (least and largest pair), ``difference`` (largest between both results, as a share of the largest number).
"""

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

from benchmarks.machine import describe, measured
from retina_nb.files import replace_file

TASKS = {"contrast": ("1", "0.1"), "lsta": ("20", "0.1")}  # cells, step of the grid
QUICK = {"contrast": ("1", "0.5"), "lsta": ("2", "0.1")}


def main(arguments: Sequence[str] | None = None) -> None:
    options = _options(arguments)
    repetitions, wait_s, tasks = (1, 5.0, QUICK) if options.quick else (options.repetitions, options.wait, TASKS)
    options.folder.mkdir(parents=True, exist_ok=True)
    made = _run(options.peer, "make", options.folder, wait_s=0)
    if "failed" in made:
        sys.exit(f"openretina could not write its model: {made['failed']}")
    report: dict[str, Any] = {"ratios": {}, "spread": {}, "difference": {}, "machine": describe(), "runs": {}}
    for task, sizes in tasks.items():
        pairs = [
            {
                who: _run(python, who, options.folder, task, *sizes, wait_s=wait_s)
                for who, python in (("ours", sys.executable), ("peer", options.peer))
            }
            for _ in range(repetitions)
        ]
        report["runs"][task] = pairs
        failed = [run["failed"] for pair in pairs for run in pair.values() if "failed" in run]
        if failed:
            sys.exit(f"{task}: {failed[0]}")
        ratios = [pair["peer"]["seconds"] / pair["ours"]["seconds"] for pair in pairs]
        report["ratios"][task], report["spread"][task] = median(ratios), [min(ratios), max(ratios)]
        report["difference"][task] = _difference(options.folder, task)
        ours, peer = (median(pair[who]["seconds"] for pair in pairs) for who in ("ours", "peer"))
        others = median(run["others"] for pair in pairs for run in pair.values())
        print(
            f"{task:<10} ours {ours:7.2f} s, openretina {peer:7.2f} s: {median(ratios):5.1f} times "
            f"({min(ratios):.1f} to {max(ratios):.1f}), difference {report['difference'][task]:.1e}, "
            f"others used {others:.1f} cores",
            flush=True,
        )
    with replace_file(options.output) as temporary:
        temporary.write_text(json.dumps(report, indent=1))
    print(f"written to {options.output}")


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.gradients", description=__doc__.split("\n\n")[0])
    parser.add_argument("--peer", required=True, help="the Python that has openretina 1.1.1")
    parser.add_argument("--folder", type=Path, default=Path("runs/bench/gradients"), help="for model and results")
    parser.add_argument("--output", type=Path, default=Path("runs/bench/gradients.json"), help="the JSON")
    parser.add_argument("--repetitions", type=int, default=5)
    parser.add_argument("--wait", type=float, default=120.0, help="longest wait for a quiet machine (s)")
    parser.add_argument("--quick", action="store_true", help="small grids, few cells, no long waiting")
    return parser.parse_args(arguments)


def _run(python: str, who: str, folder: Path, *sizes: str, wait_s: float) -> dict[str, Any]:
    script = (
        ["-m", "benchmarks.gradients_once"] if who == "ours" else [str(Path(__file__).with_name("gradients_once.py"))]
    )
    return measured([python, *script, who, str(folder), *sizes], wait_s=wait_s)


def _difference(folder: Path, task: str) -> float:
    """The largest difference between both results, as a share of the largest number."""
    ours, peer = (np.load(folder / f"{who}_{task}.npz") for who in ("ours", "peer"))
    return max(float(np.abs(ours[name] - peer[name]).max() / np.abs(peer[name]).max()) for name in peer)


if __name__ == "__main__":
    main()
