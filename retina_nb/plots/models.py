"""Figures of what is inside models, and of how several compare."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from jaxtyping import Float
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from retina_nb.plots.style import CEILING, COLOURS, RECORDED, TWIN, figure

_OTHERS = (TWIN, "#E69F00", "#CC79A7", "#56B4E9", "#D55E00")


def show_maps(
    rows: Mapping[str, Mapping[str, Float[np.ndarray, "height width"]]],
    *,
    side: float = 1.5,
    limit: float | None = None,
    label: str = "",
    axes_names: tuple[str, str] | None = None,
) -> Figure:
    """Maps of numbers of both signs: red above zero, blue below. Without a limit each map has a scale of its own.

    Args:
        rows: for each row's name, its maps by name; all rows have the same names.
        side: height of a row in inches.
        limit: the number that is as red as can be; by default each map's largest, whatever its sign.
        label: what the numbers are, for the colour bar; there is none without a limit.
        axes_names: what the vertical and the horizontal axis are; by default pixels, without ticks.
    """
    columns = list(next(iter(rows.values())))
    size = (side * len(columns) + 1, side * len(rows) + 0.3)
    made, axes = figure(len(rows), len(columns), size=size, squeeze=False)
    for row, (name, maps) in zip(axes, rows.items(), strict=True):
        for ax, column in zip(row, columns, strict=True):
            top = limit or max(np.abs(maps[column]).max(), 1e-12)
            image = ax.imshow(maps[column], cmap="RdBu_r", vmin=-top, vmax=top)
            ax.spines[:].set(visible=True, color=CEILING)
            if axes_names is None:
                ax.set(xticks=[], yticks=[])
            else:
                ax.set(ylabel=axes_names[0], xlabel=axes_names[1])
            if ax in axes[0]:
                ax.set_title(column, fontsize=9)
        if axes_names is None:
            row[0].set_ylabel(name, rotation=0, ha="right", va="center", fontsize=9)
    if limit is not None:
        made.colorbar(image, ax=axes, label=label, shrink=0.8)
    elif axes_names is None:
        made.supxlabel("red above 0, blue below; each map to its own largest", fontsize=8, color="0.4")
    return made


def show_curves(
    panels: Mapping[str, Mapping[str, Float[np.ndarray, " time"]]], seconds: Float[np.ndarray, " time"], *, ylabel: str
) -> Figure:
    """Courses in time, a panel for each mapping of names to courses. The truth is filled, so that none hides another.

    Args:
        panels: for each panel's title, its curves by name.
        seconds: when their points are (s).
        ylabel: what they are.
    """
    columns = len(panels) if len(panels) < 5 else -(-len(panels) // 2)
    rows = -(-len(panels) // columns)
    size = (min(2.6 * columns + 0.6, 7.5), 2.2 * rows + 0.3)
    made, axes = figure(rows, columns, size=size, sharex=True, sharey=True, squeeze=False)
    names = list(dict.fromkeys(name for curves in panels.values() for name in curves))
    colours = {name: COLOURS.get(name, other) for name, other in zip(names, _OTHERS * len(names), strict=False)}
    for ax, (title, curves) in zip(axes.flat, panels.items(), strict=False):
        ax.axhline(0, color=CEILING, lw=0.8)
        for name, curve in curves.items():
            if name in ("truth", "planted") and len(curves) > 1:
                ax.fill_between(seconds, curve, color=colours[name], alpha=0.35, lw=0, label=name)
            else:
                ax.plot(seconds, curve, color=colours[name], lw=1.5, label=name)
        ax.set_title(title, fontsize=9)
    for ax in axes.flat[len(panels) :]:
        ax.set_visible(False)
    for ax in axes[-1]:
        ax.set_xlabel("time (s)")
    for ax in axes[:, 0]:
        ax.set_ylabel(ylabel)
    if len(names) > 1:
        made.legend(
            *axes[0, 0].get_legend_handles_labels(), loc="outside upper right", frameon=False, fontsize=9, ncols=6
        )
    return made


def show_by_type(values: pd.Series, types: Sequence[str], *, xlabel: str, reference: float = 0.0) -> Figure:
    """A dot for each neuron and a bar for the median of each type, types sorted by it.

    Args:
        values: a number for each neuron.
        types: each neuron's type.
        xlabel: what the numbers are.
        reference: where to draw a line.
    """
    groups = pd.Series(np.asarray(values)).groupby(np.asarray(types))
    order = groups.median().sort_values().index
    made, ax = figure(size=(7, 0.28 * len(order) + 0.8))
    ax.axvline(reference, color=CEILING, zorder=0)
    for row, name in enumerate(order):
        members = groups.get_group(name)
        ax.plot(members, np.full(len(members), row), "o", ms=5, color=TWIN, alpha=0.6, mew=0)
        ax.plot([members.median()] * 2, [row - 0.3, row + 0.3], color=RECORDED, lw=2)
    ax.set(yticks=range(len(order)), yticklabels=order, xlabel=xlabel)
    return made


def show_medians(scores: pd.DataFrame, groups: Sequence[str], *, label: str) -> Figure:
    """Median of each group for each model as numbers on a map; the best model of each group is framed.

    Args:
        scores: a row for each neuron, a column for each model.
        groups: each neuron's group; groups are sorted by the best median.
        label: what the scores are.
    """
    medians = scores.groupby(np.asarray(groups)).median()
    medians = medians.loc[medians.max(axis=1).sort_values(ascending=False).index]
    made, ax = figure(size=(1.05 * medians.shape[1] + 2.5, 0.32 * len(medians) + 1.1))
    image = ax.imshow(medians, cmap="viridis", vmin=0, vmax=1, aspect="auto")
    for (row, column), value in np.ndenumerate(medians.to_numpy()):
        ax.text(column, row, f"{value:.2f}", ha="center", va="center", fontsize=8, color="w" if value < 0.6 else "k")
    for row, column in enumerate(medians.dropna(how="all").fillna(-np.inf).to_numpy().argmax(axis=1)):
        ax.add_patch(Rectangle((column - 0.47, row - 0.45), 0.94, 0.9, fill=False, edgecolor="k", lw=2))
    ax.set(yticks=range(len(medians)), yticklabels=medians.index)
    ax.set_xticks(range(medians.shape[1]), [name.replace(" ", "\n", 1) for name in medians.columns], fontsize=8)
    ax.tick_params(length=0, top=False)
    ax.spines[:].set_visible(False)
    made.colorbar(image, ax=ax, label=label)
    return made
