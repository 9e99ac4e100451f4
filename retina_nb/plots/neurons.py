"""Figures of one neuron: what is known of it, side by side."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.projections.polar import PolarAxes

from retina_nb.analyses.most_exciting import MostExciting, space_time_parts
from retina_nb.analyses.receptive_fields import ReceptiveFields
from retina_nb.analyses.tuning import ChirpResponses, DirectionTuning
from retina_nb.plots.most_exciting import show_courses, show_strip
from retina_nb.plots.recordings import Prediction, show_prediction
from retina_nb.plots.style import CEILING, RECORDED, TWIN, figure
from retina_nb.plots.tuning import show_directions


def show_neuron(
    field: ReceptiveFields,
    directions: DirectionTuning | None,
    chirps: ChirpResponses | None,
    row: int,
    *,
    channels: Sequence[str],
    prediction: Prediction | None = None,
    exciting: MostExciting | None = None,
    title: str = "",
) -> Figure:
    """A neuron's receptive field, tuning to directions and response to the chirp, and what else is given.

    The receptive field is drawn as the product of a map and a course in time, for each channel, that is closest to it.

    Args:
        field: the receptive field of this neuron alone.
        directions, chirps: the tuning of several neurons, where it is known.
        row: which of them is this one.
        channels: names of the stimulus channels.
        prediction: its recorded responses and what is predicted of them.
        exciting: its most exciting input, in the first row.
        title: above the figure.
    """
    parts = {"chirp": (chirps, 1.0), "trace": (prediction, 1.1), "input": (exciting, 1.6)}
    heights = [1.9] + [height for part, height in parts.values() if part is not None]
    fig, axes = figure(len(heights), 1, size=(8.6, sum(heights) + 0.6), height_ratios=heights, squeeze=False)
    axes[0, 0].remove()
    grid = (
        axes[0, 0].get_subplotspec().subgridspec(1, len(channels) + 2, width_ratios=[1.2] * len(channels) + [1.7, 1.3])
    )
    courses, maps, _ = space_time_parts(field.linear[0])
    strength = np.abs(courses).max(axis=1)
    for number, (name, one) in enumerate(zip(channels, maps, strict=True)):
        ax = fig.add_subplot(grid[number])
        # A channel that counts little is pale: maps are on one scale.
        part = one * strength[number] / max(strength.max(), 1e-12)
        ax.imshow(part, cmap="RdBu_r", vmin=-1, vmax=1)
        ax.plot(*field.centers[0, ::-1], "+", color=RECORDED, ms=9, mew=1)
        ax.set(xticks=[], yticks=[])
        ax.set_title(f"field, {name}", fontsize=8)
    ax = fig.add_subplot(grid[len(channels)])
    ax.spines[["top", "right"]].set_visible(False)
    bins = courses.shape[1]
    show_courses(ax, (np.arange(bins) - bins + 1) / field.rate, courses / max(strength.max(), 1e-12), channels)
    ax.set_title("its course in time", fontsize=8)
    ax.set_xlabel("time before the response (s)", fontsize=8)
    if directions is not None:
        ax = fig.add_subplot(grid[len(channels) + 1], projection="polar")
        assert isinstance(ax, PolarAxes)
        show_directions(ax, directions, row)
        ax.set_title(f"directions: DSI {directions.dsi[row]:.2f}", fontsize=8)
    rest = iter(axes[1:, 0])
    if chirps is not None:
        _show_chirp(next(rest), chirps, row)
    if prediction is not None:
        ax = next(rest)
        show_prediction(ax, prediction, field.rate)
        ax.set_title(prediction.title, fontsize=8, loc="left")
        ax.set_xlabel("time (s)", fontsize=8)
        ax.legend(frameon=False, fontsize=7, ncols=3, loc="lower right", bbox_to_anchor=(1, 0.95))
    if exciting is not None:
        bins = exciting.stimuli.shape[2]
        ax = next(rest)
        show_strip(ax, exciting, np.linspace(bins // 4, bins - 1, 10).round().astype(int))
        ax.set_title(f"most exciting input: {exciting.scores[0]:.2f} events / bin", fontsize=8, loc="left")
    for ax in axes[1:, 0]:
        ax.yaxis.label.set_fontsize(8)
        ax.tick_params(labelsize=7)
    fig.suptitle(title, fontsize=10)
    return fig


def _show_chirp(ax: Axes, chirps: ChirpResponses, row: int) -> None:
    rates, stimulus = chirps.rates[row], chirps.stimulus[0]
    top = max(rates.max(), 1e-6)
    ax.plot(chirps.seconds, top * (1.35 + 0.2 * stimulus), color=CEILING, lw=0.8)
    ax.plot(chirps.seconds, rates, color=TWIN, lw=1)
    ax.set(xlim=(0, chirps.seconds[-1]), ylim=(0, 1.6 * top), ylabel="rate (1/s)")
    ax.set_title("chirp (grey: the contrast of the screen)", fontsize=8, loc="left")
    ax.set_xlabel("time (s)", fontsize=8)
