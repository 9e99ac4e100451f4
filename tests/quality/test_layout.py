"""Sessions, labels, repeats and movies that do not fit together are found."""

from dataclasses import replace

import numpy as np
import pytest
from faults import found
from helpers import small_recording

import retina_nb as rnb
from retina_nb import Movie, Recording


@pytest.mark.parametrize(
    ("change", "severity", "says"),
    [
        ({"rate": 60.0}, "problem", "rate (Hz) is not the same in all sessions (30.0 in session simulated_1"),
        ({"pixel_um": 25.0}, "look at it", "pixel (µm)"),
        ({"unit": "spikes/s"}, "look at it", "unit of the responses"),
    ],
)
def test_sessions_that_do_not_agree_are_found(clean, change, severity, says):
    other = replace(clean["simulated_2"], **change)
    audit = rnb.audit({"simulated_1": clean["simulated_1"], "simulated_2": other})
    assert found(audit, "agreement", says, severity=severity)


def test_movies_that_do_not_agree_are_found():
    a, b = small_recording("a"), small_recording("b", size=(5, 9))
    assert found(rnb.audit({"a": a, "b": b}), "agreement", "channel, height and width")


def test_labels_that_cannot_be_are_found(first):
    trained = replace(first, split=np.where(first.split == "test", "train", first.split))
    audit = rnb.audit({"a": trained})
    assert found(audit, "repeats", "100 % of the bins of repeats['test'] have the label 'train'")
    assert found(audit, "splits", "no bin is for test", severity="look at it")
    untrained = replace(first, split=np.where(first.split == "train", "", first.split))
    assert found(rnb.audit({"a": untrained}), "splits", "no bin is for train", severity="look at it")


def test_few_and_short_repeats_and_repeated_bins_are_found():
    recording = small_recording()
    audit = rnb.audit({"a": recording})
    assert found(audit, "repeats", "has 2 trials", severity="look at it")
    assert found(audit, "repeats", "lasts only 2.7 s", severity="look at it")
    same = replace(recording, repeats={"test": recording.repeats["test"][[0, 0]]})
    assert found(rnb.audit({"a": same}), "repeats", "the same bins twice")
    assert found(rnb.audit({"a": replace(recording, repeats={})}), "repeats", "no stimulus was", severity="look at it")


def test_unused_bins_and_missing_histories_are_found(first):
    unused = replace(first, split=np.where(np.arange(len(first)) % 900 < 300, "", first.split))
    assert found(rnb.audit({"a": unused}), "splits", "33 % of the bins are unused", severity="look at it")
    cut = replace(first, onsets=np.arange(0, len(first), 75))
    assert found(rnb.audit({"a": cut}), "history", "40 % of the train bins", severity="look at it")
    assert not found(rnb.audit({"a": cut}, history=0.4), "history", severity="look at it")


def test_a_stimulus_in_grey_levels_and_movies_that_do_not_fit_are_looked_at(first):
    grey = (first.movie.frames * 40 + 127).clip(0, 255).astype(np.uint8)
    audit = rnb.audit({"a": replace(first, movie=Movie(grey))})
    assert found(audit, "stimulus", "normalise it", severity="look at it")
    normalised = rnb.normalize(Movie(grey))
    assert not found(rnb.audit({"a": replace(first, movie=normalised)}), "stimulus", severity="look at it")
    longer = Movie(np.concatenate([first.movie.frames, first.movie.frames[:, ::-1]], axis=1))
    audit = rnb.audit({"a": replace(first, movie=longer)})
    assert found(audit, "stimulus", "the last 9750 of 19500 frames", severity="look at it")
    every = replace(first, movie=Movie(longer.frames), frames=2 * first.frames)
    assert found(rnb.audit({"a": every}), "stimulus", "every 2th", severity="look at it")


def test_trials_that_were_not_recorded_are_found(first):
    bins = first.repeats["test"]
    for padded in (bins[4:], bins[4:5, 300:]):
        responses = first.responses.copy()
        responses[padded] = 0
        audit = rnb.audit({"a": replace(first, responses=responses)})
        assert found(audit, "repeats", "no neuron responds in trial", "4", "leave out")
    assert not found(rnb.audit({"a": first}), "repeats", "no neuron responds")


def test_a_blank_movie_is_a_placeholder_if_it_is_one_frame_or_pixel(first):
    plain = {"frames": np.zeros(len(first), int), "split": first.split, "repeats": first.repeats}
    for frames, severity in ((np.zeros((1, 1, 1, 1)), "look at it"), (np.zeros((1, len(first), 4, 4)), "problem")):
        recording = Recording("a", Movie(frames), first.responses, first.rate, **plain)
        assert found(rnb.audit(recording), "stimulus", severity=severity)


@pytest.mark.parametrize("label", ["train", "validation", "test", ""])
def test_bins_of_one_label_only_are_audited(first, label):
    audit = rnb.audit(replace(first, split=np.full(len(first), label), repeats={}))
    assert found(audit, "splits", "no bin is for", severity="look at it")
