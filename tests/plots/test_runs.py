import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

from retina_nb.plots.runs import short, show_runs

RUNS = pd.DataFrame(
    {
        "rate": [0.001, 0.01, 1.0, 1.0],
        "overrides": [["a.b=[8]"], ["a.b=[16]"], ["a.b=[8]"], []],
        "seed": [0, 1, 0, 1],
        "score": [0.25, 0.5, np.nan, 0.75],
    }
)


@pytest.fixture(autouse=True)
def _close():
    yield
    plt.close("all")


def dots(figure, label):
    return next(line for line in figure.axes[0].lines if line.get_label() == label).get_xydata().tolist()


def test_every_run_is_a_dot_in_the_colour_of_its_group():
    made = show_runs(RUNS, "score", "rate", colour="seed", chosen=3)
    assert dots(made, "0")[0] == [0.001, 0.25]
    assert dots(made, "1") == [[0.01, 0.5], [1.0, 0.75]]
    assert made.axes[0].get_xscale() == "log"
    assert made.axes[0].lines[-1].get_xydata().tolist() == [[1.0, 0.75]], "the chosen one is ringed"


def test_values_that_are_no_numbers_stand_side_by_side():
    made = show_runs(RUNS, "score", "overrides")
    assert [text.get_text() for text in made.axes[0].get_xticklabels()] == ["a.b=[8]", "a.b=[16]", "none"]
    assert made.axes[0].lines[0].get_xdata().tolist() == [0, 1, 0, 2]
    assert made.axes[0].get_legend() is None


def test_long_values_that_differ_stay_apart():
    long = RUNS.assign(overrides=[f"{'x' * 60}={n}" for n in range(4)])
    made = show_runs(long, "score", "overrides")
    names = [text.get_text() for text in made.axes[0].get_xticklabels()]
    assert len(set(names)) == 4
    assert max(map(len, names)) <= 28


def test_more_groups_than_colours_are_not_told_apart():
    many = pd.DataFrame({"rate": np.arange(1, 11), "score": np.arange(10.0), "name": list("abcdefghij")})
    made = show_runs(many, "score", "rate", colour="name")
    assert len(made.axes[0].lines) == 1
    assert made.axes[0].get_xscale() == "linear"


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.001, "0.001"), (1e-7, "1e-07"), (["a=1", "b=2"], "a=1, b=2"), (None, "–"), (np.nan, "–"), (True, "True")],
)
def test_values_are_short(value, text):
    assert short(value) == text
