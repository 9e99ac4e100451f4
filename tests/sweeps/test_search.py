"""Searches: what is drawn, what is told, and what is left when trials, drivers or spaces are bad."""

import json
import os
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from unittest.mock import Mock

import optuna
import pytest
from distributed import Client, Future
from helpers import TINY, small_recording

import retina_nb as rnb
from retina_nb import pruning
from retina_nb.cli import main
from retina_nb.errors import UserError
from retina_nb.models.presets import load_preset, preset_names
from retina_nb.sweeps import run_name
from retina_nb.sweeps import search as search_module
from retina_nb.sweeps.space import checked_space, default_space, read_space
from retina_nb.sweeps.study import SharedStudy

SOURCE = """# %% tags=["parameters"]
rate = 0.5
layers = [8]
preset = "simulated_retina"
overrides = []
seconds = 0.0
output_dir = "runs/tiny"

# %%
import json, pathlib, time
time.sleep(seconds)
pathlib.Path(output_dir, "results.json").write_text(json.dumps({"score": {"test": -((rate - 0.3) ** 2)}}))
"""
SPACE = {"rate": {"low": 0, "high": 1}, "overrides": {"core.hidden_channels": [[4, 4], [8, 8]]}}
GOAL = {"objective": "score.test", "workers": 1}


@pytest.fixture
def notebook(tmp_path):
    path = tmp_path / "01_tiny.py"
    path.write_text(SOURCE)
    return path


@pytest.fixture
def here(monkeypatch):
    """A cluster of one worker whose runs only tell, at once, how good their parameters are."""

    def submit(function, parameters, *, environment, key, pure):
        notebook, folder = function.args
        cluster.ran.append(parameters)
        status = cluster.trouble.get(len(cluster.ran))
        if status == "interrupt":
            raise KeyboardInterrupt
        run = {"name": run_name(notebook, parameters), "status": status or "complete", "error": status and "so it was"}
        if not status:
            home = folder / run["name"]
            home.mkdir(exist_ok=True)
            (home / "results.json").write_text(
                json.dumps({"score": {"test": -((parameters.get("rate", 0.5) - 0.3) ** 2)}})
            )
            run["folder"] = str(home)
        future = Mock(spec=Future, status="finished")
        future.result.return_value = run
        future.add_done_callback.side_effect = lambda callback: callback(future)
        return future

    cluster = Mock(spec=Client, status="running", dashboard_link="nowhere", ran=[], trouble={})
    cluster.scheduler_info.return_value = {"total_threads": 1}
    cluster.submit.side_effect = submit

    @contextmanager
    def connected(*_, **__):
        yield cluster

    monkeypatch.setattr(search_module, "connected", connected)
    return cluster


def test_a_search_finds_what_is_best(notebook, folder, here, capsys):
    trials = rnb.search(notebook, folder, SPACE, trials=20, **GOAL)
    best = trials.loc[trials["score.test"].idxmax()]
    assert best["rate"] == pytest.approx(0.3, abs=0.15)
    assert set(trials["status"]) == {"complete"}
    assert set(trials["core.hidden_channels"]) == {"[4, 4]", "[8, 8]"}
    assert all(set(given) == {"rate", "overrides"} for given in here.ran)
    assert here.ran[0]["overrides"] in (["core.hidden_channels=[4, 4]"], ["core.hidden_channels=[8, 8]"])
    out = capsys.readouterr().out
    assert "20 complete" in out
    assert f"best is trial {best.name}" in out
    assert str(folder / best["run"]) in out


def test_the_least_value_can_be_the_best(notebook, folder, here):
    trials = rnb.search(notebook, folder, SPACE, trials=20, minimize=True, **GOAL)
    assert trials.loc[trials["score.test"].idxmin(), "rate"] > 0.9


