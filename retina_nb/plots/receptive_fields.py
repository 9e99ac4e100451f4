"""Figures of receptive fields: maps and time courses, how much data they need, and what covariance adds."""

from collections.abc import Mapping, Sequence

import numpy as np
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from retina_nb.analyses.receptive_fields import ReceptiveFields, SpikeTriggeredCovariance
from retina_nb.plots.style import BASELINE, CEILING, RECORDED, TRUTH, TWIN, figure

_COURSES = (TRUTH, TWIN, "#56B4E9", "#D55E00", BASELINE, RECORDED)


def show_receptive_fields(
    estimates: Mapping[str, ReceptiveFields],
    rows: Sequence[int],
    titles: Sequence[str],
    agreement: Mapping[str, Float[np.ndarray, " neuron"]] | None = None,
) -> Figure:
    """Maps of some neurons by several estimates, a line for each, and below them the time courses of all.

    A map is the field in the bin in which it is strongest, the mean over channels: red where the neuron wants it
    brighter. A course is that of the map's strongest pixel.

    Args:
        estimates: by name; all have the same neurons.
        rows: which of the neurons, a column each.
        titles: theirs.
        agreement: a number for each neuron of some estimates, written below the map.
    """
    size = (1.35 * len(rows) + 1.2, 1.5 * len(estimates) + 1.5)
    made, axes = figure(len(estimates) + 1, len(rows), size=size, squeeze=False)
    for line, (name, fields), colour in zip(axes[:-1], estimates.items(), _COURSES, strict=False):
        for ax, below, row in zip(line, axes[-1], rows, strict=True):
            linear = fields.linear[row].mean(axis=0)
            lag, y, x = np.unravel_index(np.abs(linear).argmax(), linear.shape)
            _map(ax, linear[lag])
            if agreement is not None and name in agreement and linear.any():
                ax.set_xlabel(f"{agreement[name][row]:.2f}", fontsize=8, labelpad=2)
            seconds = np.arange(1 - len(linear), 1) / fields.rate
            course = linear[:, y, x] / max(abs(linear[lag, y, x]), 1e-12)
            below.plot(seconds, course, color=colour, lw=1.3, label=name)
        line[0].set_ylabel(name, rotation=0, ha="right", va="center", fontsize=9)
    for ax, title in zip(axes[0], titles, strict=True):
        ax.set_title(title, fontsize=8)
    shortest = min(fields.linear.shape[2] for fields in estimates.values())
    for ax in axes[-1]:
        ax.axhline(0, color=CEILING, lw=0.8, zorder=0)
        ax.set(xlim=((1 - shortest) / next(iter(estimates.values())).rate, 0), ylim=(-1.1, 1.1), yticks=[])
        ax.tick_params(labelsize=7)
    axes[-1, 0].set_ylabel("time course", rotation=0, ha="right", va="center", fontsize=9)
    axes[-1, len(rows) // 2].set_xlabel("time before the response (s)", fontsize=9)
    handles, labels = axes[-1, 0].get_legend_handles_labels()
    made.legend(handles, labels, frameon=False, fontsize=8, loc="outside lower center", ncols=len(labels))
    return made


def show_covariance(
    found: SpikeTriggeredCovariance,
    titles: Sequence[str],
    averages: ReceptiveFields | None = None,
    *,
    filters: int = 3,
) -> Figure:
    """Eigenvalues and the strongest directions of each neuron, a line for each; grey: what chance makes.

    Args:
        found: of some neurons.
        titles: theirs.
        averages: of the same neurons, drawn in front of the directions in the same window.
        filters: how many directions to draw, the strongest relative to chance.
    """
    columns = 1 + (averages is not None) + filters
    made, axes = figure(
        len(titles),
        columns,
        size=(2.6 + 1.3 * (columns - 1), 1.35 * len(titles) + 0.4),
        squeeze=False,
        width_ratios=[2.2] + [1] * (columns - 1),
    )
    for number, (line, title) in enumerate(zip(axes, titles, strict=True)):
        values, low, high = found.eigenvalues[number], found.low[number], found.high[number]
        beyond = (values > high) | (values < low)
        line[0].axvspan(low, high, color=CEILING, alpha=0.5, lw=0)
        line[0].plot(values[~beyond], np.zeros((~beyond).sum()), "o", ms=5, color=RECORDED, mfc="none")
        line[0].plot(values[beyond], np.zeros(beyond.sum()), "o", ms=6, color=TWIN)
        line[0].set(yticks=[], ylim=(-1, 1), title=title)
        line[0].title.set_fontsize(9)
        line[0].tick_params(labelsize=7)
        if averages is not None:
            _average(line[1], averages, number, found)
        strength = values / np.where(values > 0, high, low)
        strongest = np.argsort(-strength)[:filters]
        for ax, which in zip(line[-filters:], strongest, strict=True):
            linear = found.filters[number, which].mean(axis=0)
            _map(ax, linear[np.abs(linear).max(axis=(1, 2)).argmax()])
            ax.set_xlabel(f"{values[which]:.2f}" + ("*" if beyond[which] else ""), fontsize=8, labelpad=2)
    axes[-1, 0].set_xlabel("change of variance", fontsize=9)
    if averages is not None:
        axes[0, 1].set_title("average", fontsize=9)
    axes[0, -filters].set_title("directions", fontsize=9)
    return made


def show_data_needed(
    minutes: Sequence[float], panels: Mapping[str, Mapping[str, Sequence[float]]], colours: Mapping[str, str]
) -> Figure:
    """Numbers against the length of a recording, a panel for each.

    Args:
        minutes: lengths.
        panels: for each label of a vertical axis, curves by name.
        colours: of some of the curves.
    """
    made, axes = figure(1, len(panels), size=(3.4 * len(panels), 2.7), squeeze=False)
    for ax, (label, curves) in zip(axes[0], panels.items(), strict=True):
        for name, values in curves.items():
            ax.plot(minutes, values, "o-", ms=4, color=colours.get(name, RECORDED), label=name)
        ax.set_xscale("log", base=2)
        ax.set_xticks(minutes, [f"{value:g}" for value in minutes])
        ax.minorticks_off()
        ax.set(xlabel="minutes of noise", ylabel=label, ylim=(0, None))
        if len(curves) > 1:
            ax.legend(frameon=False, fontsize=8)
    return made


def _average(ax: Axes, averages: ReceptiveFields, number: int, found: SpikeTriggeredCovariance) -> None:
    linear = averages.linear[number].mean(axis=0)
    window = found.filters.shape[-1]
    y, x = found.corners[number]
    linear = linear[:, y : y + window, x : x + window]
    _map(ax, linear[np.abs(linear).max(axis=(1, 2)).argmax()])


def _map(ax: Axes, image: np.ndarray) -> None:
    top = max(float(np.abs(image).max()), 1e-12)
    ax.imshow(image, cmap="RdBu_r", vmin=-top, vmax=top)
    ax.set(xticks=[], yticks=[])
    ax.spines[:].set(visible=True, color=CEILING)
