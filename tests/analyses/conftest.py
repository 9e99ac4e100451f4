"""A small simulated retina on which cells are examined."""

import pytest

import retina_nb as rnb


@pytest.fixture(scope="session")
def truth():
    """One cell of each type, on an odd screen."""
    return rnb.load_truth(sessions=1, cells_per_session=12, size=(13, 15), clips=6, test_clips=1, repeats=2)


@pytest.fixture(scope="session")
def cells(truth):
    return truth.neurons("simulated_1")