@pytest.mark.parametrize("interruption", [None, 4])
def test_a_search_that_is_taken_up_draws_as_if_it_had_never_stopped(notebook, tmp_path, here, interruption):
    whole = rnb.search(notebook, tmp_path / "whole", SPACE, trials=12, seed=3, **GOAL)
    drawn, here.ran = here.ran, []
    if interruption:
        here.trouble = {interruption: "interrupt"}
        with pytest.raises(KeyboardInterrupt):
            rnb.search(notebook, tmp_path / "parts", SPACE, trials=12, seed=3, **GOAL)
        here.trouble = {}
    else:
        rnb.search(notebook, tmp_path / "parts", SPACE, trials=4, seed=3, **GOAL)
    parts = rnb.search(notebook, tmp_path / "parts", SPACE, trials=12, seed=3, **GOAL)
    kept = parts[parts["status"] != "interrupted"]
    assert len(parts) - len(kept) == bool(interruption)
    assert kept["rate"].tolist() == whole["rate"].tolist()
    assert [given for n, given in enumerate(here.ran) if n + 1 != interruption] == drawn
    other = rnb.search(notebook, tmp_path / "other", SPACE, trials=3, seed=4, **GOAL)
    assert not set(other["rate"]) & set(whole["rate"])


def test_what_fails_or_is_pruned_is_told_and_counted(notebook, folder, here, capsys):
    here.trouble = {2: "failed", 3: "pruned"}
    trials = rnb.search(notebook, folder, SPACE, trials=4, **GOAL)
    assert trials["status"].tolist() == ["complete", "failed", "pruned", "complete"]
    assert trials["error"].tolist()[1:3] == ["so it was", "so it was"]
    assert trials["score.test"].notna().tolist() == [True, False, False, True]
    assert "trial 1, run" in capsys.readouterr().out
    again = rnb.search(notebook, folder, SPACE, trials=4, **GOAL)
    assert again.equals(trials)
    assert len(here.ran) == 4


def test_two_drivers_share_trials_and_one_takes_over_what_the_other_leaves(notebook, folder):
    folder.mkdir(parents=True)
    space = checked_space(notebook, {}, SPACE)
    one, other = (SharedStudy(folder, {"a": 1}, minimize=False, seed=0) for _ in range(2))
    with other.driving():
        with one.driving():
            mine = one.ask(space, 2)
            theirs = other.ask(space, 2)
            assert mine.number != theirs.number
            assert one.ask(space, 2) is other.ask(space, 2) is None
            other.tell(theirs, {"name": "run", "status": "complete"}, 0.5)
            assert other.left(2) == 0
        assert other.left(2) == 1
        again = other.ask(space, 2)
        assert again.params == mine.params
    assert other.table("score", space)["status"].tolist() == ["interrupted", "complete", "interrupted"]


def test_another_search_in_the_same_folder_is_refused(notebook, folder, here):
    rnb.search(notebook, folder, SPACE, trials=1, **GOAL)
    with pytest.raises(UserError, match="has another space: take another folder"):
        rnb.search(notebook, folder, {"rate": [0.1, 0.2]}, trials=2, **GOAL)
    with pytest.raises(UserError, match="has another objective"):
        rnb.search(notebook, folder, SPACE, trials=2, objective="score.train")
    with pytest.raises(UserError, match="has another notebook or parameters"):
        rnb.search(notebook, folder, SPACE, trials=2, parameters={"seconds": 1.0}, **GOAL)


def test_an_objective_that_the_results_lack_is_told_after_one_run(notebook, folder, here):
    with pytest.raises(UserError, match=r"unknown result of the notebook 'score': did you mean 'score.test'"):
        rnb.search(notebook, folder, SPACE, trials=9, objective="score", workers=1)
    assert len(here.ran) == 1


def test_half_a_line_that_a_full_disk_left_is_cut_off(notebook, folder, here):
    rnb.search(notebook, folder, SPACE, trials=2, **GOAL)
    with (folder / "study.journal").open("a") as journal:
        journal.write('{"op_code": 4, "worker')
    assert len(rnb.search(notebook, folder, SPACE, trials=3, **GOAL)) == 3


