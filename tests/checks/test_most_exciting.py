"""The checks of optimised stimuli hold for a small truth as its own model, and fail if its cells are exchanged."""

import pytest
from exchanged import Exchanged

import retina_nb as rnb
from retina_nb.checks import most_discriminative, most_exciting


@pytest.fixture(scope="module")
def truth():
    return rnb.load_truth(sessions=1, cells_per_session=24, size=(13, 15), clips=6, test_clips=1, repeats=2)


@pytest.mark.parametrize("topic", [most_exciting, most_discriminative])
def test_the_truth_recovers_itself(topic, truth):
    table = topic.checks(truth, truth, {})
    assert len({one.check for one in table}) == len(table) >= 3
    assert [one.check for one in table if not one.holds] == []


def test_a_model_whose_cells_are_exchanged_fails(truth):
    failed = [one.check for one in most_exciting.checks(Exchanged(truth, 7), truth, {}) if not one.holds]
    assert len(failed) >= 3, "cosines and directions"
