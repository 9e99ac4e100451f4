"""Figures of populations: who varies with whom, who is of which type, and what all of them tell."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from jaxtyping import Float, Int
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, NullLocator

from retina_nb.plots.style import BASELINE, CEILING, COLOURS, RECORDED, TRUTH, TWIN, figure


def show_correlations(
    matrices: Mapping[str, Float[np.ndarray, "neuron neuron"]], groups: Sequence | np.ndarray | pd.Series
) -> Figure:
    """Correlations of all pairs, neurons sorted by group.

    Args:
        matrices: by title.
        groups: each neuron's group, e.g. its type; groups stand in the order in which they first appear.
    """
    codes, names = pd.factorize(np.asarray(groups))
    order, ends = np.argsort(codes, kind="stable"), np.cumsum(np.bincount(codes))
    made, axes = figure(1, len(matrices), size=(min(3.8 * len(matrices) + 2.2, 7.5), 3.2), squeeze=False)
    for ax, (title, matrix) in zip(axes[0], matrices.items(), strict=True):
        shown = np.where(np.eye(len(matrix), dtype=bool), np.nan, matrix)[np.ix_(order, order)]
        image = ax.imshow(shown, cmap="RdBu_r", vmin=-1, vmax=1)
        for end in ends[:-1] - 0.5:
            ax.axhline(end, color=CEILING, lw=0.5)
            ax.axvline(end, color=CEILING, lw=0.5)
        ax.set_title(title, fontsize=9)
        ax.set(xticks=[], yticks=[])
    starts = np.concatenate([[0], ends[:-1]])
    axes[0, 0].set_yticks((starts + ends - 1) / 2, names, fontsize=8)
    axes[0, 0].tick_params(length=0)
    made.colorbar(image, ax=axes, label="correlation", shrink=0.8)
    return made


def show_null(panels: Mapping[str, tuple[np.ndarray, float]], *, xlabel: str) -> Figure:
    """What chance gives as a histogram, and what was found as a line.

    Args:
        panels: for each title, values by chance and the one that was found.
        xlabel: what they are.
    """
    made, axes = figure(1, len(panels), size=(3.4 * len(panels), 2.3), squeeze=False)
    for ax, (title, (null, found)) in zip(axes[0], panels.items(), strict=True):
        ax.hist(null, bins=25, color=CEILING, label="trials permuted")
        ax.axvline(found, color=RECORDED, lw=2, label="found")
        ax.set_title(title, fontsize=9)
        ax.set(xlabel=xlabel, yticks=[])
        ax.spines["left"].set_visible(False)
    axes[0, -1].legend(frameon=False, fontsize=8)
    return made


def show_clouds(
    panels: Mapping[str, Mapping[str, tuple[np.ndarray, np.ndarray]]], *, xlabel: str, ylabel: str
) -> Figure:
    """Values against what they should be, with the line on which they would agree.

    Args:
        panels: for each title, pairs (expected, found) of values by name.
        xlabel, ylabel: what they are.
    """
    made, axes = figure(1, len(panels), size=(3.2 * len(panels), 3.1), squeeze=False)
    for ax, (title, clouds) in zip(axes[0], panels.items(), strict=True):
        finite = np.concatenate([np.concatenate(pair) for pair in clouds.values()])
        ends = [np.nanmin(finite), np.nanmax(finite)]
        ax.plot(ends, ends, color=CEILING, zorder=0)
        for (name, (expected, found)), other in zip(clouds.items(), (TWIN, BASELINE, RECORDED), strict=False):
            size = 4 if len(expected) < 500 else 1.5
            ax.plot(expected, found, "o", ms=size, mew=0, alpha=0.6, color=COLOURS.get(name, other), label=name)
        ax.set_title(title, fontsize=9)
        ax.set(xlabel=xlabel, ylabel=ylabel if ax is axes[0, 0] else "", aspect="equal")
        if len(clouds) > 1:
            ax.legend(frameon=False, fontsize=8, markerscale=1.5)
    return made


def show_table(counts: pd.DataFrame, *, label: str, xlabel: str = "", ylabel: str = "") -> Figure:
    """Shares as a map with numbers: confusions, or which cluster holds which type.

    Args:
        counts: not negative; each row is drawn as shares of its sum, and zeros are left empty.
        label: what the shares are.
        xlabel, ylabel: what columns and rows are.
    """
    share = counts.div(counts.sum(axis=1).clip(lower=1e-12), axis=0)
    made, ax = figure(size=(0.42 * counts.shape[1] + 3.2, 0.28 * len(counts) + 1.1))
    image = ax.imshow(share, cmap="Blues", vmin=0, vmax=1, aspect="auto")
    for (row, column), value in np.ndenumerate(counts.to_numpy()):
        if value:
            shown = f"{value:.2f}".lstrip("0") if value < 1 else f"{value:.3g}"
            colour = "w" if share.iloc[row, column] > 0.6 else "k"
            ax.text(column, row, shown, ha="center", va="center", fontsize=8, color=colour)
    ax.set(yticks=range(len(counts)), xlabel=xlabel, ylabel=ylabel)
    ax.set_yticklabels(counts.index, fontsize=8)
    ax.set_xticks(range(counts.shape[1]), counts.columns, fontsize=8)
    ax.tick_params(length=0)
    made.colorbar(image, ax=ax, label=label)
    return made


def show_mosaics(
    places: Float[np.ndarray, "neuron 2"],
    types: Sequence | np.ndarray | pd.Series,
    radius: Mapping[str, float],
    titles: Mapping[str, str],
    *,
    unit: str = "µm",
) -> Figure:
    """Receptive fields of each type as circles around the places of its cells.

    Args:
        places: (y, x) of each neuron.
        types: its type.
        radius: of the circles of each type.
        titles: of the types that are shown.
        unit: of places and radius.
    """
    columns = min(len(titles), 3)
    rows = -(-len(titles) // columns)
    made, axes = figure(rows, columns, size=(2.1 * columns, 2.2 * rows), squeeze=False, sharex=True, sharey=True)
    for ax, (name, title) in zip(axes.flat, titles.items(), strict=False):
        own = places[np.asarray(types) == name]
        angle = np.linspace(0, 2 * np.pi, 40)
        circles = own[:, :, None] + radius[name] * np.stack([np.sin(angle), np.cos(angle)])
        ax.fill(*circles[:, ::-1].reshape(-1, 40), color=TWIN, alpha=0.15)
        ax.plot(own[:, 1], own[:, 0], ".", ms=4, color=RECORDED)
        ax.set_title(title, fontsize=8)
        ax.set(aspect="equal", xlim=(0, None))
    for ax in axes.flat[len(titles) :]:
        ax.set_visible(False)
    axes[0, 0].invert_yaxis()
    for ax in axes[-1]:
        ax.set_xlabel(unit)
    for ax in axes[:, 0]:
        ax.set_ylabel(unit)
    return made


def show_population_curves(
    panels: Mapping[str, Mapping[str, Float[np.ndarray, " size"]]],
    sizes: Int[np.ndarray, " size"] | Sequence[int],
    *,
    ylabels: Sequence[str],
    xlabel: str = "number of cells",
    log: bool = True,
) -> Figure:
    """Curves over the size of a population, a panel for each mapping of names to curves.

    Args:
        panels: for each title, curves by name.
        sizes: where their points are.
        ylabels: what each panel shows.
        xlabel: what the sizes are.
        log: whether sizes are spaced by their logarithm.
    """
    made, axes = figure(1, len(panels), size=(3.3 * len(panels), 2.6), squeeze=False)
    for ax, ylabel, (title, curves) in zip(axes[0], ylabels, panels.items(), strict=True):
        others = iter((TWIN, BASELINE, TRUTH, RECORDED, "#CC79A7"))
        for name, curve in curves.items():
            ax.plot(sizes, curve, "o-", ms=4, lw=1.5, color=COLOURS.get(name) or next(others), label=name)
        ax.set_title(title, fontsize=9)
        ax.set(xlabel=xlabel, ylabel=ylabel)
        if log:
            ax.set_xscale("log")
            ax.xaxis.set_major_locator(FixedLocator(list(sizes)))
            ax.xaxis.set_minor_locator(NullLocator())
            ax.set_xticklabels([str(size) for size in sizes], fontsize=8)
        if len(curves) > 1:
            ax.legend(frameon=False, fontsize=8)
    return made


def show_frames(rows: Mapping[str, Float[np.ndarray, "frame height width"]], seconds: Sequence[float]) -> Figure:
    """Frames of movies one below the other, each movie with a grey scale of its own.

    Args:
        rows: movies by name.
        seconds: when their frames are (s).
    """
    size = (min(1.15 * len(seconds) + 1, 7.5), 0.95 * len(rows) + 0.2)
    made, axes = figure(len(rows), len(seconds), size=size, squeeze=False)
    for ax, time in zip(axes[0], seconds, strict=True):
        ax.set_title(f"{time:.2f} s", fontsize=8)
    for row, (name, movie) in zip(axes, rows.items(), strict=True):
        top = np.abs(movie).max()
        for ax, frame in zip(row, movie, strict=True):
            ax.imshow(frame, cmap="gray", vmin=-top, vmax=top)
            ax.spines[:].set_visible(False)
            ax.set(xticks=[], yticks=[])
        row[0].set_ylabel(name, rotation=0, ha="right", va="center", fontsize=9)
    return made