def test_a_damaged_journal_is_one_sentence_and_stays_as_it_is(notebook, folder, here):
    rnb.search(notebook, folder, SPACE, trials=2, **GOAL)
    journal = folder / "study.journal"
    first, *others = journal.read_bytes().splitlines(keepends=True)
    for content in (
        b"\xff\xfe\x00\n" + first,
        first + b'{"op_code": 4, "wor' + b"".join(others),
        first + b"null\n",
        first + b'{"op_code": "x", "worker_id": 3}\n',
        first + b'{"op_code": 6, "worker_id": "a"}\n',
    ):
        journal.write_bytes(content)
        with pytest.raises(UserError, match=r"study\.journal is damaged .*: restore it, or take another folder"):
            rnb.search(notebook, folder, SPACE, trials=3, **GOAL)
        assert journal.read_bytes() == content
    journal.unlink()
    journal.mkdir()
    with pytest.raises(UserError, match="Is a directory"):
        rnb.search(notebook, folder, SPACE, trials=3, **GOAL)


@pytest.mark.parametrize(
    ("space", "message"),
    [
        ({}, "the space is empty"),
        ({"rat": [1.0]}, "did you mean 'rate'"),
        ({"rate": ["fast"]}, "cannot be the str 'fast'"),
        ({"rate": 0.5}, "the space of rate must be a list of values, a range"),
        ({"rate": []}, "the space of rate must be a list of values, a range"),
        ({"rate": {"low": 1, "high": 0}}, "the range of rate, .* cannot be: low is not below high"),
        ({"rate": {"low": 0, "high": 1, "log": True}}, "the range of rate, .* cannot be"),
        ({"rate": {"low": 0, "high": 1, "stepp": 1}}, "did you mean 'step'"),
        ({"seconds": [1.0]}, "seconds is given twice"),
        ({"rate": {0.1: None, 0.2: 3}}, "the space of rate must be a list of values, a range"),
        ({"rate": {0.1: None, "fast": None}}, "cannot be the str 'fast'"),
        ({"rate": {0.1: {"layer": [[1]]}}}, "did you mean 'layers'"),
        ({"rate": {0.1: {"layers": [[1]]}}, "layers": [[2]]}, "layers is given twice"),
        ({"rate": {0.1: {"rate": [0.2]}}}, "rate is given twice"),
        ({"overrides": {"readout": {"factorised": None}}}, "Could not find 'readout/factorised'"),
        (
            {"overrides": {"readout": {"factorized": None, "gaussian_mask": {"readout.mask_penalty": [0.1]}}}},
            "do not fit preset simulated_retina: Could not override 'readout.mask_penalty'",
        ),
        ({"overrides": [["core.dropout=0.1"]]}, "overrides of a space are values within a preset"),
        ({"overrides": {"core.dropuot": [0.1]}}, "do not fit preset simulated_retina: Could not override"),
        ({"preset": ["none"], "overrides": {"core.dropout": [0.1]}}, "unknown preset 'none'"),
    ],
)
def test_a_space_that_does_not_fit_is_refused_before_anything_starts(notebook, folder, space, message):
    with pytest.raises(UserError, match=message):
        rnb.search(notebook, folder, space, parameters={"seconds": 0.0})
    assert not folder.exists()


