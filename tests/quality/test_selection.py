"""Neurons are kept for a reason, and dropped for one that is told."""

from dataclasses import replace

import numpy as np
import pytest
from helpers import small_recording

import retina_nb as rnb
from retina_nb import Movie, Recording, UserError
from retina_nb.quality import neuron_quality


@pytest.fixture(scope="module")
def recording():
    """Twelve neurons, six trials; 2 is silent, 5 and 7 are noise, and 9 has another type than the others."""
    rng = np.random.default_rng(0)
    frames = np.concatenate([np.arange(600), *[np.arange(400, 600)] * 5])
    rates = rng.gamma(0.5, 3.0, (600, 12))
    rates[:, 2], rates[:, [5, 7]] = 0, 1
    return Recording(
        "a",
        Movie(rng.standard_normal((1, 600, 5, 7)).astype(np.float32)),
        rng.poisson(rates[frames]),
        30.0,
        frames=frames,
        split=np.repeat(["train", "test"], [400, 1200]),
        repeats={"test": np.arange(400, 1600).reshape(6, 200)},
        neurons={"type": np.where(np.arange(12) == 9, "OFF", "ON"), "number": np.arange(12)},
    )


def test_neurons_that_never_respond_are_dropped_unless_they_are_wanted(recording):
    kept, dropped = rnb.select_neurons(recording)
    assert kept.neurons["number"].tolist() == [n for n in range(12) if n != 2]
    np.testing.assert_array_equal(kept.responses, recording.responses[:, kept.neurons["number"]])
    assert dropped[["session", "neuron", "reason"]].to_numpy().tolist() == [["a", 2, "response is constant"]]
    kept, dropped = rnb.select_neurons(recording, responding=False)
    assert kept is recording
    assert not len(dropped)


@pytest.mark.parametrize(
    ("criterion", "least"),
    [
        ("quality_index", 0.45),
        ("reliability", 0.6),
        ("reliability_low", 0.4),
        ("explainable_variance_ratio", 0.15),
        ("signal_to_noise", 0.5),
    ],
)
def test_noise_is_dropped_and_the_reason_has_value_and_limit(recording, criterion, least):
    kept, dropped = rnb.select_neurons(recording, **{criterion: least})
    assert kept.about["kept_neurons"] == [0, 1, 3, 4, 6, 8, 9, 10, 11]
    assert dropped["neuron"].tolist() == [2, 5, 7]
    for row in dropped.iloc[1:].to_dict("records"):
        assert row["reason"] == f"{criterion} {row[criterion]:.4g} < {least:g}"


def test_all_reasons_are_told_together(recording):
    _, dropped = rnb.select_neurons(recording, types=["OFF"], reliability_low=0.4)
    assert dropped["neuron"].tolist() == [n for n in range(12) if n != 9]
    (reason,) = dropped["reason"][dropped["neuron"] == 5]
    assert reason.startswith("type ON; reliability_low ")


def test_numbers_of_kept_neurons_are_those_of_the_first_recording(recording):
    once, _ = rnb.select_neurons(recording, types=["ON"])
    again, _ = rnb.select_neurons(once, reliability_low=0.4)
    assert again.about["kept_neurons"] == again.neurons["number"].tolist() == [0, 1, 3, 4, 6, 8, 10, 11]


def test_sessions_without_a_neuron_are_left_out_and_accounted_for(recording):
    silent = replace(recording, session="b", responses=np.zeros_like(recording.responses))
    kept, dropped = rnb.select_neurons({"a": recording, "b": silent})
    assert list(kept) == ["a"]
    assert dropped.groupby("session").size().to_dict() == {"a": 1, "b": 12}


def test_a_selection_passes_its_own_criteria_and_the_rest_does_not(recording):
    kept, _ = rnb.select_neurons(recording, reliability=0.6, reliability_low=0.3)
    table = neuron_quality(kept)
    assert (table["reliability"] >= 0.6).all()
    assert (table["reliability_low"] >= 0.3).all()
    _, dropped = rnb.select_neurons(kept, reliability=0.6, reliability_low=0.3)
    assert not len(dropped)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"reliability": 2}, "no neuron is left: of 12, 11 for reliability, 1 for response were dropped; loosen"),
        ({"types": ["OFFF"]}, "unknown type of neurons 'OFFF': did you mean 'OFF'"),
    ],
)
def test_criteria_that_nothing_meets_are_refused(recording, options, says):
    with pytest.raises(UserError, match=says):
        rnb.select_neurons(recording, **options)


def test_criteria_that_cannot_be_judged_are_refused(recording):
    with pytest.raises(UserError, match="session a has no repeated stimulus, from which reliability is told"):
        rnb.select_neurons(replace(recording, repeats={}), reliability=0.1)
    with pytest.raises(UserError, match="unknown property of the neurons of session a 'type'"):
        rnb.select_neurons(small_recording(), types=["ON"])
    with pytest.raises(UserError, match="level must be between 0 and 1"):
        rnb.select_neurons(small_recording(), level=1)
    with pytest.raises(UserError, match="no recording"):
        rnb.select_neurons({})
