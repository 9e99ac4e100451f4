"""The checks hold for a small truth as its own model, and fail for a model whose cells answer for each other."""

import pytest
from exchanged import Exchanged

import retina_nb as rnb
from retina_nb.checks import generalization, populations

SETTINGS = {"sessions": 1, "cells_per_session": 24, "size": (13, 15), "clips": 6, "test_clips": 4, "repeats": 12}


@pytest.fixture(scope="module")
def truth():
    return rnb.load_truth(**SETTINGS)


@pytest.fixture(scope="module")
def recordings():
    return rnb.load_recordings("simulated", **SETTINGS)


@pytest.mark.parametrize("topic", [populations, generalization], ids=lambda topic: topic.__name__.split(".")[-1])
def test_the_truth_recovers_itself_and_exchanged_cells_do_not(topic, truth, recordings):
    table = topic.checks(truth, truth, recordings)
    assert len({one.check for one in table}) == len(table) >= 6
    # A screen this small has few values to read back, and no room for many cells.
    assert [one.check for one in table if not one.holds and not one.check.startswith("reconstruction")] == []
    failed = [one.check for one in topic.checks(Exchanged(truth), truth, recordings) if not one.holds]
    wanted = ("signal", "redundancy", "types", "direction", "information") if topic is populations else ("new",)
    for name in wanted:
        assert any(check.startswith(name) for check in failed), name
