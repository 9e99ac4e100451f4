"""What the figure of a neuron shows."""

from io import BytesIO

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from retina_nb.analyses import MostExciting
from retina_nb.analyses.receptive_fields import ReceptiveFields
from retina_nb.analyses.tuning import ChirpResponses, DirectionTuning, TuningCurve
from retina_nb.plots import Prediction
from retina_nb.plots.neurons import KnownNeuron, NeuronFigure

NEURONS = pd.DataFrame({"session": "a", "neuron": range(3)})
ZEROS = np.zeros(3)


def directions():
    names = ("dsi_null", "p_direction", "preferred_orientation", "osi", "osi_orthogonal", "p_orientation")
    numbers = dict.fromkeys(names, ZEROS) | {"dsi": np.array([1.0, 0, 0.5]), "preferred_direction": ZEROS + 90}
    return DirectionTuning(NEURONS, np.arange(0, 360, 90.0), np.eye(3, 4), **numbers)


def chirps():
    curve = TuningCurve(NEURONS, "frequency", "Hz", np.array([1.0, 2]), np.ones((3, 2)))
    names = ("on", "off", "on_off_index", "transience")
    rates = np.array([[1.0], [30], [0]]) * np.arange(60)
    stimulus = np.sin(np.arange(120.0)).reshape(2, 60)
    return ChirpResponses(
        NEURONS,
        np.arange(60) / 30,
        stimulus,
        pd.DataFrame(),
        rates,
        **dict.fromkeys(names, ZEROS),
        frequency=curve,
        contrast=curve,
    )


def known(row=0, **parts):
    rng = np.random.default_rng(row)
    linear = rng.standard_normal((1, 2, 6, 5, 7)).astype(np.float32)
    center = np.array([[1.2, 5.7 - row]])
    field = ReceptiveFields(linear, np.abs(linear).sum(axis=(1, 2)), center, 30.0, 50.0, NEURONS[row : row + 1])
    return KnownNeuron(field, ["green", "UV"], row, title=f"neuron {row}", **parts)


def everything(row):
    rng = np.random.default_rng(row)
    trials = rng.poisson(row + 1, (4, 90)).astype(np.float32)
    exciting = MostExciting(
        stimuli=rng.standard_normal((1, 2, 12, 5, 7)).astype(np.float32),
        scores=np.array([row + 0.5], np.float32),
        history=np.ones((1, 3), np.float32),
        converged=np.array([False]),
        responses=rng.random((1, 8)).astype(np.float32),
        counted=(3, 8),
        table=pd.DataFrame({"session": ["a"], "neuron": row, "constraint": "", "seed": 0}),
        suppress=False,
        channels=["green", "UV"],
        rate=30.0,
        pixel_um=None,
    )
    prediction = Prediction(f"trial {row}", trials, {"twin": trials.mean(axis=0)[9 + row :]})
    return known(row, directions=directions(), chirps=chirps(), prediction=prediction, exciting=exciting)


def pixels(painted):
    return np.asarray(Image.open(BytesIO(painted._repr_png_())))


def test_all_that_is_known_is_shown():
    figure = NeuronFigure()
    pixels(figure.show(everything(0)))
    green, uv, course, circle, chirp, trace, strip = figure.show(everything(1)).figure.axes
    assert max(np.abs(ax.images[0].get_array()).max() for ax in (green, uv)) == pytest.approx(1)
    assert green.lines[0].get_xydata().tolist() == [[4.7, 1.2]]
    assert max(np.abs(line.get_ydata()).max() for line in course.lines[1:]) == pytest.approx(1)
    assert circle.get_title() == "directions: DSI 0.00"
    assert chirp.lines[1].get_ydata().max() == 30 * 59 <= chirp.get_ylim()[1]
    assert trace.get_title("left") == "trial 1"
    assert trace.get_xlim() == (0, pytest.approx(79 / 30))
    np.testing.assert_allclose(trace.lines[0].get_ydata(), trace.lines[1].get_ydata(), rtol=1e-6)
    assert strip.get_title("left") == "most exciting input: 45 events/s"
    assert strip.figure.get_suptitle() == "neuron 1"


def test_what_is_not_known_is_not_there():
    figure, two = NeuronFigure(), 2
    assert len(figure.show(known()).figure.axes) == two + 1
    assert len(figure.show(known(chirps=chirps())).figure.axes) == two + 2
    assert len(figure.show(known(1)).figure.axes) == two + 1


def test_a_picture_does_not_depend_on_those_before_it():
    used, fresh = NeuronFigure(), NeuronFigure()
    for before in (everything(0), known(2), everything(1)):
        pixels(used.show(before))
    assert np.array_equal(pixels(used.show(everything(2))), pixels(fresh.show(everything(2))))
