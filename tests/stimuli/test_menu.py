"""Stimuli that are chosen by name are those of their generators."""

import numpy as np
import pytest

from retina_nb import UserError, stimuli
from retina_nb.stimuli.menu import parameters_of, stimulus_by_name, stimulus_names

SCREEN = stimuli.Screen((13, 15), 30.0, 50.0, 2)


@pytest.mark.parametrize("name", stimulus_names())
def test_every_stimulus_of_the_list_can_be_made_as_it_is(name):
    needed = {"spot": {"diameter": 200.0}, "annulus": {"inner": 100.0, "outer": 300.0}}.get(name, {})
    needed |= {"direction": 30.0} if "direction" in parameters_of(name) else {}
    needed |= {"wavelength": 300.0} if "wavelength" in parameters_of(name) else {}
    made = stimulus_by_name(name, SCREEN, **needed)
    assert made.frames.shape[::2] == (2, 13)
    assert np.ptp(made.frames) > 0.5


def test_a_stimulus_is_where_it_is_put():
    made = stimulus_by_name("spot", SCREEN, diameter=100.0, place=(4.0, 6.0), down=100.0, right=-150.0)
    y, x = np.indices(SCREEN.size)
    shown = made.frames[0, 20]
    assert (shown * y).sum() / shown.sum() == pytest.approx(6, abs=0.01)
    assert (shown * x).sum() / shown.sum() == pytest.approx(3, abs=0.01)


def test_the_generator_gets_what_is_asked_for():
    made = stimulus_by_name("drifting grating", SCREEN, direction=30, wavelength=300.0, frequency=3.0, contrast=0.5)
    plain = stimuli.drifting_grating(SCREEN, direction=30, wavelength=300.0, frequency=3.0, contrast=0.5, before=0.5)
    assert np.array_equal(made.frames, plain.frames)


@pytest.mark.parametrize(
    ("name", "parameters", "sentence"),
    [
        ("spott", {}, "unknown stimulus 'spott': did you mean 'spot'"),
        ("flash", {"diameter": 1.0}, "unknown parameter of the stimulus 'flash' 'diameter'"),
        ("annulus", {"inner": 300.0, "outer": 100.0}, "an annulus needs an inner diameter below its outer one"),
    ],
)
def test_what_cannot_be_made_is_refused(name, parameters, sentence):
    with pytest.raises(UserError, match=sentence):
        stimulus_by_name(name, SCREEN, **parameters)
