"""What a sweep says at its end, from a table of runs."""

import json

import pandas as pd
import pytest
from sweep_folders import write_run

import retina_nb as rnb
from retina_nb.sweeps.report import cell, overview, summary, write_csv


@pytest.fixture
def runs(folder):
    for n in range(40):
        scores = {"validation_correlation": n / 100, "cc_norm": {"twin": n / 70}, "neurons": 12, "name": "x"}
        write_run(folder, f"{n:016d}", {"seed": n, "overrides": ["core.dropout=0.1"], "same": 1}, scores, started=n)
    write_run(folder, "f" * 16, {"seed": 99, "overrides": [], "same": 1}, None, status="failed", error="no", started=50)
    return rnb.read_sweep(folder)


def test_the_overview_has_what_differs_and_the_best_first(runs):
    header, first, *rest = overview(runs, "validation_correlation").splitlines()
    assert header.split() == ["seed", "core.dropout", "status", "validation_correlation", "cc_norm.twin", "seconds"]
    assert first.split() == [f"{39:016d}", "39", "0.1", "complete", "0.39", "0.5571", "51"]
    assert rest[-1] == "... and 11 more"
    assert overview(runs, "cc_norm.twin").splitlines()[0].split()[3:5] == ["cc_norm.twin", "validation_correlation"]
    assert overview(runs[runs["status"] == "failed"], "score").split() == ["seconds", "f" * 16, "62"]


def test_the_summary_names_what_is_left_and_not_endlessly(runs, folder):
    lines = summary(runs, folder, {name: f"run {name[-2:]}" for name in runs.index}, "none").splitlines()
    at = lines.index(f"in {folder}: 40 complete, 1 failed")
    assert lines[at + 1] == "  run ff is failed: no"
    assert lines[-1] == "re-run the same command to resume"
    runs["status"] = "failed"
    told = summary(runs, folder, dict.fromkeys(runs.index, "run"), "none")
    assert told.startswith(f"in {folder}: 41 failed")
    assert "  and 31 more\n" in told


def test_the_file_has_every_column_and_lists_as_json(runs, folder):
    assert write_csv(runs, folder / "runs.csv") == f"the whole table is in {folder / 'runs.csv'}"
    read = pd.read_csv(folder / "runs.csv", index_col="run", dtype={"run": str})
    assert list(read.columns) == list(runs.columns)
    assert list(read.index) == list(runs.index)
    assert json.loads(read["overrides"].iloc[0]) == ["core.dropout=0.1"]
    (folder / "taken.csv").mkdir()
    assert write_csv(runs, folder / "taken.csv").startswith("the table is not written: cannot write")


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (1 / 3, "0.3333"),
        (None, "-"),
        (float("nan"), "-"),
        ([1, {"a": None}], '[1, {"a": null}]'),
        ("a\nb", r"'a\nb'"),
        ("µ", "µ"),
        ("x" * 1000, "x" * 39 + "…"),
        (True, "true"),
        (10**30, str(10**30)),
    ],
)
def test_a_value_is_part_of_a_line(value, shown):
    assert cell(value) == shown
