"""The checks of gradients and attribution hold for a small truth as its own model, and fail for an exchanged one."""

import pytest
from exchanged import Exchanged

import retina_nb as rnb
from retina_nb.checks import attribution, gradients

SMALL = {"sessions": 1, "cells_per_session": 12, "size": (13, 15), "clips": 6, "test_clips": 2, "repeats": 2}


@pytest.fixture(scope="module")
def retina():
    return rnb.load_truth(**SMALL), rnb.load_recordings("simulated", **SMALL)


@pytest.mark.parametrize("topic", [gradients, attribution])
def test_the_truth_recovers_itself(retina, topic):
    truth, recordings = retina
    table = topic.checks(truth, truth, recordings)
    assert len({one.check for one in table}) == len(table)
    assert [one.check for one in table if not one.holds] == []


def test_a_model_whose_cells_are_exchanged_fails(retina):
    truth, recordings = retina
    holds = {one.check.split(":")[0]: one.holds for one in gradients.checks(Exchanged(truth, 3), truth, recordings)}
    assert not holds["polarity inversion"]
    assert not holds["local field"]
