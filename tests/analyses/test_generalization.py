"""Score matrices of models whose strengths are known."""

import numpy as np
import pytest
import torch
from analyses.populations.toys import Weighted
from helpers import small_recording

import retina_nb as rnb
from retina_nb import UserError
from retina_nb.analyses.generalization import expected_tests, recorded_tests, score_matrix, trained_on
from retina_nb.loaders.simulated.movies import CLIP_FRAMES, frames_of
from retina_nb.models.linear_nonlinear import fit_linear_nonlinear


def cell(*places, lag=1):
    """A model of one neuron in session a that adds pixels (channel, y, x), after an exponential."""
    weights = np.zeros((1, 2, 7, 9))
    for place in places:
        weights[(0, *place)] = 0.7
    return Weighted(weights, torch.exp, lag)


def stimuli():
    """Noise in one channel and in the other."""
    frames = np.random.default_rng(0).standard_normal((2, 400, 7, 9)).astype(np.float32)
    colours = np.eye(2, dtype=np.float32)[:, :, None, None, None]
    return dict(zip(("green", "UV"), colours * frames, strict=True))


def test_a_model_fails_on_the_stimulus_that_it_does_not_know():
    truth, green = cell((0, 2, 3), (1, 4, 6)), cell((0, 2, 3))
    found = score_matrix({"truth": truth, "green": green}, expected_tests(truth, stimuli(), ["a"]))
    matrix = found.matrix()
    np.testing.assert_allclose(matrix.loc["truth"], 1, atol=1e-6)
    assert matrix.loc["green", "green"] == pytest.approx(1)
    assert abs(matrix.loc["green", "UV"]) < 1e-6
    assert list(found.to_dataframe()) == ["session", "neuron", "model", "test", "correlation"]
    gain = found.compare("UV").loc["green", "gain"]
    assert gain == pytest.approx(-1, abs=1e-5)


def test_models_of_different_lags_are_scored_on_the_same_bins():
    truth, late = cell((0, 2, 3)), cell((0, 2, 3), lag=2)
    sets = expected_tests(truth, stimuli(), ["a"])
    alone = score_matrix({"late": late}, sets).matrix()
    both = score_matrix({"truth": truth, "late": late}, sets).matrix()
    assert both.loc["late", "green"] == alone.loc["late", "green"]
    assert abs(both.loc["late", "green"]) < 0.2
    assert both.loc["truth", "green"] == pytest.approx(1)


def test_recorded_bins_are_sorted_by_what_was_on_screen():
    recording = small_recording()
    early = np.arange(400) < 360
    sets = recorded_tests({"a": recording}, {"early": early, "late": ~early})
    assert [sets[name][0].scored.sum() for name in sets] == [40, 40]
    assert sets["early"][0].responses.shape == (2, 80, 3)
    kept = trained_on({"a": recording}, early, splits=("train", "validation", "test"))["a"]
    assert set(kept.split[recording.frames >= 360]) == {""}
    assert (kept.split == recording.split)[recording.frames < 360].all()


def test_a_model_trained_on_one_kind_does_less_well_on_another():
    settings = {"sessions": 1, "cells_per_session": 12, "clips": 30, "test_clips": 3, "repeats": 4, "size": (11, 13)}
    recordings, truth = rnb.load_recordings("simulated", **settings), rnb.load_truth(**settings)
    movie = len(recordings["simulated_1"].movie)
    natural = frames_of("natural", movie)
    assert natural.reshape(-1, CLIP_FRAMES).all(axis=1).sum() == 13
    models = {
        "truth": truth,
        "all": fit_linear_nonlinear(recordings),
        "noise": fit_linear_nonlinear(trained_on(recordings, frames_of("noise", movie))),
    }
    matrix = score_matrix(models, recorded_tests(recordings, {"natural": natural, "rest": ~natural})).matrix()
    assert matrix.loc["noise", "natural"] < matrix.loc["all", "natural"] < matrix.loc["truth", "natural"]
    repeated = score_matrix(models, recorded_tests(recordings, {"natural": natural}), metric="cc_norm")
    assert repeated.matrix().loc["truth", "natural"] == pytest.approx(1, abs=0.1)


def test_bad_input_is_refused():
    recording, model = small_recording(), cell((0, 2, 3))
    sets = expected_tests(model, stimuli(), ["a"])
    with pytest.raises(UserError, match="one model or more"):
        score_matrix({}, sets)
    with pytest.raises(UserError, match="same neurons"):
        score_matrix({"model": model}, sets | recorded_tests({"a": recording}, {"all": np.ones(400, bool)}))
    with pytest.raises(UserError, match="unknown metric 'corelation': did you mean 'correlation'"):
        score_matrix({"model": model}, sets, metric="corelation")
    with pytest.raises(UserError, match="unknown test set 'red'"):
        score_matrix({"model": model}, sets).compare("red")
    with pytest.raises(UserError, match="each of the 400 frames"):
        recorded_tests({"a": recording}, {"all": np.ones(399, bool)})
    with pytest.raises(UserError, match="no bin of test shows none"):
        recorded_tests({"a": recording}, {"none": np.zeros(400, bool)})
    with pytest.raises(UserError, match="no train bin"):
        trained_on({"a": recording}, np.arange(400) > 300)
    with pytest.raises(UserError, match="no bin is left to score after 400"):
        score_matrix({"model": model, "long": cell((0, 1, 1), lag=400)}, sets)
