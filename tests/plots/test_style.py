"""What is written in figures is shown as it is written, and large enough."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from matplotlib.text import Text

from retina_nb import plots
from retina_nb.plots.style import WIDEST, figure, fitted

ODD = ("a_$b$", "$\\undefined$", "$", "50 $ and 60 $")


@pytest.fixture(autouse=True)
def _closed():
    yield
    plt.close("all")


def literal(made):
    """The texts of a figure that are shown as they are."""
    made.canvas.draw()
    return {text.get_text() for text in made.findobj(Text) if not text.get_parse_math()}


@pytest.mark.parametrize("name", ODD)
def test_names_are_shown_as_they_are_wherever_they_stand(name):
    made, (left, right) = figure(1, 2)
    left.plot([1, 2], [1, 100], label=f"label {name}")
    left.set_title(f"title {name}")
    left.set_xlabel(f"axis {name}")
    left.set_xticks([1, 2], [f"tick {name}", "other"])
    left.set_yscale("log")
    left.legend()
    left.annotate(f"note {name}", (1, 1))
    right.bar([f"category {name}", "other"], [1, 2])
    made.suptitle(f"all {name}")
    made.legend(loc="outside upper right")
    made.colorbar(plt.cm.ScalarMappable(), ax=right, label=f"bar {name}")
    shown = literal(made)
    for place in ("label", "title", "axis", "tick", "note", "category", "all", "bar"):
        assert f"{place} {name}" in shown
    powers = [text for text in left.get_yticklabels() if text.get_text()]
    assert powers
    assert all(text.get_parse_math() for text in powers), "powers of ten are mathematics"


@pytest.mark.parametrize("name", ODD)
def test_figures_of_cells_with_odd_names_can_be_drawn(name, tmp_path):
    made = plots.show_by_type(pd.Series([1.0, 2, 3]), [name, "b", name], xlabel=name)
    made.savefig(tmp_path / "one.png", bbox_inches="tight")
    made.savefig(tmp_path / "one.pdf")
    assert name in literal(made)
    curves = {name: {"twin": np.ones(3), "truth": np.ones(3)}}
    assert name in literal(plots.show_curves(curves, np.arange(3.0), ylabel=name))


def test_figures_of_others_are_left_alone():
    figure()
    _, ax = plt.subplots()
    assert ax.set_title("$x^2$").get_parse_math()


def test_text_of_7_points_has_8_pixels_in_600():
    assert 7 / 72 * 600 / WIDEST >= 8


def test_wide_figures_become_smaller_and_small_ones_stay():
    assert fitted((5, 3)) == (5, 3)
    wide, high = fitted((14.4, 5))
    assert wide == pytest.approx(WIDEST)
    assert 2.5 < high < 5
    assert figure(size=(12, 4))[0].get_figwidth() == pytest.approx(WIDEST)
