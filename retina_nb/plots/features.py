"""Figures of a core's features: what evokes them and who reads them."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from jaxtyping import Float
from matplotlib.figure import Figure

from retina_nb.analyses.features import Features
from retina_nb.plots.style import CEILING, CHANNEL_COLOURS, CHANNEL_MAPS, RECORDED, figure


def show_features(
    found: Features,
    rows: Sequence[int],
    titles: Sequence[str],
    clips: Sequence[tuple[Float[np.ndarray, "clip channel lag height width"], Float[np.ndarray, "clip 3"]]],
    *,
    channels: Sequence[str] = tuple(CHANNEL_MAPS),
) -> Figure:
    """For each feature its filter in space and in time, and the frames that evoke it most.

    Args:
        found: the features.
        rows: which are drawn.
        titles: of each.
        clips: for each, what `retina_nb.analyses.feature_clips` gives. Drawn are the frames in which its filter is
            strongest, with a cross where the feature is.
        channels: names of the stimulus channels.
    """
    count = found.filters.shape[1]
    columns = count + 1 + max((len(one) for one, _ in clips), default=0)
    made, axes = figure(len(rows), columns, size=(1.25 * columns + 1.5, 1.3 * len(rows)), squeeze=False)
    colours = [CHANNEL_COLOURS.get(name, RECORDED) for name in (*channels, *[""] * count)]
    seconds = np.arange(1 - found.filters.shape[2], 1) / found.rate
    for line, row, title, (some, where) in zip(axes, rows, titles, clips, strict=True):
        kernel = found.filters[row]
        lag = np.square(kernel).sum(axis=(0, 2, 3)).argmax()
        y, x = np.unravel_index(np.square(kernel).sum(axis=(0, 1)).argmax(), kernel.shape[2:])
        top = max(np.abs(kernel).max(), 1e-12)
        for number, ax in enumerate(line[:count]):
            ax.imshow(kernel[number, lag], cmap="RdBu_r", vmin=-top, vmax=top)
            ax.plot(x, y, "k+", ms=4)
            line[count].plot(seconds, kernel[number, :, y, x], color=colours[number], lw=1.2)
        line[count].axhline(0, color=CEILING, lw=0.6)
        line[count].tick_params(labelsize=7)
        line[count].set(yticks=[])
        for ax, clip, (_, down, right) in zip(line[count + 1 :], some, where, strict=False):
            ax.imshow(clip[:, lag].mean(axis=0), cmap="gray", vmin=-2, vmax=2)
            ax.plot(right, down, "+", color="#D55E00", ms=6)
        line[0].set_ylabel(title, rotation=0, ha="right", va="center", fontsize=8)
    for ax in (*axes[:, :count].ravel(), *axes[:, count + 1 :].ravel()):
        ax.set(xticks=[], yticks=[])
        ax.spines[:].set(visible=True, color=CEILING)
    for ax, name in zip(axes[0], [*channels[:count], "time (s)", "most evoked by"], strict=False):
        ax.set_title(name, fontsize=8)
    return made


def show_readers(effect: pd.DataFrame, *, limit: float = 0.5) -> Figure:
    """Which types of cell hear which features: red if the feature raises their rate, blue if it lowers it.

    Args:
        effect: mean relative effect, a row for each feature and a column for each type.
        limit: the effect that is as red as can be.
    """
    made, ax = figure(size=(0.42 * effect.shape[1] + 2.6, 0.2 * len(effect) + 1.8))
    image = ax.imshow(effect, cmap="RdBu_r", vmin=-limit, vmax=limit, aspect="auto")
    ax.set(yticks=range(len(effect)), yticklabels=effect.index, ylabel="feature")
    ax.set_xticks(range(effect.shape[1]), effect.columns, rotation=45, ha="right", fontsize=8)
    ax.tick_params(axis="y", labelsize=7)
    ax.spines[:].set_visible(False)
    made.colorbar(image, ax=ax, label="share of the mean rate owed to the feature", shrink=0.8)
    return made
