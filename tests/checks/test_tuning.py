"""The checks of tuning hold for a small truth as its own model, and fail for a model that knows nothing."""

import numpy as np
import pytest
from exchanged import Exchanged

import retina_nb as rnb
from retina_nb.checks.tuning import checks


@pytest.fixture(scope="module")
def truth():
    return rnb.load_truth(sessions=1, cells_per_session=12, size=(13, 15), clips=6, test_clips=1, repeats=2)


def test_the_truth_recovers_itself(truth):
    table = checks(truth, truth, {})
    assert len({one.check for one in table}) == len(table) == 18
    assert [one.check for one in table if not one.holds] == []


def test_a_model_whose_cells_are_exchanged_fails(truth):
    failed = [one.check for one in checks(Exchanged(truth, 5), truth, {}) if not one.holds]
    for name in (
        "preferred direction",
        "direction selectivity",
        "ON-OFF index",
        "latency",
        "surround",
        "colour",
        "chirp",
    ):
        assert np.any([check.startswith(name) for check in failed]), name
