"""Latencies are those of the truth, and responses that are late are found."""

from dataclasses import replace

import numpy as np
import pytest
from faults import found, moved

import retina_nb as rnb


def test_latencies_are_those_of_the_truth(clean):
    audit = rnb.audit(clean)
    truth = np.concatenate([recording.neurons["latency"] for recording in clean.values()])
    error = (audit.neurons["latency"] - truth).abs()
    assert audit.neurons["latency"].notna().mean() > 0.8
    assert error.median() < 0.5 / 30
    assert audit.sessions["latency"].to_numpy() == pytest.approx(np.median(truth), abs=0.5 / 30)
    assert (audit.sessions[["validation_shift", "test_shift"]].abs() < 0.5).all(axis=None)


@pytest.mark.parametrize("bins", [-1, 1])
def test_a_shift_of_one_bin_in_the_default_retina_is_found_where_it_is(default, bins):
    one, other = default["simulated_2"], default["simulated_3"]
    planted = {"simulated_2": moved(one, bins), "simulated_3": moved(other, bins, other.split == "test")}
    problems = rnb.audit(default | planted).problems
    assert [(finding.check, finding.session) for finding in problems] == [
        ("timing", "simulated_2"),
        ("timing", "simulated_3"),
    ]
    assert "than in other sessions" in problems[0].message
    assert "test responses come" in problems[1].message


@pytest.mark.parametrize("bins", [-1, 1])
def test_a_shift_of_one_bin_in_one_session_is_found(clean, bins):
    audit = rnb.audit(clean | {"simulated_2": moved(clean["simulated_2"], bins)})
    (finding,) = audit.problems
    assert (finding.check, finding.session) == ("timing", "simulated_2")
    assert ("later" if bins > 0 else "earlier") + " than in other sessions" in finding.message


@pytest.mark.parametrize("split", ["test", "validation"])
@pytest.mark.parametrize("bins", [-1, 1])
def test_a_shift_of_one_bin_in_one_split_is_found(first, split, bins):
    audit = rnb.audit({"a": moved(first, bins, first.split == split)})
    direction = "later" if bins > 0 else "earlier"
    assert found(audit, "timing", f"{split} responses come", direction)
    assert audit.sessions[f"{split}_shift"].item() == pytest.approx(bins, abs=0.35)


def test_a_shift_of_all_sessions_is_found_if_the_latency_is_known(clean):
    shifted = {name: moved(recording, 1) for name, recording in clean.items()}
    assert rnb.audit(shifted).problems == ()
    assert len(found(rnb.audit(shifted, expected_latency=0.1), "timing", "more than the 100 ms")) == 3
    assert rnb.audit(clean, expected_latency=0.1).problems == ()


@pytest.mark.parametrize("bins", [-6, -4])
def test_responses_before_the_stimulus_are_found(first, bins):
    audit = rnb.audit(moved(first, bins))
    assert found(audit, "timing", f"responses come {-bins - 3}", "before the stimulus")


@pytest.mark.parametrize("bins", [-3, 7])
def test_an_unusual_latency_is_looked_at(first, bins):
    assert found(rnb.audit(moved(first, bins)), "timing", "unusual for ganglion cells", severity="look at it")


def test_responses_in_another_order_predict_nothing(first):
    shuffled = np.random.default_rng(0).permutation(len(first))
    audit = rnb.audit({"a": replace(first, responses=first.responses[shuffled])})
    assert found(audit, "timing", "hardly predicts", severity="look at it")
    assert found(audit, "reliability", "are the trials aligned?")


def test_a_trial_that_starts_late_is_found(first):
    trial = first.repeats["test"][2]
    audit = rnb.audit({"a": moved(first, 1, trial)})
    assert found(audit, "timing", "trial 2 of repeats['test'] comes", "later")


def test_responses_that_slip_are_found(first):
    # A stimulus that is 0.03 % slower than was thought: 3 bins in 9000.
    late = np.linspace(0, 3, len(first)).round().astype(int)
    slipped = replace(first, responses=first.responses[np.maximum(np.arange(len(first)) - late, 0)])
    assert found(rnb.audit({"a": slipped}), "timing", "slip")


def test_a_single_cell_may_be_late_by_nature(first, clean):
    one = replace(first, responses=first.responses[:, :1], neurons={})
    audit = rnb.audit(
        clean | {"one": replace(moved(one, 1), session="one"), "two": moved(one, -2, one.split == "test")}
    )
    assert audit.problems == ()
    assert found(audit, "timing", "session two: test responses come", "earlier", severity="look at it")
