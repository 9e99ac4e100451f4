"""What was measured: JSON, a table for people and for the README, and a figure."""

import argparse
import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.machine import describe
from benchmarks.pairs import Measurement, Options
from retina_nb.files import replace_file

# How many times faster, or smaller, we want to be.
GOALS = {
    "train_step_low_res": 3.0,
    "train_step_high_res": 15.0,
    "train_step_karamanlis": 5.0,
    "predict_low_res": 4.0,
    "epoch_shared": 8.0,
    "time_to_accuracy": 10.0,
    "mei": 18.0,
    "contrast_grid": 20.0,
    "local_sta": 50.0,
    "first_batch": 5.0,
    "load_memory": 15.0,
    "import": 3.0,
    "first_batch_high_res": 5.0,
    "load_memory_high_res": 15.0,
}
MARKS = ("<!-- bench -->\n", "<!-- /bench -->\n")
_BUSY = 0.3  # cores that others use, above which a time counts as disturbed

Report = dict[str, Any]


def add(path: Path, name: str, found: Measurement | str, machine: Mapping[str, Any], options: Options) -> Report:
    """Put one measurement into a report, or why there is none; what another machine or setting gave is dropped."""
    report = read(path)
    if report.get("machine") != machine:
        report = {"ratios": {}, "spread": {}, "max_relative_difference": {}, "refused": {}, "runs": {}}
        report["machine"] = dict(machine)
    for part in ("ratios", "spread", "max_relative_difference", "refused", "runs"):
        report[part].pop(name, None)
    if isinstance(found, str):
        report["refused"][name] = found
    else:
        report["ratios"][name] = found.ratio
        report["spread"][name] = [min(found.ratios), max(found.ratios)]
        report["max_relative_difference"][name] = found.difference
        report["runs"][name] = {
            "work": found.work,
            "quick": options.quick,
            "ours": found.ours,
            "peer": found.peer,
            "unit": found.unit,
            "others": found.others,
            "notes": found.notes,
        }
    with replace_file(path) as temporary:
        temporary.write_text(json.dumps(report, indent=1), encoding="utf-8")
    return report


def table_options(module: str, about: str, arguments: Sequence[str]) -> argparse.Namespace:
    """Options of a module that makes a table of its own: ``quick``, ``readme``, and how long to wait (``wait_s``)."""
    parser = argparse.ArgumentParser(prog=f"python -m benchmarks {module}", description=about.split("\n\n")[0])
    parser.add_argument("--quick", action="store_true", help="less work, and no long waits for quiet moments")
    parser.add_argument("--readme", type=Path, help="a file with the marks of the table")
    given = parser.parse_args(arguments)
    given.wait_s = 10.0 if given.quick else 120.0
    return given


def read(path: Path) -> Report:
    """The report, or nothing if there is none."""
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}


def settings(options: Options, *, mallopt: bool) -> dict[str, Any]:
    """The machine and what both packages run with."""
    import torch

    device = torch.cuda.get_device_name() if options.device.startswith("cuda") else "CPU"
    return {**describe(), "torch": torch.__version__, "device": device, "threads": torch.get_num_threads()} | {
        "mallopt": mallopt
    }


def text(report: Report, names: Iterable[str]) -> str:
    """A line for each of these benchmarks."""
    names = set(names)
    lines = [f"{'':<22}{'openretina':>13}{'retina_nb':>13}{'times':>8}{'spread':>17}{'goal':>7}{'difference':>12}"]
    for name, run in [(name, run) for name, run in _runs(report) if name in names]:
        least, largest = report["spread"][name]
        lines.append(
            f"{name:<22}{_amount(run['peer'], run):>13}{_amount(run['ours'], run):>13}{report['ratios'][name]:8.1f}"
            f"{f'({least:.1f} to {largest:.1f})':>17}{GOALS.get(name, float('nan')):7.1f}"
            f"{report['max_relative_difference'][name]:12.1e}  {'; '.join([run['work'], *_notes(run)])}"
        )
    refused = {name: why for name, why in report.get("refused", {}).items() if name in names}
    return "\n".join([*lines, *(f"{name:<22}REFUSED: {why}" for name, why in refused.items())])


