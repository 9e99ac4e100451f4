"""Responses that fade, grow or end are found."""

from dataclasses import replace

import numpy as np
import pytest
from faults import found

import retina_nb as rnb


@pytest.mark.parametrize(
    ("last", "severity", "says"),
    [(0.15, "problem", "shrink"), (5.0, "problem", "grow"), (0.5, "look at it", "shrink")],
)
def test_drift_is_found(first, last, severity, says):
    rng = np.random.default_rng(0)
    gain = np.linspace(1, last, len(first))[:, None]
    drifted = replace(first, responses=rng.poisson(first.responses * gain).astype(np.float32))
    audit = rnb.audit({"a": drifted})
    assert found(audit, "drift", says, "'test'", severity=severity)
    assert audit.sessions["change"].item() == pytest.approx((3 * last + 1) / (last + 11) * 3, rel=0.15)
    course = audit.drift.query("kind == 'trials'")["relative"].to_numpy()
    assert (course[0] > course[-1]) == (last < 1)


def test_cells_that_are_lost_are_found(first):
    responses = first.responses.copy()
    responses[len(first) // 2 :, :4] = 0
    audit = rnb.audit({"a": replace(first, responses=responses)})
    assert found(audit, "drift", "4 of 12 neurons", severity="look at it")


def test_drift_of_traces_that_may_be_negative_is_that_of_their_size(first):
    traces = first.responses - first.responses.mean(axis=0)
    traced = replace(first, responses=traces * np.linspace(1, 0.1, len(first))[:, None], signed=True)
    assert found(rnb.audit({"a": traced}), "drift", "shrink")
    assert rnb.audit({"a": replace(first, responses=traces, signed=True)}).problems == ()
