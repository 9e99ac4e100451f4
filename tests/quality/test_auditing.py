"""An audit of clean recordings has no problem, and tells of what it was given."""

from dataclasses import replace

import numpy as np
import pytest
from faults import SETTINGS, found

import retina_nb as rnb
from retina_nb import Movie, Recording, UserError


@pytest.mark.parametrize("seed", [0, 1])
@pytest.mark.parametrize("noise", ["poisson", "gaussian"])
def test_a_clean_retina_has_no_problem(seed, noise):
    recordings = rnb.load_recordings("simulated", **SETTINGS, seed=seed, noise=noise)
    audit = rnb.audit(recordings)
    assert audit.problems == ()
    assert {"agreement", "stimulus", "splits", "history", "timing", "cells", "reliability", "drift"} <= {
        finding.check for finding in audit.findings if finding.severity == "fine"
    }


def test_the_default_retina_has_nothing_to_look_at(default):
    audit = rnb.audit(default)
    assert {finding.severity for finding in audit.findings} == {"fine"}
    assert found(audit, "copies", "no clip of one split is in another; 12000 frames were compared", severity="fine")
    assert not len(audit.copies)


def test_tables_have_a_row_for_each_and_the_summary_tells_the_worst_first(clean):
    audit = rnb.audit({"simulated_1": clean["simulated_1"]} | {"late": replace(clean["simulated_2"], session="late")})
    assert audit.neurons.groupby("session").size().to_dict() == {"simulated_1": 12, "late": 12}
    assert audit.sessions["session"].tolist() == ["simulated_1", "late"]
    assert list(audit.to_dataframe().columns) == ["severity", "check", "session", "message"]
    severities = audit.to_dataframe()["severity"].tolist()
    assert severities == sorted(severities, key=["problem", "look at it", "fine"].index)
    assert str(audit) == audit.summary()
    assert "2 sessions, 24 neurons" in audit.summary()
    assert set(audit.timing["curve"]) == {"weights", "validation", "test", "early", "late"}
    assert set(audit.drift["kind"]) == {"all bins", "trials"}


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"clip": 0}, "clip must be more than 0"),
        ({"history": -1}, "history"),
        ({"max_frames": 0}, "max_frames"),
        ({"level": 95}, "level must be between 0 and 1, e.g. 0.95, not 95"),
    ],
)
def test_settings_that_cannot_be_are_refused(first, options, says):
    with pytest.raises(UserError, match=says):
        rnb.audit({"a": first}, **options)


def test_one_session_is_audited_as_several_are(first):
    audit = rnb.audit(first)
    assert audit.sessions["session"].tolist() == ["simulated_1"]
    assert audit.summary() == rnb.audit({"simulated_1": first}).summary()


def test_nothing_cannot_be_audited():
    with pytest.raises(UserError, match="no recording"):
        rnb.audit({})


def test_a_session_in_which_nothing_responds_is_a_problem_and_no_more(first):
    audit = rnb.audit({"a": replace(first, responses=np.zeros_like(first.responses))})
    assert found(audit, "cells", "neurons 0, 1, 2 and 9 more never changes")


def test_tiny_recordings_are_audited():
    tiny = Recording("tiny", Movie(np.random.default_rng(0).standard_normal((1, 5, 1, 2))), np.ones((5, 1)), 30.0)
    audit = rnb.audit({"tiny": tiny})
    assert found(audit, "cells", "never changes")
