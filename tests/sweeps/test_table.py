"""The table of runs, from folders as runs leave them."""

import json

import numpy as np
import pytest

import retina_nb as rnb
from retina_nb.errors import UserError
from retina_nb.sweeps import runs


@pytest.fixture
def leave(folder):
    """Leaves the folder of a run, as if it had been run."""

    def leave(name, status, started, parameters, results=None, suffix=""):
        home = folder / f"{name}{suffix}"
        home.mkdir(parents=True)
        about = {"name": name, "status": status, "parameters": parameters, "started": started, "notebook": "a.ipynb"}
        about |= {"seconds": 2.5, "error": "ValueError: no" if status == "failed" else None, "device": "cpu"}
        (home / "status.json").write_text(json.dumps(about))
        (home / "a.ipynb").write_text("")
        if results is not None:
            (home / "results.json").write_text(json.dumps(results))

    return leave


def test_a_row_a_run_and_a_column_for_each_parameter_and_result(leave, folder):
    results = {
        "cc_norm": {"twin": 0.9, "linear": {"deep": 0.5}},
        "seed": 7,
        "device": "cuda",
        "names": ["a"],
        "nothing": None,
        "versions": {"torch": "2"},
    }
    leave("b" * 16, "complete", "2026-11-24T10:00:01", {"seed": 0, "size": [5, 7], "seconds": 9.0}, results)
    leave("a" * 16, "failed", "2026-11-24T10:00:02", {"seed": 1, "size": [5, 7]}, suffix=".failed")
    leave("c" * 16, "interrupted", "2026-11-24T10:00:00", {"other": "x"}, suffix=".0a1b.unfinished")

    table = rnb.read_sweep(folder)

    assert list(table.index) == ["c" * 16, "b" * 16, "a" * 16]
    assert list(table["status"]) == ["interrupted", "complete", "failed"]
    assert list(table["error"])[::2] == ["interrupted at its start", "ValueError: no"]
    row = table.loc["b" * 16]
    assert (row["seconds"], row["parameter.seconds"]) == (2.5, 9.0)
    assert (row["seed"], row["result.seed"]) == (0, 7)
    assert (row["device"], row["result.device"]) == ("cpu", "cuda")
    assert (row["cc_norm.twin"], row["cc_norm.linear.deep"]) == (0.9, 0.5)
    assert row["size"] == [5, 7]
    assert row["notebook"] == str(folder / ("b" * 16) / "a.ipynb")
    assert np.isnan(table.loc["a" * 16, "cc_norm.twin"])
    assert not {"names", "versions", "versions.torch"} & set(table.columns)
    assert "nothing" in table.columns


def test_a_run_that_is_complete_at_last_has_one_row(leave, folder):
    leave("a" * 16, "failed", "2026-11-24T10:00:02", {"seed": 0}, suffix=".failed")
    leave("a" * 16, "complete", "2026-11-24T10:00:01", {"seed": 0})
    leave("b" * 16, "interrupted", "2026-11-24T10:00:01", {"seed": 1}, suffix=".1.unfinished")
    leave("b" * 16, "failed", "2026-11-24T10:00:02", {"seed": 1}, suffix=".failed")
    assert rnb.read_sweep(folder)["status"].to_dict() == {"a" * 16: "complete", "b" * 16: "failed"}


def test_a_run_that_somebody_is_at_is_running(leave, folder):
    leave("a" * 16, "interrupted", "2026-11-24T10:00:01", {"seed": 1}, suffix=".1.unfinished")
    with runs.claim(folder, "a" * 16, wait=True):
        assert list(rnb.read_sweep(folder)["status"]) == ["running"]
    assert list(rnb.read_sweep(folder)["status"]) == ["interrupted"]


GOOD = {"name": "a" * 16, "status": "complete", "parameters": {"seed": 0}, "started": "2026", "notebook": "a.ipynb"}


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("results.json", '{"score": ', "its results.json is damaged, it is not JSON at line 1, column 11"),
        ("results.json", "[1, 2]", "its results.json holds a list"),
        ("results.json", "null", "its results.json holds null"),
        ("results.json", '"x"', "its results.json holds a text"),
        ("results.json", "7", "its results.json holds a number"),
        ("results.json", "", "its results.json is damaged"),
        ("results.json", b"\xff\xfe\x00", "its results.json is not text"),
        ("results.json", None, "its results.json is not a file"),
        ("results.json", '{"score": ' + "9" * 5000 + "}", "its results.json has a number that is too long"),
        ("results.json", '{"a": ' + "[" * 100_000 + "]" * 100_000 + "}", "its results.json is nested too deeply"),
        ("status.json", json.dumps(GOOD)[:40], "its status.json is damaged"),
        ("status.json", "[]", "its status.json holds a list"),
        ("status.json", json.dumps(GOOD | {"status": 5}), "its status.json does not tell the status"),
        ("status.json", json.dumps(GOOD | {"parameters": None}), "its status.json does not tell the status"),
        ("status.json", b"\xff\x00", "its status.json is not text"),
        ("status.json", None, "its status.json is not a file"),
    ],
)
def test_a_damaged_file_costs_its_own_run_and_no_other(leave, folder, name, content, reason):
    for run in "ab":
        leave(run * 16, "complete", "2026-11-24T10:00:01", {"seed": 0}, {"score": 1.0})
    path = folder / ("a" * 16) / name
    path.unlink()
    if content is None:
        path.mkdir()
    else:
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
    table = rnb.read_sweep(folder)
    assert table["status"].to_dict() == {
        "a" * 16: "failed" if name == "results.json" else "interrupted",
        "b" * 16: "complete",
    }
    assert table.loc["a" * 16, "error"].startswith(reason)
    assert table.loc["b" * 16, "score"] == 1.0


def test_odd_values_in_a_status_and_deep_results_are_no_trouble(leave, folder):
    leave("a" * 16, "complete", "2026-11-24T10:00:01", {"seed": 0}, {"score": 1.0})
    home = folder / ("a" * 16)
    odd = {"started": 5, "seconds": "long", "notebook": "../../elsewhere.ipynb", "name": "../b", "error": {}}
    (home / "status.json").write_text(json.dumps(GOOD | odd))
    (home / "results.json").write_text('{"a": ' * 900 + "1" + "}" * 900)
    table = rnb.read_sweep(folder)
    assert list(table.index) == ["a" * 16]
    assert table["seconds"].isna().all()
    assert table["notebook"].iloc[0] == str(home / "a.ipynb")
    assert table[".".join("a" * 900)].iloc[0] == 1


def test_an_empty_folder_is_an_empty_table_and_none_is_an_error(folder):
    with pytest.raises(UserError, match=r"there is no folder .*sweep: give the one"):
        rnb.read_sweep(folder)
    folder.mkdir(parents=True)
    table = rnb.read_sweep(folder)
    assert len(table) == 0
    assert {"status", "seconds"} <= set(table.columns)
