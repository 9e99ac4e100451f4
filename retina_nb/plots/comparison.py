"""Figures that set models side by side, and look at their weights."""

from collections.abc import Mapping, Sequence
from textwrap import fill

import numpy as np
import pandas as pd
from jaxtyping import Float
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from retina_nb.plots.style import CEILING, RECORDED, TRUTH, TWIN, figure


def show_comparison(table: pd.DataFrame, *, label: str) -> Figure:
    """Score of every model with its interval, and its gain over the first, from `retina_nb.compare_all_models`.

    Args:
        table: a row for each model.
        label: what the scores are.
    """
    made, (left, right) = figure(1, 2, size=(10, 0.36 * len(table) + 1.1), sharey=True)
    place = np.arange(len(table))[::-1]
    for ax, value, xlabel in (
        (left, "median", f"{label}, median over neurons"),
        (right, "gain", f"gain over {table.index[0]}, neuron by neuron"),
    ):
        low, high = (f"{value}_{end}" if value == "gain" else end for end in ("low", "high"))
        ax.hlines(place, table[low], table[high], color=RECORDED, lw=1.5)
        ax.plot(table[value], place, "o", ms=6, color=TWIN)
        ax.set(xlabel=xlabel)
        ax.xaxis.set_major_locator(MaxNLocator(5))
    left.set_yticks(place, table.index)
    left.set_ylim(-0.5, len(table) - 0.5)
    right.axvline(0, color=CEILING, zorder=0)
    right.set_title("bars: 95% of bootstrap samples over neurons", loc="right", fontsize=9)
    return made


def show_kernels(
    space: Float[np.ndarray, "kernel height width"],
    time: Float[np.ndarray, "kernel bin"],
    names: Sequence[str],
    rate: float,
) -> Figure:
    """Kernels that are products of space and time: map above course.

    Args:
        space: weights in space; each map has a scale of its own.
        time: weights in time; the last bin is the present.
        names: what to call each kernel.
        rate: bins per second (Hz).
    """
    made, axes = figure(2, len(space), size=(1.7 * len(space), 3.2), squeeze=False, height_ratios=[1.4, 1])
    seconds = np.arange(1 - time.shape[1], 1) / rate
    for above, below, image, course, name in zip(*axes, space, time, names, strict=True):
        top = np.abs(image).max()
        above.imshow(image, cmap="RdBu_r", vmin=-top, vmax=top)
        above.set(xticks=[], yticks=[])
        above.set_title(name, fontsize=9)
        below.axhline(0, color=CEILING, lw=0.8)
        below.plot(seconds, course, color=TWIN)
        below.set(xlabel="time (s)", yticks=[])
    axes[1, 0].set_ylabel("weight")
    return made


def show_masks(
    masks: Mapping[str, Float[np.ndarray, "neuron _ _"]], names: Sequence[str], size: tuple[int, int]
) -> Figure:
    """Where the readouts of several models look on the screen, a row for each model and a column for each neuron.

    Args:
        masks: for each model, or the truth, a map of each neuron: of the screen, or of the feature movie in its middle.
        names: what to call each neuron.
        size: (height, width) of the screen in pixels.
    """
    inches = (1.4 * len(names) + 1.2, 1.5 * len(masks) + 0.3)
    made, axes = figure(len(masks), len(names), size=inches, squeeze=False, layout="compressed")
    for number, (row, (model, images)) in enumerate(zip(axes, masks.items(), strict=True)):
        for ax, image, name in zip(row, images, names, strict=True):
            top = np.abs(image).max()
            (above, left), (height, width) = (np.array(size) - image.shape) / 2 - 0.5, image.shape
            extent = (left, left + width, above + height, above)
            ax.imshow(image, cmap="RdBu_r", vmin=-top, vmax=top, extent=extent)
            ax.set(xlim=(-0.5, size[1] - 0.5), ylim=(size[0] - 0.5, -0.5), xticks=[], yticks=[])
            ax.spines[:].set(visible=True, color=TRUTH if model == "truth" else CEILING)
            if number == 0:
                ax.set_title(fill(name, 14), fontsize=9)
        row[0].set_ylabel(model.replace(" ", "\n"), rotation=0, ha="right", va="center", fontsize=9)
    return made
