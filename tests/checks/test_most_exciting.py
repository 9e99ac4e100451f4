"""The checks of optimised stimuli hold for a small truth as its own model, and fail if its cells are exchanged."""

import pytest
import torch

import retina_nb as rnb
from retina_nb.checks import most_discriminative, most_exciting


@pytest.fixture(scope="module")
def truth():
    return rnb.load_truth(sessions=1, cells_per_session=24, size=(13, 15), clips=6, test_clips=1, repeats=2)


class Exchanged(torch.nn.Module):
    """The truth, whose cells answer for each other."""

    def __init__(self, truth):
        super().__init__()
        self.truth, self.lag = truth, truth.lag
        self.stimulus_shape, self.about = truth.stimulus_shape, truth.about

    def forward(self, stimulus, session=None):
        return self.truth(stimulus, session).roll(7, dims=-1)


@pytest.mark.parametrize("topic", [most_exciting, most_discriminative])
def test_the_truth_recovers_itself(topic, truth):
    table = topic.checks(truth, truth, {})
    assert len({one.check for one in table}) == len(table) >= 3
    assert [one.check for one in table if not one.holds] == []


def test_a_model_whose_cells_are_exchanged_fails(truth):
    failed = [one.check for one in most_exciting.checks(Exchanged(truth), truth, {}) if not one.holds]
    assert len(failed) >= 3, "cosines and directions"
