"""The small simulated retina with its places, and without some of its parts."""

import copy

import pytest


@pytest.fixture(scope="session")
def places(cells):
    return cells[["y", "x"]].to_numpy()


@pytest.fixture(scope="session")
def without(truth):
    """The truth without a part of every cell: `without("gain_control")`."""

    def made(part):
        changed = copy.deepcopy(truth)
        getattr(changed, part).zero_()
        return changed

    return made
