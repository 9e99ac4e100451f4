"""Places of receptive fields, found and given."""

import numpy as np
import pytest

from retina_nb import UserError
from retina_nb.analyses.subjects import subject
from retina_nb.analyses.tuning import find_centers, flash_responses, size_tuning


def test_places_are_found_from_the_gradient(truth, cells):
    found = find_centers(subject(truth))
    distance = np.linalg.norm(found - cells[["y", "x"]], axis=1)
    assert distance[~cells["nonlinear"].to_numpy()].max() < 0.5
    assert np.median(distance) < 0.5
    assert (distance < 1.5).all()


def test_places_must_be_given_for_every_neuron(truth):
    with pytest.raises(UserError, match=r"finite \(y, x\) for each of 2 neurons"):
        size_tuning(truth, neurons=[0, 1], centers=np.zeros((3, 2)))
    with pytest.raises(UserError, match="finite"):
        flash_responses(truth, neurons=[0], centers=np.full((1, 2), np.nan))
