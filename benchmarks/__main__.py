"""``python -m benchmarks [NAME ...]``: beside openretina 1.1.1, in an environment that has both (`make bench`).

Without names, all of them, each in a process of its own. Prints a table and writes ``bench.json`` and ``bench.png``:
``ratios`` (how many times less we need; medians), their ``spread`` (least and largest), ``max_relative_difference`` of
the results, and ``machine``. A ratio whose results differ is refused. A name that is no such comparison is another
module of this folder, which takes the arguments that follow: ``python -m benchmarks scale``.
"""

import argparse
import math
import subprocess
import sys
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

from benchmarks import report
from benchmarks.pairs import Measurement, Options, Refused, measure
from retina_nb.files import replace_between
from retina_nb.memory import keep_freed_memory

# The module of each. It has ``prepare(name, options) -> Pair`` or ``measure(name, options) -> Measurement``.
BENCHMARKS = {
    "train_step_low_res": "train_step",
    "train_step_high_res": "train_step",
    "train_step_karamanlis": "train_step",
    "predict_low_res": "predict",
    "epoch_shared": "epochs",
    "time_to_accuracy": "accuracy",
    "mei": "mei",
    "contrast_grid": "contrast_grid",
    "local_sta": "local_sta",
    "first_batch": "loading",
    "load_memory": "loading",
    "import": "imports",
    "first_batch_high_res": "loading",
    "load_memory_high_res": "loading",
}
LONG = ("first_batch_high_res", "load_memory_high_res")  # not among the quick ones unless they are named


def main(arguments: Sequence[str]) -> int:
    """1 if a benchmark failed or was refused."""
    if arguments and not arguments[0].startswith("-") and arguments[0] not in BENCHMARKS:
        if not Path(__file__).with_name(f"{arguments[0]}.py").exists():
            sys.exit(f"there is no benchmark {arguments[0]!r}: take one of {', '.join(BENCHMARKS)}, or a module here")
        return import_module(f"benchmarks.{arguments[0]}").main(arguments[1:]) or 0
    given = _parser().parse_args(arguments)
    path = given.output / "bench.json"
    if len(given.names) == 1:
        _one(given.names[0], given, path)
        found = report.read(path)
        print(report.text(found, given.names))
        return int(given.names[0] not in found["ratios"])
    names = given.names or [name for name in BENCHMARKS if not (given.quick and name in LONG)]
    if not given.names:
        path.unlink(missing_ok=True)  # a whole table of one state of both packages
    flags = [one for one in arguments if one not in given.names]
    done = [subprocess.run([sys.executable, "-m", "benchmarks", name, *flags]) for name in names]
    found = report.read(path)
    print(report.text(found, names))
    report.draw(path.with_suffix(".png"), found)
    if given.readme is not None:
        replace_between(given.readme, report.MARKS, report.markdown(found))
    return max(one.returncode for one in done)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__.split("\n\n")[0])
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(BENCHMARKS))
    parser.add_argument("--quick", action="store_true", help="less work and three repetitions")
    parser.add_argument("--repetitions", type=int, help="how often each side is timed")
    parser.add_argument("--wait", type=float, help="longest wait for a quiet machine before each (s)")
    parser.add_argument("--threads", type=int, help="threads of both; by default as many as torch takes")
    parser.add_argument("--mallopt", action="store_true", help="have the C library keep freed memory, for both")
    parser.add_argument("--device", default="cpu", help="where both compute: cpu or cuda")
    parser.add_argument("--output", type=Path, default=Path("runs/bench"), help="folder of bench.json and bench.png")
    parser.add_argument("--readme", type=Path, help="a file with the marks of the table; of several")
    return parser


def _one(name: str, given: Any, path: Path) -> None:
    """Measure one and put it into the report."""
    import torch

    if given.mallopt:
        keep_freed_memory()
    if given.threads:
        torch.set_num_threads(given.threads)
    options = Options(
        quick=given.quick,
        repetitions=given.repetitions or (3 if given.quick else 7),
        budget_s=30.0 if given.quick else math.inf,
        wait_s=(10.0 if given.quick else 120.0) if given.wait is None else given.wait,
        device=given.device,
        folder=given.output / "files",
    )
    module = import_module(f"benchmarks.{BENCHMARKS[name]}")
    try:
        if hasattr(module, "prepare"):
            found: Measurement | str = measure(module.prepare(name, options), options)
        else:
            found = module.measure(name, options)
    except Refused as refusal:
        found = str(refusal)
    report.add(path, name, found, report.settings(options, mallopt=given.mallopt), options)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
