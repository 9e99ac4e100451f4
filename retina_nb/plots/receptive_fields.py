"""Figures of receptive fields: what they cost in data, what an average misses, and whether they are as planted."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from retina_nb.analyses.receptive_fields import SpikeTriggeredCovariance
from retina_nb.plots.style import BASELINE, CEILING, COLOURS, RECORDED, TRUTH, TWIN, figure

_GROUPS = (TWIN, BASELINE, RECORDED, "#CC79A7", "#56B4E9", "#D55E00")
_POLARITIES = ("ON", "OFF")


def show_data_needed(cosines: pd.DataFrame, *, ylabel: str, levels: Mapping[str, float] | None = None) -> Figure:
    """How an estimate grows better with data.

    Args:
        cosines: a row for each duration, which is the index (minutes), a column for each kind of data.
        ylabel: what the numbers are.
        levels: what to compare with by name: drawn as horizontal lines.
    """
    made, ax = figure(size=(7, 3))
    for (name, curve), colour in zip(cosines.items(), ("#56B4E9", BASELINE, RECORDED), strict=False):
        ax.semilogx(cosines.index, curve, "o-", color=colour, lw=1.5, ms=4, label=name)
    for name, level in (levels or {}).items():
        ax.axhline(level, color=COLOURS.get(name, RECORDED), lw=1, ls="--", label=name)
    ax.set_xticks(cosines.index, [f"{minutes:g}" for minutes in cosines.index])
    ax.set_xticks([], minor=True)
    ax.set(xlabel="minutes of noise", ylabel=ylabel, ylim=(0, 1.02))
    ax.legend(frameon=False, fontsize=8, loc="center left", bbox_to_anchor=(1, 0.5))
    return made


def show_covariance(found: SpikeTriggeredCovariance, labels: Sequence[str]) -> Figure:
    """Eigenvalues of each neuron, those beyond the null filled, and the two directions that exceed it most.

    A direction is drawn in the bin and channel in which it peaks.

    Args:
        found: of some neurons.
        labels: what to call them.
    """
    count = len(labels)
    made, axes = figure(3, count, size=(min(2.1 * count + 0.6, 7.5), 5.0), squeeze=False, height_ratios=[1.3, 1, 1])
    for neuron, (name, column) in enumerate(zip(labels, axes.T, strict=True)):
        values, low, high = found.eigenvalues[neuron], found.low[neuron], found.high[neuron]
        column[0].axhspan(low, high, color=CEILING, alpha=0.5, lw=0)
        beyond = (values < low) | (values > high)
        column[0].scatter(range(len(values)), values, s=24, color=np.where(beyond, TWIN, "w"), edgecolor=TWIN)
        column[0].set_title(name, fontsize=9)
        column[0].set_xticks([])
        strength = values / np.where(values > 0, high, low)
        for ax, which in zip(column[1:], np.argsort(-strength)[:2], strict=True):
            _show_direction(ax, found.filters[neuron, which])
            ax.set_xlabel(f"{values[which]:+.2f}" + ("" if beyond[which] else ", by chance"), fontsize=8)
    axes[0, 0].set_ylabel("change of variance")
    axes[1, 0].set_ylabel("strongest\ndirection", fontsize=9)
    axes[2, 0].set_ylabel("second", fontsize=9)
    return made


def _show_direction(ax: Axes, direction: Float[np.ndarray, "channel lag height width"]) -> None:
    channel, lag = np.unravel_index((direction**2).sum(axis=(2, 3)).argmax(), direction.shape[:2])
    image, top = direction[channel, lag], np.abs(direction).max()
    ax.imshow(image, cmap="RdBu_r", vmin=-top, vmax=top)
    ax.spines[:].set(visible=True, color=CEILING)
    ax.set(xticks=[], yticks=[])


def show_recovered(
    panels: Mapping[str, tuple[Float[np.ndarray, " neuron"], Float[np.ndarray, " neuron"]]], groups: Sequence[str]
) -> Figure:
    """Planted against found, a dot for each neuron; on the line they are the same.

    Args:
        panels: for each quantity's name with its unit, the planted and the found numbers; NaN is left out.
        groups: each neuron's group, by which it is coloured. Names that differ in ON and OFF alone have one colour, and
            OFF is hollow.
    """
    made, axes = figure(1, len(panels), size=(min(3.2 * len(panels), 7.5), 3.0), squeeze=False)
    names = sorted(dict.fromkeys(groups), key=_without_polarity)
    families = list(dict.fromkeys(map(_without_polarity, names)))
    colours = dict(zip(families, _GROUPS * len(families), strict=False))
    for ax, (title, (planted, found)) in zip(axes[0], panels.items(), strict=True):
        both = np.concatenate([planted, found])
        span = np.nanmin(both), np.nanmax(both)
        ax.plot(span, span, color=TRUTH, lw=1, zorder=0)
        for name in names:
            chosen = np.asarray(groups) == name
            colour = colours[_without_polarity(name)]
            face = "none" if name.startswith("OFF ") else colour
            ax.plot(planted[chosen], found[chosen], "o", ms=5, mfc=face, mec=colour, alpha=0.8, label=name)
        ax.set_title(title, fontsize=9)
        ax.set(xlabel="planted", ylabel="found" if ax is axes[0, 0] else "")
        ax.set_box_aspect(1)
    lines = axes[0, 0].get_legend_handles_labels()
    made.legend(*lines, loc="outside lower center", frameon=False, fontsize=9, ncols=4)
    return made


def _without_polarity(name: str) -> str:
    first, _, rest = name.partition(" ")
    return rest if first in _POLARITIES and rest else name