def test_what_is_drawn_becomes_parameters(notebook, tmp_path):
    (tmp_path / "space.yaml").write_text(
        "layers: [[1], [1, 2]]\noverrides:\n  readout: [factorized]\n  core.dropout: {low: 0, high: 1}\n"
        "  core.hidden_channels: [[4, 4]]\n  training.batch_size: {low: 4, high: 8}\n  core.projection: [null]\n"
    )
    space = checked_space(notebook, {"overrides": ["core.roughness=0.1"]}, read_space(tmp_path / "space.yaml"))
    trial = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0)).ask()
    space.draw(trial)
    parameters = space.parameters_of(trial.params)
    assert parameters["layers"] in ([1], [1, 2])
    expected = {"core.roughness=0.1", "readout=factorized", "core.hidden_channels=[4, 4]", "core.projection=null"}
    assert expected <= set(parameters["overrides"])
    config = load_preset("simulated_retina", parameters["overrides"])
    assert 0 < config["core"]["dropout"] < 1
    assert config["training"]["batch_size"] in range(4, 9)
    assert config["readout"]["kind"] == "factorized"


CONDITIONAL = """
layers:
  1:
  2: {rate: {low: 0, high: 1}}
overrides:
  readout:
    factorized: {readout.mask_penalty: {low: 0, high: 1}, readout.feature_penalty: {low: 5, high: 9}}
    point_gaussian:
      readout.feature_penalty: {low: 0, high: 2}
      readout.covariance: {full: {readout.initial_spread: [0.1, 0.2]}, diagonal: }
  core.dropout: [0.0, 0.1]
"""


def test_some_of_a_space_is_there_only_with_a_certain_choice(notebook, folder, here, capsys):
    notebook.write_text(notebook.read_text().replace("layers = [8]", "layers = 8"))
    space = notebook.with_name("space.yaml")
    space.write_text(CONDITIONAL)
    here.trouble = {7: "interrupt"}
    with pytest.raises(KeyboardInterrupt):
        rnb.search(notebook, folder, space, trials=40, **GOAL)
    assert "interrupted, and repeated by the same again: trials 6\n" in capsys.readouterr().out
    trials = rnb.search(notebook, folder, space, trials=40, **GOAL)

    assert set(trials["status"]) == {"complete", "interrupted"}
    assert here.ran[6] == here.ran[7]
    for given in here.ran:
        assert ("rate" in given) == (given["layers"] == 2)
        drawn = dict(one.split("=") for one in given["overrides"])
        config = load_preset("simulated_retina", given["overrides"])["readout"]
        expected = {"readout", "core.dropout", "readout.feature_penalty"}
        expected |= {"readout.mask_penalty"} if config["kind"] == "factorized" else {"readout.covariance"}
        expected |= {"readout.initial_spread"} if drawn.get("readout.covariance") == "full" else set()
        assert set(drawn) == expected
        assert (config["feature_penalty"] > 5) == (config["kind"] == "factorized")
        assert not float(drawn["readout.feature_penalty"]).is_integer()  # the preset has a real number there
    there = trials["readout.mask_penalty"].notna()
    assert there.equals(trials["readout"] == "factorized")
    assert trials["readout.feature_penalty"].notna().all()
    assert trials.attrs["parameters"].count("readout.feature_penalty") == 1


@pytest.mark.parametrize("preset", preset_names())
def test_every_preset_has_a_space_that_fits_it(preset, notebook):
    space = default_space(preset)
    assert 4 <= len(space["overrides"]) <= 10
    checked_space(notebook, {"preset": preset}, space)


def study_with_good_trials(folder):
    """Six trials that did well, and one that is at work."""
    options = {"study_name": "search", "direction": "maximize", "storage": pruning.storage(folder / "study.journal")}
    study = optuna.create_study(**options)
    for _ in range(6):
        trial = study.ask()
        for epoch in range(6):
            trial.report(0.9, epoch)
        study.tell(trial, 0.9)
    return study, study.ask()


