"""The checks of phenomena hold for a small truth as its own model, and fail for one without its parts."""

import copy

import pytest

import retina_nb as rnb
from retina_nb.checks.phenomena import checks


@pytest.fixture(scope="module")
def truth():
    return rnb.load_truth(sessions=1, cells_per_session=12, size=(13, 15), clips=6, test_clips=1, repeats=2)


def test_the_truth_recovers_itself(truth):
    table = checks(truth, truth, {})
    assert len({one.check for one in table}) == len(table) == 11
    assert [one.check for one in table if not one.holds] == []


def test_a_retina_without_subunits_and_gain_control_fails(truth):
    changed = copy.deepcopy(truth)
    changed.rectified.zero_()
    changed.gain_control.zero_()
    failed = " ".join(one.check for one in checks(changed, truth, {}) if not one.holds)
    assert "frequency doubling: cells with subunits" in failed
    assert "contrast adaptation" in failed
