"""Figures of optimised stimuli."""

from collections.abc import Mapping, Sequence
from textwrap import fill
from typing import Literal

import numpy as np
from jaxtyping import Float, Int
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from matplotlib.lines import Line2D
from matplotlib.text import Text

from retina_nb.analyses.most_exciting import MostExciting, space_time_parts
from retina_nb.plots.style import CEILING, CHANNEL_COLOURS, RECORDED, TWIN, figure


def show_most_exciting(made: MostExciting, row: int = 0, *, frames: int = 6, title: str = "") -> Figure:
    """A stimulus: a few of its frames, its course in time and its map for each channel, and the response to it.

    Frames are evenly spread over those with a tenth or more of the strongest frame's contrast; time is 0 at the end of
    the counted bins, which are shaded.

    Args:
        made: the stimuli.
        row: which of them.
        frames: how many frames are shown.
        title: above the figure; what was excited by default.
    """
    stimulus = made.stimuli[row]
    channels, bins = stimulus.shape[:2]
    lag = bins - made.responses.shape[1]
    end = made.counted[1] + lag
    strength = np.sqrt((stimulus[:, :end] ** 2).sum(axis=(0, 2, 3)))
    strong = np.flatnonzero(strength >= strength.max() / 10)
    first = strong[0]
    shown = np.unique(np.linspace(first, strong[-1], frames).round().astype(int))
    courses, maps, part = space_time_parts(stimulus)
    limit = max(np.abs(stimulus).max(), 1e-12)
    widths = {"width_ratios": [1] * len(shown) + [1.2, 1.9]}
    rows = max(2, channels)  # the last column has the courses and, below, the response
    size = (1.05 * len(shown) + 4.5, 1.35 * rows + 0.8)
    fig, axes = figure(rows, len(shown) + 2, size=size, gridspec_kw=widths, squeeze=False)
    seconds = (np.arange(bins) - end + 1) / made.rate
    for channel, line in enumerate(axes[:channels]):
        for ax, frame in zip(line, shown, strict=False):
            image = ax.imshow(stimulus[channel, frame], cmap="RdBu_r", vmin=-limit, vmax=limit)
            if channel == 0:
                ax.set_title(f"{1000 * seconds[frame]:.0f} ms", fontsize=8)
        line[0].set_ylabel(made.channels[channel], fontsize=9)
        line[-2].imshow(maps[channel], cmap="RdBu_r", vmin=-1, vmax=1)
        line[-2].set_title(f"map ({part[channel]:.0%})", fontsize=8)
        for ax in line[:-1]:
            ax.set(xticks=[], yticks=[])
            ax.spines[:].set(visible=True, color=CEILING)
    show_courses(axes[0, -1], seconds[first:end], courses[:, first:end], made.channels)
    show_counted(axes[1, -1], made, row, seconds[lag:])
    for ax in [*axes[channels:, :-1].flat, *axes[2:, -1]]:
        ax.set_axis_off()
    fig.colorbar(image, ax=axes[:channels, :-2], label="contrast", shrink=0.8, pad=0.01)
    fig.suptitle(title or _name(made, row), fontsize=10)
    return fig


