"""Latencies, paired flashes and omitted flashes of one cell of each type."""

import numpy as np
import pytest

from retina_nb import UserError
from retina_nb.analyses.phenomena import latency_coding, omitted_stimulus_response, paired_flash_suppression


def test_stronger_spots_are_answered_earlier(truth, cells, places):
    found = latency_coding(truth, centers=places)
    responds = (cells["type"] != "suppressed by contrast").to_numpy()
    assert (found.score[responds] > 5).all()
    later = found.measures["latency_1"] - found.measures["latency_2"]
    assert (later[responds] > 0).all()
    one_sided = (cells["polarity"] != 0).to_numpy()
    assert (found.measures["sign"] == cells["polarity"])[one_sided].all()


def test_transient_cells_are_suppressed_most_by_a_flash_before(truth, cells, places):
    score = dict(zip(cells["type"], paired_flash_suppression(truth, centers=places).score, strict=True))
    assert min(score["ON transient"], score["OFF transient"]) > 0.5 > max(score["ON sustained"], score["OFF sustained"])
    late = paired_flash_suppression(truth, centers=places[:1], neurons=0, interval=0.45).score[0]
    assert late < score["ON transient"]


def test_transient_cells_answer_the_end_of_a_train_and_not_when_the_flash_was_due(truth, cells, places):
    found = omitted_stimulus_response(truth, centers=places)
    score = dict(zip(cells["type"], found.score, strict=True))
    assert min(score["ON transient"], score["OFF transient"]) > 0.4 > score["ON sustained"]
    assert np.nanmax(found.measures["timing"]) < 0.8
    assert found.seconds[0] < 0 < found.seconds[-1]
    assert found.conditions == ("100 ms", "133 ms", "167 ms")


def test_mistakes_are_told(truth, places):
    with pytest.raises(UserError, match="contrasts must be two or more"):
        latency_coding(truth, centers=places, contrasts=(2, 1))
    with pytest.raises(UserError, match="do not fit into a period"):
        paired_flash_suppression(truth, centers=places, interval=0.05)
    with pytest.raises(UserError, match="for each of 2 neurons"):
        omitted_stimulus_response(truth, centers=places, neurons=[0, 1])
