import copy
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch
from helpers import TINY, small_recording

import retina_nb as rnb
from retina_nb.evaluation import BASELINE, compare_all_models
from retina_nb.metrics import bootstrap_interval

SETTINGS = {"sessions": 2, "orders": 1, "cells_per_session": 12, "clips": 6, "test_clips": 5, "repeats": 10}


class Shuffled(torch.nn.Module):
    """A model whose predictions come at the wrong times."""

    def __init__(self, model):
        super().__init__()
        self.model, self.lag = model, model.lag

    def forward(self, stimulus, session=None):
        rates = self.model(stimulus, session)
        order = torch.randperm(rates.shape[1], generator=torch.Generator().manual_seed(0))
        return rates[:, order]


@pytest.fixture(scope="module")
def simulated():
    return rnb.load_recordings("simulated", **SETTINGS), rnb.load_truth(**SETTINGS)


def test_the_truth_scores_one_within_its_intervals():
    recordings, truth = rnb.load_recordings("simulated"), rnb.load_truth()
    scores = rnb.evaluate(truth, recordings, baseline=None)
    assert len(scores) == 120
    for metric in ("cc_norm", "feve"):
        inside = []
        for session, recording in recordings.items():
            prediction = rnb.predict(truth, recording.stimulus("test"), session)
            trials = recording.trials()[:, truth.lag :]
            low, high = bootstrap_interval(trials, prediction, metric)
            inside.append((low <= 1) & (high >= 1))
        assert np.concatenate(inside).mean() >= 0.85  # of intervals that promise 95 %, on 24 s of test movie
    assert scores["cc_norm"].median() == pytest.approx(1, abs=0.03)
    assert scores["feve"].median() == pytest.approx(1, abs=0.06)
    # No correlation goes beyond its ceiling but by chance.
    assert (scores["correlation"] - scores["cc_max"]).median() == pytest.approx(0, abs=0.02)


def test_a_shuffled_prediction_scores_nothing(simulated):
    recordings, truth = simulated
    scores = rnb.evaluate(Shuffled(truth), recordings, baseline=None)
    assert abs(scores["cc_norm"].median()) < 0.1
    assert scores["feve"].median() < 0.1
    assert scores["feve_clipped"].min() >= 0


def test_the_lag_is_cut_from_the_start(simulated):
    """A prediction that is late by one bin scores clearly worse than the truth."""
    recordings, truth = simulated

    class Late(Shuffled):
        def forward(self, stimulus, session=None):
            return self.model(stimulus, session).roll(1, dims=1)

    right = rnb.evaluate(truth, recordings, baseline=None)["correlation"]
    late = rnb.evaluate(Late(truth), recordings, baseline=None)["correlation"]
    assert (right > late).mean() > 0.95


def test_every_neuron_has_its_row_with_the_baseline_beside(simulated):
    recordings, truth = simulated
    scores = rnb.evaluate(truth, recordings)
    assert list(scores.columns[:2]) == ["session", "neuron"]
    for name in ("correlation", "cc_norm", "cc_max", "feve", "feve_clipped", "reliability", "bits_per_spike", "type"):
        assert name in scores
    assert scores["session"].value_counts().to_dict() == {"simulated_1": 12, "simulated_2": 12}
    assert (scores["cc_norm"] > scores[f"{BASELINE}_cc_norm"]).mean() > 0.8


