"""Steered without a browser: buttons are clicked, sliders are set, and the event loop is one of asyncio's."""

import asyncio
import re

import numpy as np
import pytest

from retina_nb import UserError
from retina_nb.analyses import Constraint, most_exciting_inputs
from retina_nb.widgets import steer_mei
from retina_nb.widgets.climb import Climb


def norm(climb):
    return np.linalg.norm(climb.made.stimuli)


async def until(holds):
    for _ in range(5000):
        if holds():
            return
        await asyncio.sleep(0.001)
    raise AssertionError("it never happens")


def test_a_climb_ends_where_the_whole_ascent_does(twin):
    climb = Climb(twin, "a", 1, Constraint(norm=3))
    while climb.step():
        pass
    whole = most_exciting_inputs(twin, session="a", neurons=1, constraints=Constraint(norm=3))
    np.testing.assert_allclose(climb.made.stimuli, whole.stimuli, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(climb.path[-1], whole.scores[0], rtol=1e-5)
    assert np.all(np.diff(climb.path) >= 0)


def test_a_turn_goes_on_from_where_it_is(twin):
    climb = Climb(twin, "a", 1, Constraint(norm=3))
    for _ in range(4):
        climb.step()
    before = climb.made.stimuli
    climb.turn(Constraint(norm=6))
    np.testing.assert_allclose(climb.made.stimuli, 2 * before, rtol=1e-4, atol=1e-5)
    assert climb.turns == [5]
    assert len(climb.path) == 6
    climb.step()
    assert climb.path[6] >= climb.path[5]


def test_turning_to_and_fro_loses_nothing(twin):
    climb = Climb(twin, "a", 1, Constraint(norm=3))
    climb.step()
    before, path = climb.made.stimuli, list(climb.path)
    climb.turn(Constraint(norm=3, time_cutoff=1))
    assert not np.allclose(climb.made.stimuli, before, atol=1e-2)
    climb.turn(Constraint(norm=3))
    np.testing.assert_allclose(climb.made.stimuli, before, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(climb.path, [*path, path[-1]], rtol=1e-4)
    assert climb.turns == [2]


def test_a_turn_that_cannot_be_leaves_all_as_it_was(twin):
    climb = Climb(twin, "a", 1, Constraint(norm=3))
    climb.step()
    made = climb.made
    with pytest.raises(UserError, match="limits must be one number or one for each of the 2 channels"):
        climb.turn(Constraint(norm=3, low=[-1, -1, -1]))
    assert climb.made is made
    assert climb.step()
    assert norm(climb) == pytest.approx(3, rel=1e-4)


def test_what_is_seen_without_a_kernel_has_climbed_already(twin):
    steered = steer_mei(twin, session="b", neuron=1, constraint=Constraint(norm=4), steps=5)
    assert len(steered.climb.path) == 6
    assert steered.climb.path[-1] > steered.climb.path[0]
    assert norm(steered.climb) == pytest.approx(4, rel=1e-4)
    assert "image/png" in steered._repr_mimebundle_()[0]
    assert steered.controls["neuron"].value == 1
    assert steered.run.description == "Climb"


def test_it_climbs_until_it_has_converged(twin):
    steered = steer_mei(twin, constraint=Constraint(norm=3), steps=0)
    first = steered.picture.value

    async def climb():
        steered.run.click()
        assert steered.run.description == "Stop"
        await until(lambda: steered.state.value.startswith("converged"))

    asyncio.run(climb())
    assert steered.run.description == "Climb"
    assert steered.climb.made.converged.all()
    assert steered.picture.value != first


def test_it_stops_at_once_and_resumes_from_there(twin):
    steered = steer_mei(twin, constraint=Constraint(norm=3), steps=0)

    async def climb():
        steered.run.click()
        await until(lambda: len(steered.climb.path) >= 3)
        steered.run.click()
        steps = len(steered.climb.path)
        await asyncio.sleep(0.05)
        assert len(steered.climb.path) == steps
        assert steered.state.value == "stopped"
        steered.run.click()
        await until(lambda: len(steered.climb.path) >= steps + 2)
        steered.stop()

    asyncio.run(climb())
    assert steered.climb.turns == []


def test_constraints_that_are_changed_on_the_way_hold_from_the_next_step_on(twin):
    steered, turned = steer_mei(twin, constraint=Constraint(norm=3), steps=0), []

    async def climb():
        steered.run.click()
        await until(lambda: len(steered.climb.path) >= 3)
        turned.append(len(steered.climb.path))
        steered.controls["norm"].value = 8.0
        steered.controls["contrast"].value = 0.5
        await until(lambda: len(steered.climb.path) >= turned[0] + 3)
        steered.stop()

    asyncio.run(climb())
    assert steered.climb.turns == turned
    assert np.abs(steered.climb.made.stimuli).max() <= 0.5
    assert norm(steered.climb) > 3


def test_limits_end_in_none_and_say_so(twin):
    steered = steer_mei(twin, constraint=Constraint(norm=3, time_cutoff=5), steps=0)
    assert steered.climb.constraint.time_cutoff == 5
    assert "held to: norm 3, nothing faster than 5 Hz." in steered.limits.value
    for name in ("time_cutoff", "space_cutoff", "radius_um", "contrast"):
        steered.controls[name].value = np.inf
        assert steered.controls[name].label == "no limit"
        assert steered.controls[name].index == len(steered.controls[name].options) - 1
    assert "held to: norm 3." in steered.limits.value
    constraint = steered.climb.constraint
    assert constraint.time_cutoff is constraint.space_cutoff is constraint.radius_um is constraint.low is None
    steered.controls["radius_um"].value = 100.0
    assert steered.climb.constraint.radius_um == 100
    steered.controls["sparsity"].value = 0.25
    assert "norm 3, nothing farther than 100 µm, sparsity 0.25." in steered.limits.value


def test_no_limit_of_contrast_is_none_whatever_it_began_with(twin):
    steered = steer_mei(twin, constraint=Constraint(norm=30, low=-0.45, high=0.45), steps=2)
    assert steered.controls["contrast"].value == 0.45
    assert np.abs(steered.climb.made.stimuli).max() <= 0.45
    assert "contrasts from -0.45 to 0.45" in steered.limits.value
    steered.controls["contrast"].value = np.inf
    assert steered.climb.constraint.low is steered.climb.constraint.high is None
    assert "contrasts" not in steered.limits.value


def test_limits_that_the_slider_cannot_say_stay_as_given(twin):
    steered = steer_mei(twin, constraint=Constraint(norm=30, low=0.0, high=1.0), steps=0)
    assert steered.controls["contrast"].label == "as given"
    assert (steered.climb.constraint.low, steered.climb.constraint.high) == (0.0, 1.0)
    steered.controls["contrast"].value = 0.5
    assert (steered.climb.constraint.low, steered.climb.constraint.high) == (-0.5, 0.5)


def test_rates_are_in_events_per_second(twin):
    steered = steer_mei(twin, constraint=Constraint(norm=3), steps=3)
    steered.keep.click()
    rate = steered.climb.path[-1] * 30.0
    assert f"{rate:.3g} events per second" in steered.description
    assert f"{rate:.3g} events per second" in steered.children[0].children[-1].value


def test_another_neuron_starts_from_noise_and_another_session_has_its_own_neurons(twin):
    steered = steer_mei(twin, neuron=2, constraint=Constraint(norm=3), steps=4)
    steered.controls["session"].value = "b"
    assert steered.controls["neuron"].value == steered.controls["neuron"].max == 1
    assert len(steered.climb.path) == 1
    assert steered.climb.made.table[["session", "neuron"]].iloc[0].tolist() == ["b", 1]
    assert "b, neuron 1" not in steered.message.value


def test_a_twin_whose_pixels_have_no_known_size_is_steered_without_what_is_in_micrometres(twin, monkeypatch):
    monkeypatch.setitem(twin.about, "pixel_um", None)
    steered = steer_mei(twin, constraint=Constraint(norm=3), steps=1)
    assert {"norm", "contrast", "time_cutoff", "sparsity"} <= steered.controls.keys()
    assert not {"space_cutoff", "radius_um"} & steered.controls.keys()


def test_what_is_kept_stays(twin):
    steered = steer_mei(twin, constraint=Constraint(norm=3), steps=2)

    async def climb():
        steered.keep.click()
        steered.again.click()
        await until(lambda: len(steered.climb.path) >= 2)
        steered.stop()
        steered.keep.click()

    asyncio.run(climb())
    first, second = steered.kept
    assert first.scores != second.scores
    assert second.table["seed"].item() == first.table["seed"].item() + 1
    assert len(re.findall("kept", steered.children[0].children[-1].value)) == 2


def test_less_can_be_asked_for_than_there_is(twin):
    steered = steer_mei(twin, constraint=Constraint(norm=3), steps=3)
    excited = steered.climb.path[-1]
    steered.controls["suppress"].value = True
    for _ in range(3):
        steered.climb.step()
    assert steered.climb.path[-1] <= steered.climb.path[0] < excited


@pytest.mark.parametrize(
    ("options", "sentence"),
    [({"session": "c"}, "unknown session of the model 'c'"), ({"neuron": 3}, "there is no neuron 3")],
)
def test_who_is_not_there_is_told_in_a_sentence(twin, options, sentence):
    with pytest.raises(UserError, match=sentence):
        steer_mei(twin, **options)
