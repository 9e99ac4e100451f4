"""Times are told only of results that agree; what is told is a median, its spread, and the machine."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from benchmarks import pairs, report
from benchmarks.pairs import Measurement, Options, Pair, Refused, compare, measure
from retina_nb.files import replace_between

OPTIONS = Options(repetitions=2, wait_s=0)
MACHINE = {"processor": "abacus", "device": "CPU", "threads": 2, "torch": "2.13", "mallopt": True}
RIGHT = np.array([1.0, -2.0, 3.0])


def gives(values: np.ndarray) -> Callable[[], dict[str, np.ndarray]]:
    return lambda: {"rates": values}


def test_refuses_results_that_differ() -> None:
    with pytest.raises(Refused, match="results differ"):
        measure(Pair("nothing", gives(RIGHT), gives(RIGHT + 1e-3)), OPTIONS)


def test_results_that_are_not_finite_or_of_other_names_or_shapes_are_refused() -> None:
    for other in ({"rates": RIGHT * np.nan}, {"rates": RIGHT[:2]}, {"spikes": RIGHT}):
        with pytest.raises(Refused):
            compare({"rates": RIGHT}, other)


def test_float64_decides_who_is_wrong() -> None:
    wrong = {"rates": RIGHT * 1.01}
    apart, notes = compare({"rates": RIGHT * (1 + 1e-6)}, wrong, gives(RIGHT))
    assert apart == pytest.approx(1e-6, rel=1e-3)
    assert "float64" in notes[0]
    with pytest.raises(Refused, match="ours by"):
        compare(wrong, {"rates": RIGHT}, gives(RIGHT))


def test_both_take_turns_and_times_are_for_a_unit_of_work(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pairs, "_LEAST_S", 0.0)
    order: list[str] = []

    def does(who: str) -> Callable[[], Callable[[], dict]]:
        return lambda: (order.append(who), gives(RIGHT))[1]  # type: ignore[func-returns-value]

    found = measure(Pair("nothing", does("ours"), does("peer"), ours_units=1e6), OPTIONS)
    assert order == ["ours", "peer", "peer", "ours", "ours", "peer"]
    assert found.difference == 0
    assert found.ratio > 1000


def test_ratio_is_the_median_of_pairs() -> None:
    assert Measurement("", [1.0, 2.0, 1.0], [4.0, 4.0, 5.0], 0.0).ratio == 4.0


def test_report_keeps_what_the_same_machine_gave(tmp_path: Path) -> None:
    path = tmp_path / "bench.json"
    report.add(path, "mei", Measurement("work", [1.0, 1.0, 1.0], [9.0, 20.0, 30.0], 1e-6), MACHINE, OPTIONS)
    report.add(path, "import", Measurement("work", [1.0], [2.0], 0.0, others=[1.5]), MACHINE, OPTIONS)
    report.add(path, "local_sta", "results differ", MACHINE, OPTIONS)
    found = json.loads(path.read_text())
    assert found["ratios"] == {"mei": 20.0, "import": 2.0}
    assert found["spread"]["mei"] == [9.0, 30.0]
    assert found["max_relative_difference"]["mei"] == 1e-6
    assert found["machine"] == MACHINE
    assert found["refused"] == {"local_sta": "results differ"}
    other = report.add(path, "mei", "results differ", MACHINE | {"threads": 1}, OPTIONS)
    assert other["ratios"] == {}


def test_readme_gets_the_table_between_its_marks_and_the_figure_is_drawn(tmp_path: Path) -> None:
    path, readme = tmp_path / "bench.json", tmp_path / "README.md"
    readme.write_text(f"before\n{report.MARKS[0]}| stale |\n{report.MARKS[1]}after\n", encoding="utf-8")
    report.add(path, "mei", Measurement("work", [1.0], [20.0], 0.0), MACHINE, OPTIONS)
    found = report.add(path, "import", Measurement("work", [1.0], [2.0], 0.0, others=[1.5]), MACHINE, OPTIONS)
    replace_between(readme, report.MARKS, report.markdown(found))
    text = readme.read_text(encoding="utf-8")
    assert text.startswith("before\n")
    assert text.endswith("after\n")
    assert "| 20.0 | 20.0–20.0 | 18.0 |" in text
    assert "| **2.0** |" in text  # below its goal
    assert "others used 1.5 cores" in text
    assert "stale" not in text
    report.draw(tmp_path / "bench.png", found)
    assert (tmp_path / "bench.png").stat().st_size > 1000
