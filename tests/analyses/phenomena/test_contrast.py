"""Frequency doubling, contrast adaptation and polarity reversal of one cell of each type, and without their causes."""

import numpy as np
import pytest

from retina_nb import UserError
from retina_nb.analyses.phenomena import contrast_adaptation, frequency_doubling, polarity_reversal
from retina_nb.loaders.simulated.cells import CELL_TYPES


def test_cells_with_subunits_double_the_frequency_and_linear_ones_do_not(truth, cells, without):
    found = frequency_doubling(truth)
    linear = ~cells["nonlinear"].to_numpy(dtype=bool)
    assert found.score[linear].max() < 0.05
    assert found.score[~linear].min() > 0.4
    assert np.nanmax(frequency_doubling(without("rectified")).score) < 0.1
    assert found.rates.shape == (12, 2, len(found.seconds))
    table = found.to_dataframe()
    assert list(table.columns) == ["session", "neuron", "score", "f2_null", "f1_best", "null_phase"]


def test_only_cells_with_gain_control_adapt_to_contrast(truth, cells, without):
    controlled = cells["type"].map(lambda name: CELL_TYPES[name].gain_control > 0).to_numpy()
    score = contrast_adaptation(truth).score
    assert score[controlled].min() > 0.08 > np.nanmax(score[~controlled])
    assert np.isnan(score[cells["type"].str.startswith("ON-OFF")]).all()
    assert np.nanmax(contrast_adaptation(without("gain_control")).score[controlled]) < 0.05


def test_no_cell_turns_its_polarity(truth, cells, places):
    found = polarity_reversal(truth, centers=places)
    assert np.nanmax(np.abs(found.score)) < 0.25
    index = dict(zip(cells["type"], found.measures["index_without"], strict=True))
    assert index["ON sustained"] > 0.5 > -0.5 > index["OFF sustained"]


def test_mistakes_are_told(truth):
    with pytest.raises(UserError, match="two phases or more, not 1"):
        frequency_doubling(truth, phases=1)
    with pytest.raises(UserError, match=r"not low=2 and high=1"):
        contrast_adaptation(truth, low=2, high=1)
    with pytest.raises(UserError, match=r"needs noise of 5 s or more, not 2"):
        contrast_adaptation(truth, duration=2)