def show_ascent(made: MostExciting, names: Sequence[str]) -> Figure:
    """Scores over steps, as a part of the best that was reached, a panel for each name and a line for each row.

    Args:
        made: the stimuli.
        names: each row's group, e.g. its cell type.
    """
    groups = list(dict.fromkeys(names))
    columns = min(4, len(groups))
    rows = -(-len(groups) // columns)
    fig, axes = figure(rows, columns, size=(1.7 * columns, 1.5 * rows + 0.3), sharex=True, sharey=True, squeeze=False)
    for ax, group in zip(axes.flat, groups, strict=False):
        ax.axhline(1, color=CEILING, lw=0.8)
        members = np.flatnonzero(np.asarray(names) == group)
        top = max(np.abs(made.scores[members]).max(), 1e-12)
        ax.plot(made.history[members].T / top, color=TWIN, lw=1, alpha=0.7)
        ax.set_title(fill(group, 24), fontsize=8)
    for ax in axes.flat[len(groups) :]:
        ax.set_axis_off()
    fig.supxlabel("step", fontsize=9)
    fig.supylabel("score (part of the best)", fontsize=9)
    return fig


def show_space_time(
    stimuli: Mapping[str, Float[np.ndarray, "channel time height width"]], rate: float, *, axis: Mapping[str, str]
) -> Figure:
    """Stimuli as a picture of time and one direction of space, where motion is a slant.

    Args:
        stimuli: by name; channels are summed.
        rate: bins per second (Hz).
        axis: for each name ``"x"`` or ``"y"``; the other one is averaged over.

    Time starts at the first frame of any that holds a tenth of its strongest frame's contrast.
    """
    strength = np.stack([np.linalg.norm(one, axis=(0, 2)).max(axis=-1) for one in stimuli.values()])
    first = int((strength >= strength.max(axis=1, keepdims=True) / 10).any(axis=0).argmax())
    fig, axes = figure(1, len(stimuli), size=(2.1 * len(stimuli), 2.6), sharey=True, squeeze=False)
    for ax, (name, stimulus) in zip(axes[0], stimuli.items(), strict=True):
        picture = stimulus[:, first:].sum(axis=0).mean(axis=1 if axis[name] == "x" else 2)  # (time, place)
        limit = max(np.abs(picture).max(), 1e-12)
        extent = (-0.5, picture.shape[1] - 0.5, 0.5 / rate, (0.5 - len(picture)) / rate)
        ax.imshow(picture, cmap="RdBu_r", vmin=-limit, vmax=limit, aspect="auto", extent=extent)
        ax.set_title(fill(name, 14), fontsize=9)
        ax.set(xlabel="x (pixels)" if axis[name] == "x" else "y (pixels, downward)")
    axes[0, 0].set_ylabel("time before the end (s)")
    return fig


def show_strip(ax: Axes, made: MostExciting, frames: Int[np.ndarray, " frame"], row: int = 0) -> tuple[AxesImage, Text]:
    """Frames of a stimulus side by side, a line for each channel, on an axis of another figure.

    Times are before the end of the counted bins; the strongest contrast that there is, is as red or blue as can be.

    Returns:
        What changes with the stimulus: the picture, and the words that tell of its colours.
    """
    height, width = made.stimuli.shape[3:]
    tiles, limit = strip_tiles(made, frames, row)
    image = ax.imshow(tiles, cmap="RdBu_r", vmin=-limit, vmax=limit)
    words = ax.set_title(strip_words(limit), fontsize=8, loc="right", color="0.4")
    end = counted_end(made)
    times = [f"{1000 * (frame - end + 1) / made.rate:.0f}" for frame in frames]
    ax.set_xticks(np.arange(len(frames)) * (width + 1) + (width - 1) / 2, times, fontsize=8)
    ax.set_yticks(np.arange(len(made.channels)) * (height + 1) + (height - 1) / 2, made.channels, fontsize=8)
    ax.set_xlabel("time before the end (ms)", fontsize=8)
    ax.tick_params(length=0)
    ax.spines[:].set_visible(False)
    return image, words


def strip_tiles(
    made: MostExciting, frames: Int[np.ndarray, " frame"], row: int = 0
) -> tuple[Float[np.ndarray, "height width"], float]:
    """The picture of `show_strip`, NaN between frames, and the strongest contrast in it."""
    stimulus = made.stimuli[row][:, frames]  # (channel, frame, height, width)
    width = stimulus.shape[3]
    tiles = np.pad(stimulus, ((0, 0), (0, 0), (0, 1), (0, 1)), constant_values=np.nan)
    tiles = tiles.transpose(0, 2, 1, 3).reshape(-1, len(frames) * (width + 1))[:-1, :-1]
    return tiles, max(float(np.abs(stimulus).max()), 1e-12)


def strip_words(limit: float) -> str:
    """What the colours of a strip say, given the strongest contrast in it."""
    return f"red and blue: contrasts up to ±{limit:.2g}"


def show_courses(
    ax: Axes,
    seconds: np.ndarray,
    courses: np.ndarray,
    channels: Sequence[str],
    *,
    legend: Literal["best", "upper left"] = "best",
) -> list[Line2D]:
    """Courses in time, a line for each channel, and a legend at a place, on an axis of another figure."""
    ax.axhline(0, color=CEILING, lw=0.8)
    lines = []
    for channel, course in zip(channels, courses, strict=True):
        lines += ax.plot(seconds, course, lw=1.5, label=channel, color=CHANNEL_COLOURS.get(channel, RECORDED))
    ax.legend(frameon=False, fontsize=8, loc=legend)
    ax.set_title("course (contrast)", fontsize=8)
    ax.tick_params(labelsize=8)
    return lines


def show_counted(ax: Axes, made: MostExciting, row: int, seconds: np.ndarray) -> Line2D:
    """The response to a stimulus, with the counted bins shaded, on an axis of another figure."""
    ax.axvspan(seconds[made.counted[0]], seconds[made.counted[1] - 1], color=CEILING, alpha=0.4, lw=0)
    rates = made.responses[row] * made.rate
    (line,) = ax.plot(seconds, rates, color=TWIN, lw=1.5, marker="." if len(seconds) < 3 else "")
    ax.set_title("response (events/s)", fontsize=8)
    ax.set_xlabel("time (s)", fontsize=8)
    ax.set_ylim(bottom=min(0, rates.min()))
    ax.tick_params(labelsize=8)
    return line


def counted_end(made: MostExciting) -> int:
    """The frame after the last of the counted bins."""
    return made.stimuli.shape[2] - made.responses.shape[1] + made.counted[1]


def _name(made: MostExciting, row: int) -> str:
    return ", ".join(f"{name} {value}" for name, value in made.table.iloc[row].items() if value != "")
