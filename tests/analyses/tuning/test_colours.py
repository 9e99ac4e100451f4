"""Colour preference and opponency of one cell of each type."""

import numpy as np
import pytest

from retina_nb import UserError
from retina_nb.analyses.tuning import colour_tuning
from retina_nb.analyses.tuning.colours import FIELDS, opponency


def test_only_the_colour_opponent_cell_opposes_colours(truth, cells):
    tuning = colour_tuning(truth, centers=cells[["y", "x"]].to_numpy())
    opponent = (cells["type"] == "colour opponent").to_numpy()
    full = tuning.opponency[:, FIELDS.index("full field")]
    assert full[opponent][0] > 0.3
    assert full[~opponent].max() < 0.05
    np.testing.assert_array_equal(tuning.polarity[opponent, FIELDS.index("full field")], [[1, -1]])
    assert tuning.preference[opponent][0] > 0.8
    assert tuning.channels == ["green", "UV"]
    assert "polarity_full_field_UV" in tuning.to_dataframe()


def test_opponency_is_that_of_the_weaker_sign():
    on, off = np.array([[4.0, 0.0], [4, 2], [3, 3], [0, 0]]), np.array([[0.0, 2], [0, 0], [3, 3], [0, 0]])
    np.testing.assert_allclose(opponency(on, off), [0.5, 0, 0, 0])


def test_a_single_channel_has_no_colours(truth, monkeypatch):
    monkeypatch.setattr(type(truth), "stimulus_shape", property(lambda self: (1, 13, 15)))
    with pytest.raises(UserError, match="two channels or more"):
        colour_tuning(truth)
