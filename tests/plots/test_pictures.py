"""Pictures that are painted in part are those that are painted whole."""

from io import BytesIO

import matplotlib.pyplot as plt
import numpy as np
import pytest
from PIL import Image

from retina_nb import UserError, plots
from retina_nb.plots.pictures import Repainted, png


def pixels(picture):
    return np.asarray(Image.open(BytesIO(png(picture))).convert("RGB"))


def curve():
    figure, ax = plots.style.figure(size=(3, 2))
    (line,) = ax.plot([0, 1, 2], [0, 1, 0])
    return figure, ax, line


def test_a_figure_keeps_its_size_and_leaves_pyplot():
    assert pixels(curve()[0]).shape == (200, 300, 3)
    assert plt.get_fignums() == []


def test_what_moves_is_painted_where_it_is_now():
    figure, ax, line = curve()
    painted = Repainted(figure, [line])
    first = pixels(painted)
    line.set_ydata([1, 0, 0.5])
    moved = pixels(painted)
    assert not np.array_equal(first, moved)
    painted.forget()
    assert np.array_equal(pixels(painted), moved), "nothing else was changed"
    ax.set_facecolor("yellow")
    assert np.array_equal(pixels(painted), moved), "what was painted once is kept"
    painted.forget()
    assert not np.array_equal(pixels(painted), moved)
    line.set_ydata([0, 1, 0])
    ax.set_facecolor("white")
    painted.forget()
    assert np.array_equal(pixels(painted), first)


def test_only_pictures_are_taken():
    with pytest.raises(UserError, match="must be a matplotlib figure, and is int: return it"):
        png(3)
