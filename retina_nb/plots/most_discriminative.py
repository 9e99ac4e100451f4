"""Figures of groups of cells and of the stimuli that tell them apart."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float
from matplotlib.figure import Figure

from retina_nb.analyses.most_discriminative import MostDiscriminative
from retina_nb.analyses.most_exciting import space_time_parts
from retina_nb.plots.most_exciting import show_courses
from retina_nb.plots.style import CEILING, figure


def show_groups(found: MostDiscriminative, names: Sequence[str]) -> Figure:
    """Response of every cell to every group's stimulus; cells are sorted by group, with lines between groups.

    Args:
        found: the groups.
        names: what to call each group.
    """
    order = np.argsort(found.cluster, kind="stable")
    picture = found.responses[:, order]
    picture = picture / np.diag(found.confusion)[:, None]
    fig, ax = figure(size=(10, 0.27 * len(names) + 1.4))
    image = ax.imshow(picture, aspect="auto", cmap="viridis", vmin=0, vmax=1.2, interpolation="nearest")
    edges = np.cumsum(np.bincount(found.cluster))
    for edge in edges[:-1]:
        ax.axvline(edge - 0.5, color="w", lw=1)
    middles = edges - np.bincount(found.cluster) / 2 - 0.5
    ax.set_xticks(middles, range(len(names)), fontsize=8)
    ax.set_yticks(range(len(names)), names, fontsize=8)
    ax.tick_params(length=0)
    ax.set(xlabel="cells, by group (in the order of the rows)", ylabel="stimulus of group")
    fig.colorbar(image, ax=ax, label="response / mean of own group")
    return fig


def show_group_stimuli(found: MostDiscriminative, names: Sequence[str]) -> Figure:
    """For each group's stimulus: its strongest frame in each channel, and its course in time.

    Args:
        found: the groups.
        names: what to call each group.
    """
    channels = len(found.channels)
    columns = 2 if len(names) > 4 else 1
    rows = -(-len(names) // columns)
    wide = channels + 1
    widths = {"width_ratios": ([1] * channels + [1.8]) * columns}
    fig, axes = figure(rows, wide * columns, size=(5 * columns, 1.15 * rows + 0.3), gridspec_kw=widths, squeeze=False)
    for ax in axes.flat:
        ax.set_axis_off()
    bins = found.stimuli.shape[2]
    seconds = (np.arange(bins) - bins + 1) / found.rate
    strength = np.sqrt((found.stimuli**2).sum(axis=(1, 3, 4)))
    first = int((strength > strength.max(axis=1, keepdims=True) / 10).any(axis=0).argmax())
    for number, (name, stimulus) in enumerate(zip(names, found.stimuli, strict=True)):
        line = axes[number % rows, number // rows * wide : (number // rows + 1) * wide]
        frame = int(strength[number].argmax())
        limit = max(np.abs(stimulus).max(), 1e-12)
        for ax, picture, channel in zip(line, stimulus[:, frame], found.channels, strict=False):
            ax.set_axis_on()
            ax.imshow(picture, cmap="RdBu_r", vmin=-limit, vmax=limit)
            ax.set(xticks=[], yticks=[])
            ax.spines[:].set(visible=True, color=CEILING)
            if number % rows == 0:
                ax.set_title(channel, fontsize=8)
        line[0].set_ylabel(name, rotation=0, ha="right", va="center", fontsize=8)
        line[-1].set_axis_on()
        show_courses(line[-1], seconds[first:], space_time_parts(stimulus)[0][:, first:], found.channels)
        line[-1].set_title("course (contrast)" if number % rows == 0 else "", fontsize=8)
        if number:
            line[-1].get_legend().remove()
    fig.supxlabel("time before the end (s)", fontsize=8)
    return fig


def show_similarity(panels: dict[str, Float[np.ndarray, "cell cell"]], types: Sequence[str]) -> Figure:
    """Matrices of correlations between cells that are sorted by type, a panel for each, with lines between types.

    Args:
        panels: by title, cells in the order of `types`.
        types: each cell's type, equal ones next to each other.
    """
    fig, axes = figure(1, len(panels), size=(4.6 * len(panels) + 1.5, 4.6), squeeze=False, layout="compressed")
    names = list(dict.fromkeys(types))
    sizes = np.array([list(types).count(name) for name in names])
    edges = np.cumsum(sizes)
    for ax, (title, matrix) in zip(axes[0], panels.items(), strict=True):
        image = ax.imshow(matrix, cmap="RdBu_r", vmin=-1, vmax=1, interpolation="nearest")
        for edge in edges[:-1] - 0.5:
            ax.axhline(edge, color="w", lw=0.6)
            ax.axvline(edge, color="w", lw=0.6)
        ax.set_title(title, fontsize=10)
        ax.set(xticks=[], yticks=[])
    axes[0, 0].set_yticks(edges - sizes / 2 - 0.5, names, fontsize=8)
    axes[0, 0].tick_params(length=0)
    fig.colorbar(image, ax=axes, label="correlation of responses", shrink=0.8)
    return fig
