"""Splits and sessions in different units are found; clean recordings, whatever their stimuli, are not suspected."""

from dataclasses import replace

import numpy as np
import pytest
from faults import found

import retina_nb as rnb
from retina_nb import Movie, Recording
from retina_nb.quality.units import judge_units

RATE = 30.0


def simple(kind: str = "poisson", *, seed: int = 0, test_gain: float = 1.0, neurons: int = 12, mean: float = 0.5):
    """Cells driven by numbers that have more contrast, and drive them more, in the test."""
    rng = np.random.default_rng(seed)
    drive = rng.standard_normal((3000, neurons)) * np.repeat([1.0, 1.0, 1.5], [2000, 400, 600])[:, None]
    gain = np.repeat([1.0, 1.0, test_gain], [2000, 400, 600])[:, None] * rng.uniform(0.3, 2, neurons)
    rates = mean * gain * np.exp(0.6 * drive)
    responses = {
        "poisson": lambda: rng.poisson(rates),
        "gaussian": lambda: (rates + rng.normal(0, 0.3, rates.shape)).clip(min=0),
        "smooth": lambda: smoothed(rng.poisson(rates)),
        "scored": lambda: rates - rates.mean(axis=0) + rng.normal(0, 0.3, rates.shape),
    }[kind]()
    split = np.repeat(["train", "validation", "test"], [2000, 400, 600])
    movie = Movie(rng.standard_normal((1, 3000, 2, 3)).astype(np.float32))
    return Recording("a", movie, responses.astype(np.float32), RATE, split=split, signed=kind == "scored")


def smoothed(counts):
    kernel = np.exp(-0.5 * (np.arange(-6, 7) / 2) ** 2)
    return np.stack([np.convolve(one, kernel / kernel.sum(), "same") for one in counts.T], axis=1)


def scaled(recording, factor, split="test"):
    inside = (recording.split == split)[:, None]
    return replace(recording, responses=np.where(inside, recording.responses * factor, recording.responses))


@pytest.mark.parametrize("kind", ["poisson", "gaussian", "smooth", "scored"])
@pytest.mark.parametrize("test_gain", [0.25, 1.0, 4.0])
@pytest.mark.parametrize("mean", [0.05, 0.5, 20.0])
def test_other_stimuli_and_rates_are_not_other_units(kind, test_gain, mean):
    for seed in range(8):
        recording = simple(kind, seed=seed, test_gain=test_gain, mean=mean)
        assert [one.severity for one in judge_units({"a": recording})] == ["fine"], recording


@pytest.mark.parametrize("kind", ["poisson", "gaussian", "smooth", "scored"])
@pytest.mark.parametrize("factor", [16.67, 1 / 16.67, 30.0, 100.0])
def test_a_split_in_another_unit_is_found(kind, factor):
    for seed in range(3):
        for split in ("validation", "test"):
            recording = scaled(simple(kind, seed=seed), factor, split)
            (finding,) = judge_units({"a": recording})
            assert finding.severity == ("problem" if kind == "poisson" else "look at it")
            assert f"session a: {split} responses" in finding.message


def test_means_over_trials_are_no_other_unit_and_asked_about():
    recording = simple()
    inside = np.flatnonzero(recording.split == "test")
    counts = np.random.default_rng(1).poisson(recording.responses[inside].mean(axis=0), (10, len(inside), 12))
    responses = recording.responses.copy()
    responses[inside] = counts.mean(axis=0)
    (finding,) = judge_units({"a": replace(recording, responses=responses)})
    assert (finding.severity, "means over trials" in finding.message) == ("look at it", True)


def test_sessions_in_different_steps_and_wrong_labels_are_asked_about():
    one = simple()
    hertz = replace(one, session="b", responses=one.responses * 30, unit="a.u.")
    assert [finding.severity for finding in judge_units({"a": one, "b": hertz})] == ["fine"]
    (finding,) = judge_units({"a": replace(one, unit="a.u."), "b": hertz})
    assert "come in different steps (of 1 in session a; of 30 in session b)" in finding.message
    (finding,) = judge_units({"b": replace(hertz, unit="spikes/bin")})
    assert "come in steps of 30 and are said to be spikes/bin" in finding.message


@pytest.mark.parametrize("noise", ["poisson", "gaussian"])
def test_clean_simulated_retinas_are_in_one_unit(noise):
    settings = {"sessions": 2, "cells_per_session": 12, "clips": 12, "test_clips": 5, "repeats": 5}
    for seed in range(4):
        recordings = rnb.load_recordings("simulated", **settings, seed=seed, noise=noise)
        assert [finding.severity for finding in judge_units(recordings)] == ["fine"]


def test_the_audit_tells_of_units(first):
    audit = rnb.audit({"a": scaled(first, 16.67)})
    assert found(audit, "units", "test responses are 1", "in steps of 16.7, training responses in steps of 1")
