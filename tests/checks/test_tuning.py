"""The checks of tuning hold for a small truth as its own model, and fail for a model that knows nothing."""

import numpy as np
import pytest
import torch

import retina_nb as rnb
from retina_nb.checks.tuning import checks


@pytest.fixture(scope="module")
def truth():
    return rnb.load_truth(sessions=1, cells_per_session=12, size=(13, 15), clips=6, test_clips=1, repeats=2)


def test_the_truth_recovers_itself(truth):
    table = checks(truth, truth, {})
    assert len({one.check for one in table}) == len(table) == 18
    assert [one.check for one in table if not one.holds] == []


class Shuffled(torch.nn.Module):
    """The truth, whose cells answer for each other."""

    def __init__(self, truth):
        super().__init__()
        self.truth, self.lag = truth, truth.lag
        self.stimulus_shape, self.about = truth.stimulus_shape, truth.about

    def forward(self, stimulus, session=None):
        return self.truth(stimulus, session).roll(5, dims=-1)


def test_a_model_whose_cells_are_exchanged_fails(truth):
    failed = [one.check for one in checks(Shuffled(truth), truth, {}) if not one.holds]
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
