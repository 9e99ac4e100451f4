"""Sentences that follow the chosen cell: they say what was planted, and nothing else."""

import numpy as np
import pandas as pd
import pytest

import retina_nb as rnb
from retina_nb.analyses import most_exciting_inputs
from retina_nb.analyses.descriptions import describe_covariance, describe_most_exciting, lobes
from retina_nb.analyses.most_exciting import MostExciting, motion
from retina_nb.analyses.receptive_fields.covariance import SpikeTriggeredCovariance


def made(stimulus, channels=("green", "UV")):
    """A result that holds this stimulus."""
    bins = stimulus.shape[1]
    return MostExciting(
        stimuli=stimulus[None].astype(np.float32),
        scores=np.ones(1),
        history=np.ones((1, 2)),
        converged=np.array([True]),
        responses=np.ones((1, bins)),
        counted=(0, bins),
        table=pd.DataFrame({"session": ["s"], "neuron": [0], "constraint": [""], "seed": [0]}),
        suppress=False,
        channels=list(channels),
        rate=30.0,
        pixel_um=50.0,
    )


def blob(ring=0.0):
    y, x = np.indices((11, 11)) - 5
    squared = y**2 + x**2
    return np.exp(-squared / 4) - ring * np.exp(-squared / 30)


def movie(course, green=1.0, uv=1.0, ring=0.0):
    return np.stack([weight * np.multiply.outer(course, blob(ring)) for weight in (green, uv)])


def moving(step):
    """A blob that goes right by `step` pixels a bin."""
    y, x = np.indices((11, 30))
    return np.stack([np.exp(-((y - 5) ** 2 + (x - 5 - step * bin_) ** 2) / 4) for bin_ in range(20)])[None]


@pytest.mark.parametrize("sign", [1, -1])
def test_polarity_is_that_of_the_middle(sign):
    told = describe_most_exciting(made(movie(sign * np.hanning(12))))
    right, wrong = ("brighter", "darker")[::sign]
    assert right in told
    assert wrong not in told
    assert "around it" not in told
    assert told.endswith("UV should do the same.")


def test_phases_stand_in_their_order_and_the_surround_is_told():
    told = describe_most_exciting(made(movie(np.sin(np.linspace(0, 2 * np.pi, 20)), ring=0.4)))
    assert "brighter than grey, then darker than grey, and the opposite around it" in told


def test_opponent_channels_are_told_apart_from_absent_ones():
    course = np.hanning(12)
    assert "UV should do the opposite." in describe_most_exciting(made(movie(course, uv=-0.7)))
    assert "UV hardly matters there." in describe_most_exciting(made(movie(course, uv=0.1)))


@pytest.mark.parametrize(("step", "way"), [(1, "right"), (-1, "left")])
def test_what_moves_has_its_direction_and_no_polarity(step, way):
    told = describe_most_exciting(made(moving(1)[..., ::step], channels=["grey"]))
    assert f"It moves {way}." in told
    assert "No single map" in told
    assert "brighter" not in told


def test_motion_is_strong_for_what_moves_and_absent_for_what_stays():
    assert motion(moving(1))[1] > 0.5
    assert motion(movie(np.hanning(12)))[1] < 0.05


def test_weak_lobes_are_not_told():
    assert lobes(np.array([0.1, -0.2, 1.0, 0.8, -0.5, -0.1, 0.2])) == [1, -1]


def test_what_is_said_of_the_twins_cells_is_what_was_planted():
    twin, cells = rnb.load_twin("simulated"), rnb.load_truth().neurons("simulated_1")
    chosen = [2, 3, 4, 10]
    best = most_exciting_inputs(twin, session="simulated_1", neurons=chosen)
    on, off, moves, opponent = (describe_most_exciting(best, row) for row in range(4))
    assert cells["type"].iloc[chosen].tolist() == [
        "ON sustained",
        "OFF sustained",
        "ON-OFF DS right",
        "colour opponent",
    ]
    assert on.startswith("In the middle, green should be brighter than grey")
    assert off.startswith("In the middle, green should be darker than grey")
    assert "It moves right." in moves
    assert opponent.endswith("UV should do the opposite.")


def test_covariance_says_how_many_directions_there_are():
    found = SpikeTriggeredCovariance(
        eigenvalues=np.array([[3.0, 0, 0], [0, 0, 0], [2.0, 2.0, -1.0]], dtype=np.float32),
        filters=np.zeros((3, 3, 1, 1, 1, 1), dtype=np.float32),
        low=np.full(3, -0.5, dtype=np.float32),
        high=np.full(3, 0.5, dtype=np.float32),
        corners=np.zeros((3, 2), dtype=int),
        rate=30.0,
        neurons=pd.DataFrame({"session": "s", "neuron": range(3)}),
    )
    told = describe_covariance(found, ["a", "b", "c"])
    assert told == [
        "a: 1 excitatory direction.",
        "b: no direction: its average says all that is seen here.",
        "c: 2 excitatory and 1 suppressive directions.",
    ]
