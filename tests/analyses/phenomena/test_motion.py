"""Anticipation, reversal and object motion of one cell of each type."""

import numpy as np
import pytest

from retina_nb import UserError
from retina_nb.analyses.phenomena import motion_anticipation, motion_reversal_response, object_motion_sensitivity

NAMES = ["ON transient", "OFF transient", "ON sustained", "OFF sustained"]


def test_gain_control_makes_cells_anticipate_motion(truth, cells, places, without):
    assert list(cells["type"][:4]) == NAMES
    some = {"neurons": range(4), "centers": places[:4]}
    found = motion_anticipation(truth, **some)
    assert found.score[:2].min() > 60 > 25 > np.abs(found.score[2:]).max()
    assert (found.score[:2] > motion_anticipation(without("gain_control"), **some).score[:2] + 20).all()
    assert found.measures["flash_latency"].between(60, 130).all()


def test_linear_cells_follow_the_bar_when_it_comes_back(truth, places):
    found = motion_reversal_response(truth, neurons=[2, 3], centers=places[2:4])
    assert np.abs(found.score).max() < 0.25
    assert found.conditions == ("100 µm", "150 µm", "200 µm", "250 µm")


def test_no_cell_tells_an_object_from_its_background(truth, places):
    found = object_motion_sensitivity(truth, centers=places)
    assert np.nanmedian(np.abs(found.score)) < 0.1
    again = object_motion_sensitivity(truth, centers=places[:1], neurons=0)
    assert again.score[0] == pytest.approx(found.score[0], rel=1e-4)
    assert object_motion_sensitivity(truth, centers=places[:1], neurons=0, seed=5).score[0] != again.score[0]


def test_mistakes_are_told(truth, places):
    with pytest.raises(UserError, match="two distances or more"):
        motion_reversal_response(truth, centers=places, distances=[100])
    with pytest.raises(UserError, match="textures must be at least 1"):
        object_motion_sensitivity(truth, centers=places, textures=0)