def markdown(report: Report) -> str:
    """The table for the README, and the machine it is of."""
    machine, runs = report["machine"], _runs(report)
    lines = ["| benchmark | work | openretina | retina_nb | times | spread | goal |", "|---|---|---|---|---|---|---|"]
    for name, run in runs:
        least, largest = report["spread"][name]
        ratio, goal = report["ratios"][name], GOALS.get(name)
        shown = f"{ratio:.1f}" if goal is None or ratio >= goal else f"**{ratio:.1f}**"
        lines.append(
            f"| `{name}` | {'; '.join([run['work'], *_notes(run)])} | {_amount(run['peer'], run)} | "
            f"{_amount(run['ours'], run)} | {shown} | {least:.1f}–{largest:.1f} | {goal or ''} |"
        )
    lines += [f"| `{name}` | not told: {why} | | | | | |" for name, why in report.get("refused", {}).items()]
    kept = "memory kept by the C library on both sides, " if machine["mallopt"] else ""
    quick = ", `--quick`" if any(run["quick"] for _, run in runs) else ""
    where = machine["processor"] if machine["device"] == "CPU" else machine["device"]
    about = f"{where}, {machine['threads']} threads, torch {machine['torch']}, {kept}medians{quick}."
    return "\n".join([*lines, "", f"{about} Goals that are not reached are bold.", ""])


def draw(path: Path, report: Report) -> None:
    """Bars of the ratios with their spread, and marks at the goals."""
    from matplotlib.ticker import ScalarFormatter

    from retina_nb.plots.style import RECORDED, TWIN, figure

    names = [name for name, _ in _runs(report)][::-1]
    ratios = [report["ratios"][name] for name in names]
    spread = [
        [ratio - report["spread"][name][0], report["spread"][name][1] - ratio]
        for name, ratio in zip(names, ratios, strict=True)
    ]
    made, ax = figure(size=(8, 1.2 + 0.4 * len(names)))
    # From one on, since a logarithmic axis has no zero.
    ax.barh(names, [ratio - 1 for ratio in ratios], left=1, color=TWIN, height=0.6)
    ax.errorbar(ratios, range(len(names)), xerr=list(zip(*spread, strict=True)), fmt="none", ecolor=RECORDED, capsize=3)
    goals = {row: GOALS[name] for row, name in enumerate(names) if name in GOALS}
    ax.plot(list(goals.values()), list(goals), "|", color="black", markersize=14, markeredgewidth=2, label="goal")
    ax.set_xscale("log")
    ax.xaxis.set_major_formatter(ScalarFormatter())
    ax.axvline(1, color=RECORDED, linewidth=0.8)
    ax.set_xlabel("times less than openretina 1.1.1 (log axis)")
    ax.legend(frameon=False, loc="lower right")
    with replace_file(path) as temporary:
        made.savefig(temporary, dpi=150)


def _runs(report: Report) -> list[tuple[str, dict[str, Any]]]:
    """In the order of the goals."""
    runs = report.get("runs", {})
    return [(name, runs[name]) for name in [*GOALS, *sorted(set(runs) - set(GOALS))] if name in runs]


def _amount(values: list[float], run: Mapping[str, Any]) -> str:
    value, unit = median(values), run["unit"]
    if unit == "s" and value < 0.1:
        value, unit = 1000 * value, "ms"
    return f"{value:,.0f} {unit}" if value >= 1000 else f"{value:.3g} {unit}"


def _notes(run: Mapping[str, Any]) -> list[str]:
    busy = [others for others in run["others"] if others > _BUSY]
    told = f"others used {max(busy):.1f} cores in {len(busy)} of {len(run['others'])} repetitions" if busy else ""
    return [*run["notes"], *([told] if told else [])]
