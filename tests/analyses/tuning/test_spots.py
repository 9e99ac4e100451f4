"""Size tuning and surround suppression of one cell of each type."""

import numpy as np

from retina_nb.analyses.tuning import size_tuning
from retina_nb.loaders.simulated.cells import CELL_TYPES


def test_cells_with_stronger_surrounds_are_suppressed_more_by_large_spots(truth, cells):
    curve = size_tuning(truth, centers=cells[["y", "x"]].to_numpy())
    suppression = dict(zip(cells["type"], curve.suppression, strict=True))
    assert CELL_TYPES["ON transient"].surround > CELL_TYPES["ON sustained"].surround
    assert suppression["ON transient"] > 0.7 > suppression["ON sustained"] + 0.2
    assert suppression["ON-OFF DS up"] < 0.15
    assert suppression["ON sustained"] > 0.1
    sign = dict(zip(cells["type"], curve.neurons["sign"], strict=True))
    assert (sign["ON alpha"], sign["OFF alpha"]) == (1, -1)


def test_small_receptive_fields_prefer_smaller_spots(truth, cells):
    curve = size_tuning(truth, neurons=[0, 8])
    assert curve.preferred[0] < curve.preferred[1]
    assert np.abs(curve.neurons[["y", "x"]] - cells[["y", "x"]].iloc[[0, 8]].to_numpy()).to_numpy().max() < 1.5
