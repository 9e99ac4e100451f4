"""Clean recordings, into which faults are planted."""

import pytest
from faults import SETTINGS

import retina_nb as rnb


@pytest.fixture(scope="session")
def clean():
    return rnb.load_recordings("simulated", **SETTINGS)


@pytest.fixture(scope="session")
def default():
    return rnb.load_recordings("simulated")


@pytest.fixture(scope="session")
def first(clean):
    return clean["simulated_1"]
