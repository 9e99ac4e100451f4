"""Who is asked: sessions and neurons of a model, by number or by mask."""

import numpy as np
import pytest

import retina_nb as rnb
from retina_nb.analyses.subjects import subject


@pytest.fixture(scope="module")
def twin():
    return rnb.load_twin("simulated")


def test_neurons_are_chosen_by_number_or_by_a_mask(twin):
    mask = np.zeros(30, bool)
    mask[[3, 7]] = True
    for neurons in ([3, 7], np.array([3, 7]), mask, mask.tolist()):
        chosen = subject(twin, session="simulated_2", neurons=neurons)
        np.testing.assert_array_equal(chosen.neurons, [3, 7])
    assert len(subject(twin).neurons) == 120
    assert subject(twin, neurons=119).table().iloc[0].tolist() == ["simulated_4", 29]


@pytest.mark.parametrize(
    ("model", "choice", "problem"),
    [
        (None, {"neurons": np.ones(29, bool)}, "or True or False for each of 30 neurons"),
        (None, {"neurons": np.array([0.5])}, "must be numbers from 0 to 29"),
        (None, {"neurons": 30}, "there is no neuron 30: session simulated_1 has neurons 0 to 29"),
        (None, {"neurons": []}, "no neuron was chosen"),
        (None, {"session": "simulatd_1"}, "did you mean 'simulated_1'"),
        ("simulated", {}, "needs a model, as load_twin gives it, not a str"),
    ],
)
def test_who_is_not_there_is_told(twin, model, choice, problem):
    with pytest.raises(rnb.UserError, match=problem):
        subject(model or twin, **{"session": "simulated_1"} | choice)