def test_prediction_in_blocks_equals_prediction_at_once():
    recording = small_recording(time=3300)
    twin = rnb.build_twin("simulated_retina", {"a": recording}, overrides=TINY).eval()
    stimulus = recording.stimulus("train")
    with torch.no_grad():
        whole = twin(torch.from_numpy(stimulus)[None], "a")[0].numpy()
    np.testing.assert_allclose(rnb.predict(twin, stimulus, "a"), whole, rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(rnb.predict(twin, stimulus.astype(float), "a"), whole, rtol=1e-4, atol=1e-6)


def test_a_test_stimulus_without_repeats_has_scores_but_no_ceiling():
    repeated = small_recording()
    first = {"frames": repeated.frames[:400], "split": repeated.split[:400]}
    recording = rnb.Recording("a", repeated.movie, repeated.responses[:400], 30.0, **first)
    twin = rnb.build_twin("simulated_retina", {"a": recording}, overrides=TINY)
    scores = rnb.evaluate(twin, {"a": recording}, baseline=None)
    assert scores["correlation"].notna().all()
    assert scores["cc_max"].isna().all()


def test_one_recording_needs_no_name():
    recording = small_recording("a")
    twin = rnb.build_twin("simulated_retina", recording, overrides=TINY)
    rnb.fit(twin, recording, max_epochs=1)
    assert list(rnb.evaluate(twin, recording, baseline=None)["session"]) == ["a"] * 3


def test_what_does_not_fit_is_refused_in_a_sentence():
    recordings = {"a": small_recording()}
    twin = rnb.build_twin("simulated_retina", recordings, overrides=TINY)
    with pytest.raises(rnb.UserError, match="known are a"):
        rnb.evaluate(twin, {"b": small_recording("b")}, baseline=None)
    with pytest.raises(rnb.UserError, match="has 4 neurons, the model predicts 3"):
        rnb.evaluate(twin, {"a": small_recording("a", neurons=4)}, baseline=None)
    with pytest.raises(rnb.UserError, match="unknown split of session a 'chirp'"):
        rnb.evaluate(twin, recordings, stimulus="chirp", baseline=None)
    for frames in (np.zeros((60, 7, 9), np.float32), np.zeros((1, 2, 60, 7, 9), np.float32)):
        with pytest.raises(rnb.UserError, match="needs one stimulus"):
            rnb.predict(twin, frames)
    with pytest.raises(rnb.UserError, match="more than 6 bins"):
        rnb.predict(twin, np.zeros((2, 6, 7, 9), np.float32))


@pytest.mark.parametrize("split", ["train", "validation", "test"])
@pytest.mark.parametrize("lag", [0, 7])
def test_a_perfect_predictor_scores_one_on_every_split(split, lag):
    """However often a split is interrupted and whatever the lag: history is what was seen before, not a false join."""

    class Perfect(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.lag = lag

        def forward(self, stimulus, session=None):
            recent = stimulus[:, 0, :, 2:5, 3].clamp(min=0).cumsum(dim=1)
            return recent[:, lag:] - torch.nn.functional.pad(recent, (0, 0, 1, 0))[:, : recent.shape[1] - lag]

    recording = small_recording(time=600)
    history = recording.stimulus_at(np.concatenate([np.zeros(lag, int), np.arange(len(recording))]))
    responses = Perfect()(torch.from_numpy(history)[None])[0].numpy()
    label = np.repeat([["train", "validation", "train", "test"]], 17, axis=0).ravel().repeat(10)
    recording = replace(
        recording, responses=responses.clip(min=0), split=label, repeats={}, onsets=np.array([0, 300, 600])
    )
    scores = rnb.evaluate(Perfect(), {"a": recording}, stimulus=split, baseline=None)
    np.testing.assert_allclose(scores["correlation"], 1, atol=1e-6)


def test_the_scores_of_a_session_do_not_depend_on_the_others_and_the_model_is_left_as_it_is(simulated):
    recordings, _ = simulated
    twin = rnb.build_twin("simulated_retina", recordings, overrides=TINY)
    about, weights = copy.deepcopy(twin.about), copy.deepcopy(twin.eval().state_dict())
    together = rnb.evaluate(twin, recordings, baseline=None)
    backwards = rnb.evaluate(twin, dict(reversed(recordings.items())), baseline=None)
    for session in recordings:
        one, other = (table[table["session"] == session].reset_index(drop=True) for table in (together, backwards))
        pd.testing.assert_frame_equal(one, other)
    assert twin.about == about
    assert all(torch.equal(value, weights[name]) for name, value in twin.state_dict().items())


def test_all_models_are_compared_with_the_first():
    base = np.random.default_rng(0).uniform(0.3, 0.8, 50)
    scores = pd.DataFrame({"plain": base, "better": base + 0.1, "same": base + np.resize([0.01, -0.01], 50)})
    table = compare_all_models(scores)
    assert list(table.index) == ["plain", "better", "same"]
    assert (table["low"] <= table["median"]).all()
    assert (table["median"] <= table["high"]).all()
    assert table.loc["plain", "gain"] == 0
    np.testing.assert_allclose(table.loc["better", ["gain", "gain_low", "gain_high"]].astype(float), 0.1)
    assert table.loc["same", "gain_low"] < 0 < table.loc["same", "gain_high"]


def test_no_property_of_the_cells_takes_the_place_of_another_column():
    names = ("session", "neuron", "correlation", "cc_norm_low", f"{BASELINE}_feve")
    recording = small_recording()
    odd = {name: np.array([7.0, 8.0, 9.0]) for name in names}
    odd |= {
        "position": np.arange(6).reshape(3, 2),
        "position_0": np.array([1, 2, 3]),
        "type": np.array(["x", "y", "z"]),
    }
    twin = rnb.build_twin("simulated_retina", recording, overrides=TINY)
    plain, scores = (rnb.evaluate(twin, one) for one in (recording, replace(recording, neurons=odd)))
    pd.testing.assert_frame_equal(scores[plain.columns], plain)
    for name in names:
        assert scores[f"recorded_{name}"].tolist() == [7.0, 8.0, 9.0]
    assert scores["position_0"].tolist() == [0, 2, 4]
    assert scores["position_1"].tolist() == [1, 3, 5]
    assert scores["recorded_position_0"].tolist() == [1, 2, 3]
    assert scores["type"].tolist() == ["x", "y", "z"]


@pytest.mark.parametrize("bins", [4, 30, 62])
def test_a_short_test_is_scored(bins):
    recording = small_recording(time=500)
    recording = replace(recording, repeats={"test": recording.repeats["test"][:, : bins + 20]})
    twin = rnb.build_twin("simulated_retina", recording, overrides=TINY)
    scores = rnb.evaluate(twin, recording)
    assert scores["correlation"].notna().all()
    assert (scores["correlation_low"] <= scores["correlation_high"]).all()


def test_what_cannot_be_scored_is_told_with_the_session_before_a_baseline_is_fitted(monkeypatch):
    recording = small_recording()
    twin = rnb.build_twin("simulated_retina", recording, overrides=TINY)
    monkeypatch.setattr("retina_nb.evaluation.fit_linear_nonlinear", None)
    one = replace(recording, repeats={"test": recording.repeats["test"][:, :7]})
    with pytest.raises(rnb.UserError, match="session a: test has 1 bins to score after 6 bins of history"):
        rnb.evaluate(twin, one, baseline=None)
    with pytest.raises(rnb.UserError, match="unknown split of session a 'tset': did you mean 'test'"):
        rnb.evaluate(twin, recording, stimulus="tset")
    below = replace(recording, responses=recording.responses - 1, signed=True)
    with pytest.raises(rnb.UserError, match=r"session a has responses below zero.*make them positive"):
        rnb.evaluate(twin, below)
    with pytest.raises(rnb.UserError, match=r"between 0 and 1, e\.g\. 0\.95, not 95"):
        rnb.evaluate(twin, recording, level=95)
