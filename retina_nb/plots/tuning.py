"""Figures of what cells prefer."""

from collections.abc import Mapping, Sequence
from textwrap import fill

import numpy as np
import pandas as pd
from jaxtyping import Float
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Polygon
from matplotlib.projections.polar import PolarAxes
from matplotlib.ticker import MaxNLocator

from retina_nb.analyses.tuning import ChirpResponses, DirectionTuning, FlashResponses, TuningCurve
from retina_nb.plots.style import BASELINE, CEILING, RECORDED, TRUTH, TWIN, figure

_GROUPS = ("0.25", "#E69F00", "#56B4E9", "#CC79A7", "#D55E00", TWIN, TRUTH)


def show_flash_responses(flashes: FlashResponses, groups: Sequence[str]) -> Figure:
    """Rates during a bright and a dark spot, a panel for each group: its cells and their mean.

    Args:
        flashes: of all cells.
        groups: each cell's group.
    """
    names = list(dict.fromkeys(groups))
    columns = min(len(names), 4)
    rows = -(-len(names) // columns)
    made, axes = figure(rows, columns, size=(1.85 * columns, 1.6 * rows + 0.4), sharex=True, squeeze=False)
    for ax, name in zip(axes.flat, names, strict=False):
        members = np.asarray(groups) == name
        for number, (colour, label) in enumerate(((BASELINE, "bright spot"), (RECORDED, "dark spot"))):
            rates = flashes.rates[members, number]
            ax.plot(flashes.seconds, rates.T, color=colour, lw=0.5, alpha=0.25)
            ax.plot(flashes.seconds, rates.mean(axis=0), color=colour, lw=2, label=label)
        ax.axvspan(0, flashes.seconds[-1], color=CEILING, alpha=0.25, lw=0)
        ax.set_title(name, fontsize=9)
    for ax in axes.flat[len(names) :]:
        ax.set_visible(False)
    made.supxlabel("time since onset (s)", fontsize=9)
    made.supylabel("events per second", fontsize=9)
    axes[0, 0].legend(frameon=False, fontsize=8)
    return made


def show_chirp_responses(
    chirps: ChirpResponses, groups: Sequence[str], *, shown: Sequence[str], truth: ChirpResponses | None = None
) -> Figure:
    """The chirp, and below it the mean response of some groups of cells.

    Args:
        chirps: of all cells.
        groups: each cell's group.
        shown: the groups to draw, a row each.
        truth: what the true cells do, drawn behind.
    """
    ratios = [0.6] + [1] * len(shown)
    size = (7.5, 0.5 + 0.9 * sum(ratios))
    made, axes = figure(len(shown) + 1, 1, size=size, sharex=True, height_ratios=ratios, squeeze=False)
    top = axes[0, 0]
    top.plot(chirps.seconds, chirps.stimulus[0], color=RECORDED, lw=0.8)
    top.set_axis_off()
    for ax, name in zip(axes[1:, 0], shown, strict=True):
        members = np.asarray(groups) == name
        if truth is not None:
            ax.fill_between(
                truth.seconds, truth.rates[members].mean(axis=0), color=TRUTH, alpha=0.35, lw=0, label="truth"
            )
        ax.plot(chirps.seconds, chirps.rates[members].mean(axis=0), color=TWIN, lw=1, label="twin")
        ax.set_title(name, loc="left", fontsize=9)
        ax.set_ylim(bottom=0)
    axes[1, 0].legend(frameon=False, fontsize=8, loc="upper right", ncols=2)
    axes[-1, 0].set(xlabel="time (s)", xlim=(0, chirps.seconds[-1]))
    made.supylabel("events per second", fontsize=9)
    return made


def show_direction_tuning(
    tuning: DirectionTuning, rows: Sequence[int], *, titles: Sequence[str], planted: Sequence[float] | None = None
) -> Figure:
    """Polar plots of some neurons: responses to the directions, the preferred direction, and the planted one.

    Args:
        tuning: of all neurons.
        rows: which of them.
        titles: a title for each; its DSI and p are added.
        planted: the true direction of each (degrees), NaN for none; not drawn if None.
    """
    columns = min(len(rows), 4)
    lines = -(-len(rows) // columns)
    size = (1.85 * columns, 2.2 * lines)
    made, axes = figure(lines, columns, size=size, squeeze=False, subplot_kw={"projection": "polar"})
    for ax, row, title, at in zip(axes.flat, rows, titles, range(len(rows)), strict=False):
        show_directions(ax, tuning, row, planted=np.nan if planted is None else planted[at])
        p = tuning.p_direction[row]
        significance = "p < 0.001" if p < 0.001 else f"p = {p:.3f}"
        ax.set_title(f"{title}\nDSI {tuning.dsi[row]:.2f}, {significance}", fontsize=8)
    for ax in axes.flat[len(rows) :]:
        ax.set_visible(False)
    return made


def show_directions(
    ax: PolarAxes, tuning: DirectionTuning, row: int, *, planted: float = np.nan
) -> tuple[Line2D, Polygon, Line2D]:
    """A neuron's responses to the directions, as parts of the largest, and their vector sum, on a polar axis.

    Args:
        ax: of another figure.
        tuning: of some neurons.
        row: which of them.
        planted: the true direction (degrees); NaN for none.

    Returns:
        The outline, the area within, and the vector.
    """
    angles, response = closed_curve(tuning, row)
    (outline,) = ax.plot(angles, response, color=TWIN, lw=1.5)
    (area,) = ax.fill(angles, response, color=TWIN, alpha=0.2, lw=0)
    angle = np.deg2rad(tuning.preferred_direction[row])
    (vector,) = ax.plot([angle, angle], [0, tuning.dsi[row]], color=TWIN, lw=3)
    if np.isfinite(planted):
        ax.plot(np.deg2rad(planted), 1.12, marker="v", color=TRUTH, ms=7, clip_on=False)
    ax.set(ylim=(0, 1.15), yticks=[0.5, 1], yticklabels=[])
    return outline, area, vector


def closed_curve(tuning: DirectionTuning, row: int) -> tuple[Float[np.ndarray, " point"], Float[np.ndarray, " point"]]:
    """Angles (radians) once around and back to the first, and a neuron's responses there as parts of the largest."""
    order = np.argsort(tuning.directions)
    angles = np.deg2rad(np.append(tuning.directions[order], tuning.directions[order[0]] + 360))
    response = tuning.responses[row, order].clip(min=0)
    return angles, np.append(response, response[0]) / max(response.max(), 1e-6)


def show_direction_test(tuning: DirectionTuning, planted: Sequence[bool] | None = None) -> Figure:
    """Strength and significance of every neuron's preference for a direction, and the neurons' preferred directions.

    Args:
        tuning: of all neurons.
        planted: which are truly direction-selective; not told apart if None.
    """
    made, (left, right) = figure(1, 2, size=(7.5, 3.4))
    right.remove()
    right = made.add_subplot(1, 2, 2, projection="polar")
    true = np.ones(len(tuning.dsi), bool) if planted is None else np.asarray(planted, bool)
    left.scatter(tuning.dsi[~true], tuning.p_direction[~true], s=22, facecolor="none", edgecolor=RECORDED)
    left.scatter(tuning.dsi[true], tuning.p_direction[true], s=22, color=TRUTH, lw=0, alpha=0.7)
    left.axhline(0.01, color=CEILING, zorder=0)
    left.axvline(0.3, color=CEILING, zorder=0)
    left.text(1, 0.012, "p = 0.01", ha="right", va="bottom", fontsize=8, color="0.4")
    left.text(0.31, 1, "DSI = 0.3", ha="left", va="center", fontsize=8, color="0.4")
    left.set(
        xlabel="direction selectivity index", ylabel="p (permutation of directions)", yscale="log", xlim=(-0.02, 1)
    )
    selective = tuning.direction_selective()
    for angle, length, is_true in zip(
        np.deg2rad(tuning.preferred_direction[selective]), tuning.dsi[selective], true[selective], strict=True
    ):
        right.plot([angle, angle], [0, length], color=TRUTH if is_true else RECORDED, lw=1.2, alpha=0.7)
    right.set(ylim=(0, 1), yticks=[0.5, 1], yticklabels=[])
    right.set_xticks(np.deg2rad([0, 90, 180, 270]), ["right", "up", "left", "down"], fontsize=8)
    right.set_title("preferred directions of cells called selective", fontsize=9)
    if planted is not None:
        left.set_title(
            "green: direction-selective in truth\ncalled selective: below and right of the lines", fontsize=9
        )
    return made


def show_tuning_curves(curves: Sequence[TuningCurve], groups: Sequence[str], shown: Sequence[Sequence[str]]) -> Figure:
    """Tuning curves of groups of cells, a panel for each variable: median and quartiles, as parts of each cell's peak.

    Args:
        curves: one for each panel.
        groups: each cell's group.
        shown: for each panel, the groups to draw.
    """
    columns = min(len(curves), 3)
    rows = -(-len(curves) // columns)
    made, axes = figure(rows, columns, size=(2.5 * columns, 2.4 * rows + 0.3), sharey=True, squeeze=False)
    names = list(dict.fromkeys(name for part in shown for name in part))
    colours = dict(zip(names, _GROUPS, strict=False))
    for ax in axes.flat[len(curves) :]:
        ax.set_visible(False)
    for ax, curve, part in zip(axes.flat, curves, shown, strict=False):
        for name in part:
            members = (np.asarray(groups) == name) & curve.responsive
            if not members.any():
                continue
            relative = curve.responses[members] / curve.peak[members, None]
            low, middle, high = np.quantile(relative, [0.25, 0.5, 0.75], axis=0)
            ax.fill_between(curve.values, low, high, color=colours[name], alpha=0.2, lw=0)
            ax.plot(curve.values, middle, "o-", ms=3, lw=1.5, color=colours[name])
        unit = f" ({curve.unit})" if curve.unit else ""
        ax.axhline(0, color=CEILING, lw=0.8, zorder=0)
        ax.set_xscale("log", base=2)
        ax.set_xticks(curve.values, [f"{value:g}" for value in curve.values], fontsize=8, rotation=45)
        ax.minorticks_off()
        ax.set(xlabel=curve.variable + unit, ylim=(-0.1, 1.1))
    for ax in axes[:, 0]:
        ax.set_ylabel("response / peak")
    handles = [axes[0, 0].plot([], [], "o-", ms=3, color=colour, label=name)[0] for name, colour in colours.items()]
    made.legend(handles=handles, frameon=False, fontsize=8, loc="outside upper center", ncols=min(len(names), 5))
    return made


def show_indices(values: pd.DataFrame, groups: Sequence[str], planted: pd.DataFrame | None = None) -> Figure:
    """A panel for each column: a dot for each cell in the row of its group, and what was planted as a line.

    Args:
        values: a row for each cell; the columns' names are the labels.
        groups: each cell's group.
        planted: the true values, a row for each cell, of some of the columns.
    """
    names = list(dict.fromkeys(groups))
    size = (min(1.9 + 2.0 * values.shape[1], 7.5), 0.27 * len(names) + 0.9)
    made, axes = figure(1, values.shape[1], size=size, sharey=True, squeeze=False)
    for ax, column in zip(axes[0], values, strict=True):
        for row, name in enumerate(names):
            members = np.asarray(groups) == name
            ax.plot(values[column][members], np.full(members.sum(), row), "o", ms=4, color=TWIN, alpha=0.5, mew=0)
            if planted is not None and column in planted:
                true = planted[column][members].median()
                ax.plot([true, true], [row - 0.4, row + 0.4], color=TRUTH, lw=2)
        ax.set(xlabel=fill(column, 18))
        ax.xaxis.set_major_locator(MaxNLocator(3))
        ax.xaxis.label.set_fontsize(9)
    axes[0, 0].set(yticks=range(len(names)), yticklabels=names, ylim=(len(names) - 0.5, -0.5))
    return made


def show_agreement(pairs: Mapping[str, tuple[Float[np.ndarray, " cell"], Float[np.ndarray, " cell"]]]) -> Figure:
    """The same number from the truth and from a twin, cell by cell, a panel for each; their rank correlation is given.

    Args:
        pairs: for each name, the numbers from the truth and from the twin; cells without one of both are left out.
    """
    rows = -(-len(pairs) // 3)
    columns = -(-len(pairs) // rows)
    made, axes = figure(rows, columns, size=(2.4 * columns, 2.7 * rows), squeeze=False)
    for ax in axes.flat[len(pairs) :]:
        ax.set_visible(False)
    for ax, (name, (true, found)) in zip(axes.flat, pairs.items(), strict=False):
        both = np.isfinite(true) & np.isfinite(found)
        ends = [min(true[both].min(), found[both].min()), max(true[both].max(), found[both].max())]
        ax.plot(ends, ends, color=CEILING, zorder=0)
        ax.scatter(true[both], found[both], s=14, color=TWIN, lw=0, alpha=0.6)
        order = pd.Series(true[both]).corr(pd.Series(found[both]), method="spearman")
        ax.set_title(f"{name}\nrank correlation {order:.2f}", fontsize=9)
        ax.set(xlabel="truth", ylabel="twin" if ax in axes[:, 0] else "")
        ax.set_box_aspect(1)
    return made
