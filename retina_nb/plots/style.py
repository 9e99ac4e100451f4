"""One color for one thing in every figure (Okabe & Ito 2008, safe for the color-blind), one size of text, one look."""

from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.text import Text
from matplotlib.ticker import LogFormatter, LogitFormatter, NullFormatter, ScalarFormatter

RECORDED, TWIN, BASELINE, TRUTH, CEILING = "0.25", "#0072B2", "#E69F00", "#009E73", "0.8"
COLOURS = {"twin": TWIN, "linear-nonlinear": BASELINE, "truth": TRUTH, "planted": TRUTH} | {
    "GLM": "#56B4E9",
    "spatial contrast": "#CC79A7",
    "subunits": "#D55E00",
    "average": RECORDED,
}
# The channels' courses in time are drawn in the colours of their maps.
CHANNEL_COLOURS = {"green": "#006d2c", "UV": "#6a51a3"}
CHANNEL_MAPS = {"green": "Greens_r", "UV": "Purples_r"}

# As in maps of contrasts: red for what is brighter, blue for what is darker.
POLARITY_COLOURS = {"ON": "#D6604D", "OFF": "#4393C3", "ON-OFF": "#9970AB"}

# A truth is a filled area, a twin a line on it: neither hides the other, in gray neither.
TRUTH_AREA: dict[str, Any] = {"color": TRUTH, "alpha": 0.35, "lw": 0, "label": "truth"}
TWIN_LINE: dict[str, Any] = {"color": TWIN, "lw": 1.5, "label": "twin"}

# Inches. Shown at 600 pixels, as beside a table of contents or on a small laptop, text of 7 points has 8 pixels.
WIDEST = 7.2


class LiteralFigure(Figure):
    """A figure in which all that is written is text: names of sessions and cells with ``$`` are no mathematics.

    Numbers on logarithmic scales are, which matplotlib writes so itself.
    """

    def draw(self, renderer: Any) -> None:
        for text in self.findobj(Text, include_self=False):
            text.set_parse_math(False)
        for ax in self.axes:
            for axis in ax._axis_map.values():
                _write_ticks(axis)
        super().draw(renderer)


def figure(rows: int = 1, columns: int = 1, size: tuple[float, float] = (7, 2.5), **options: Any) -> tuple[Figure, Any]:
    """A figure and its axes, without boxes; options go to ``plt.subplots``. (Rows of images are compressed in layout.)

    A figure that is wider than `WIDEST` is made smaller, which makes its text larger where it is shown.
    """
    options = {"layout": "constrained"} | options
    made, axes = plt.subplots(rows, columns, figsize=fitted(size), FigureClass=LiteralFigure, **options)
    for ax in made.axes:
        if ax.name != "polar":
            ax.spines[["top", "right"]].set_visible(False)
    return made, axes


def blank(size: tuple[float, float]) -> Figure:
    """A figure without axes, whose layout is its maker's."""
    return plt.figure(figsize=size, FigureClass=LiteralFigure)


def fitted(size: tuple[float, float]) -> tuple[float, float]:
    """A size (inches) whose width is at most `WIDEST`; its height shrinks less than in proportion."""
    scale = min(1.0, WIDEST / size[0])
    return size[0] * scale, size[1] * scale**0.6


def area(seconds: Any, rates: Any) -> np.ndarray:
    """The corners of a filled area, for ``set_verts`` of one that `TRUTH_AREA` was drawn with."""
    seconds, rates = np.asarray(seconds, dtype=float), np.asarray(rates, dtype=float)
    return np.stack([np.append(seconds, seconds[::-1]), np.append(rates, np.zeros(len(rates)))], axis=1)


def _write_ticks(axis: Axis) -> None:
    """Powers on a logarithmic scale are mathematics; names are not, nor are those that are yet to be written."""
    for formatter, labels in (
        (axis.get_major_formatter(), axis.get_majorticklabels),
        (axis.get_minor_formatter(), axis.get_minorticklabels),
    ):
        if not isinstance(formatter, ScalarFormatter | NullFormatter):
            for text in labels():
                text.set_parse_math(isinstance(formatter, LogFormatter | LogitFormatter))