def test_a_training_that_is_worse_than_others_is_pruned(tmp_path, monkeypatch):
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study, trial = study_with_good_trials(tmp_path)
    for name, value in pruning.trial_environment(tmp_path / "study.journal", "search", trial._trial_id).items():
        monkeypatch.setenv(name, value)
    recordings = {"a": small_recording()}
    options = {"max_epochs": 5, "accelerator": "cpu", "chunk_size": 40}
    with pytest.raises(optuna.TrialPruned, match=r"after epoch 3, validation_correlation"):
        rnb.fit(rnb.build_twin("simulated_retina", recordings, overrides=TINY), recordings, **options)
    assert list(study.trials[-1].intermediate_values) == [0, 1, 2]
    twin = rnb.build_twin("simulated_retina", recordings, overrides=TINY)
    assert len(rnb.fit(twin, recordings, **options).history) == 5  # a second training is not watched


REAL = """# %% tags=["parameters"]
preset = "simulated_retina"
overrides = []
seed = 0
output_dir = "runs/real"

# %%
import optuna
import retina_nb as rnb

settings = {"sessions": 1, "cells_per_session": 3, "clips": 12, "test_clips": 1, "repeats": 2, "size": (11, 13)}
recordings = rnb.load_recordings("simulated", **settings)
small = ["core.hidden_channels=[4]", "core.temporal_kernel_sizes=[7]", "core.spatial_kernel_sizes=[5]"]
twin = rnb.build_twin(preset, recordings, overrides=[*small, *overrides], seed=seed)
fit = rnb.fit(twin, recordings, max_epochs=2, **twin.config["training"])
if seed == 1:
    raise optuna.TrialPruned("after epoch 2")
rnb.write_results(output_dir, validation_correlation=fit.history["validation_correlation"].max())
"""


def test_the_command_searches_a_real_notebook(tmp_path, folder, capsys):
    notebook, space = tmp_path / "real.py", tmp_path / "space.yaml"
    notebook.write_text(REAL)
    space.write_text("seed: [0, 1]\noverrides:\n  training.learning_rate: {low: 0.01, high: 0.1, log: true}\n")
    command = ["search", str(notebook), "--space", str(space), "-o", str(folder), "--trials", "3", "--workers", "1"]
    assert main(command) == 0
    assert "best is trial" in capsys.readouterr().out
    runs = rnb.read_sweep(folder)
    assert set(runs["status"]) == {"complete", "pruned"}
    assert all("training.learning_rate=0.0" in given[0] for given in runs["overrides"])
    study = optuna.load_study(study_name="search", storage=pruning.storage(folder / "study.journal"))
    assert [len(trial.intermediate_values) for trial in study.trials] == [2, 2, 2]
    assert {trial.user_attrs["run"] for trial in study.trials} == set(runs.index)


SCRIPT = """
import sys
import retina_nb as rnb
if __name__ == "__main__":
    space = {"rate": {"low": 0, "high": 1}}
    options = {"parameters": {"seconds": float(sys.argv[3])}, "objective": "score.test", "workers": 2}
    rnb.search(sys.argv[1], sys.argv[2], space, trials=5, **options)
"""


def test_a_killed_driver_loses_only_the_trials_that_were_under_way(notebook, folder, tmp_path):
    script = tmp_path / "drive.py"
    script.write_text(SCRIPT)
    command = [sys.executable, str(script), str(notebook), str(folder), "1"]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    driver = subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True, start_new_session=True)
    for line in driver.stderr:
        if line.startswith("2/5"):
            break
    time.sleep(0.3)
    os.killpg(driver.pid, signal.SIGKILL)
    driver.wait()
    driver.stderr.close()
    subprocess.run(command, env=environment, check=True, capture_output=True)
    study = SharedStudy(folder, {}, minimize=False, seed=0)
    space = checked_space(notebook, {}, {"rate": {"low": 0, "high": 1}})
    trials = study.table("score.test", space)
    counts = trials["status"].value_counts()
    assert counts["complete"] == 5
    assert 1 <= counts["interrupted"] <= 2
    lost = trials[trials["status"] == "interrupted"]
    done = trials[trials["status"] == "complete"]
    assert set(lost["rate"]) <= set(done["rate"])
    assert done["run"].is_unique
    assert (rnb.read_sweep(folder)["status"] == "complete").sum() == 5
