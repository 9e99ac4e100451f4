"""One colour for one thing, in every figure (Okabe & Ito 2008, safe for the colour-blind)."""

from typing import Any

import matplotlib.pyplot as plt
from matplotlib.figure import Figure

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


def figure(rows: int = 1, columns: int = 1, size: tuple[float, float] = (10, 3), **options: Any) -> tuple[Figure, Any]:
    """A figure and its axes, without boxes; options go to ``plt.subplots``."""
    made, axes = plt.subplots(rows, columns, figsize=size, layout="constrained", **options)
    for ax in made.axes:
        if ax.name != "polar":
            ax.spines[["top", "right"]].set_visible(False)
    return made, axes
