import os
from pathlib import Path

import pytest
from sweep_folders import write_run

from retina_nb import UserError
from retina_nb.widgets import browse_sweep
from retina_nb.widgets.browse_sweep import describe_run


@pytest.fixture
def folder(tmp_path):
    made = tmp_path / "a <sweep>"
    for number, (rate, width) in enumerate([(0.001, 8), (0.01, 8), (0.1, 16), (0.1, 8)]):
        results = {
            "cc_norm": {"twin": 0.5 + rate * width / 16, "linear_nonlinear": 0.4},
            "device": "cpu",
            "converged": True,
        }
        parameters = {"rate": rate, "overrides": [f"core.width={width}"], "seed": 0}
        write_run(made, f"run{number}", parameters, results, started=number)
    failed = {"rate": 10.0, "overrides": ["core.width=16"], "seed": 0}
    write_run(made, "run4", failed, {}, status="failed", error="UserError: a < b", started=9)
    return made


def test_the_table_has_what_was_varied_and_the_best_run_is_chosen(folder):
    shown = browse_sweep(folder)
    header = shown.table.header.value
    assert all(name in header for name in ("status", "rate", "core.width", "cc_norm.twin", "seconds"))
    assert "overrides" not in header
    assert "seed" not in header
    assert shown.runs.iloc[shown.table.value]["cc_norm.twin"] == 0.6
    assert len(shown.table.rows.options) == 5
    assert "image/png" in shown._repr_mimebundle_()[0]


def test_another_result_and_another_run_make_another_picture(folder):
    shown = browse_sweep(folder)
    names = [value for _, value in shown.controls["result"].options]
    assert names == ["cc_norm.twin", "cc_norm.linear_nonlinear", "seconds", "peak_memory_gb"]
    assert shown.controls["result"].value == "cc_norm.twin"
    pictures = [shown.picture.value]
    shown.table.rows.value = 1
    pictures.append(shown.picture.value)
    shown.controls["result"].value = "seconds"
    pictures.append(shown.picture.value)
    assert len(set(pictures)) == 3
    assert shown.message.value == ""


def test_values_within_the_preset_can_be_sorted_and_filtered_by(folder):
    shown = browse_sweep(folder)
    shown.table.where.value = "`core.width` == 8 and status == 'complete'"
    assert [row for _, row in shown.table.rows.options] == [3, 1, 0]


def test_a_run_is_a_click_away_from_its_notebook(folder, monkeypatch):
    monkeypatch.chdir(folder.parent)
    shown = browse_sweep(folder)
    shown.table.where.value = "status == 'failed'"
    html = shown._link.outputs[0]["data"]["text/html"]
    assert "href='a &lt;sweep&gt;/run4.failed/01_tiny.ipynb'" in html
    assert "UserError: a &lt; b" in html
    assert "run4, failed" in html


def test_a_run_that_was_never_heard_of_again_is_described(folder):
    run = browse_sweep(folder).runs.iloc[0].copy()
    run["seconds"], run["error"] = float("nan"), None
    text = describe_run(run)
    assert "nan" not in text
    assert os.path.relpath(Path(run["notebook"])).split("/")[-1] in text


def test_runs_that_end_meanwhile_are_there_when_the_folder_is_read_again(folder):
    shown = browse_sweep(folder)
    results = {"cc_norm": {"twin": 0.9, "linear_nonlinear": 0.4}}
    write_run(folder, "run5", {"rate": 0.03, "overrides": ["core.width=8"], "seed": 0}, results, started=11)
    before = shown.picture.value
    shown.again.click()
    assert len(shown.table.rows.options) == 6
    assert shown.picture.value != before


@pytest.mark.parametrize("made", [False, True])
def test_a_folder_without_runs_is_told(tmp_path, made):
    folder = tmp_path / "sweep"
    if made:
        folder.mkdir()
    with pytest.raises(UserError, match="there are no runs in" if made else "there is no folder"):
        browse_sweep(folder)


def test_where_all_runs_failed_one_sees_why(tmp_path):
    write_run(tmp_path, "one", {"seed": 1}, {}, status="failed", error="it broke")
    shown = browse_sweep(tmp_path)
    assert shown.controls["result"].value == "seconds"
    assert "it broke" in shown._link.outputs[0]["data"]["text/html"]


def test_one_run_alone_is_shown(tmp_path):
    write_run(tmp_path, "one", {}, {"score": 0.25})
    shown = browse_sweep(tmp_path)
    assert "one" in shown.table.rows.options[0][0]
    assert shown.controls["result"].value == "score"
