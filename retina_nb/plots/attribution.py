"""Figures of what responses are owed to: pixels, hidden channels, hidden units."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from jaxtyping import Float
from matplotlib.figure import Figure

from retina_nb.analyses.attribution import Attribution
from retina_nb.plots.style import CEILING, TWIN, figure


def show_attribution(
    stimulus: Float[np.ndarray, "channel time height width"],
    found: Attribution,
    rows: Sequence[int],
    titles: Sequence[str],
    bins: Sequence[int],
    rate: float,
) -> Figure:
    """Frames of a stimulus, and what each neuron's response owes to their pixels: red for what raised it.

    Args:
        stimulus: what was attributed to.
        found: attribution to pixels; the sum over channels is drawn.
        rows: neurons, a row of the figure each.
        titles: of the neurons.
        bins: of the frames, a column each; each shows itself and those since the one before, for what it adds.
        rate: bins per second (Hz).
    """
    size = (1.15 * len(bins) + 1.6, 1.3 * (len(rows) + 1))
    made, axes = figure(len(rows) + 1, len(bins), size=size, squeeze=False, layout="compressed")
    for ax, bin_ in zip(axes[0], bins, strict=True):
        ax.imshow(stimulus[:, bin_].mean(axis=0), cmap="gray", vmin=-2, vmax=2)
        ax.set_title(f"{(bin_ - bins[-1]) / rate:.2f} s", fontsize=8)
    width = bins[1] - bins[0] if len(bins) > 1 else 1
    for line, row in zip(axes[1:], rows, strict=True):
        maps = [found.parts[row, :, max(0, bin_ - width + 1) : bin_ + 1].sum(axis=(0, 1)) for bin_ in bins]
        top = max(np.abs(maps).max(), 1e-12)
        for ax, one in zip(line, maps, strict=True):
            ax.imshow(one, cmap="RdBu_r", vmin=-top, vmax=top)
    for ax in axes.ravel():
        ax.set(xticks=[], yticks=[])
        ax.spines[:].set(visible=True, color=CEILING)
    labels = [
        f"{title}\n{rate * found.baseline[row]:.1f} → {rate * found.response[row]:.1f} /s"
        for row, title in zip(rows, titles, strict=True)
    ]
    for ax, title in zip(axes[:, 0], ["stimulus", *labels], strict=True):
        ax.set_ylabel(title, rotation=0, ha="right", va="center", fontsize=8)
    return made


def show_conductance(
    found: Attribution, rows: Sequence[int], titles: Sequence[str], bins: slice, rate: float, *, label: str = "channel"
) -> Figure:
    """What passes through each channel of a layer over time, a panel for each neuron.

    Args:
        found: attribution to the channels of a layer.
        rows: neurons.
        titles: of the neurons.
        bins: of the stimulus that are drawn; time is counted from the last.
        rate: bins per second (Hz).
        label: what the channels are of.
    """
    made, axes = figure(1, len(rows), size=(1.9 * len(rows) + 0.6, 2.8), squeeze=False, sharey=True)
    for ax, row, title in zip(axes[0], rows, titles, strict=True):
        shown = found.parts[row][:, bins]
        top = max(np.abs(shown).max(), 1e-12)
        extent = ((1 - shown.shape[1]) / rate, 1 / rate, len(shown) - 0.5, -0.5)
        ax.imshow(shown, cmap="RdBu_r", vmin=-top, vmax=top, aspect="auto", extent=extent, interpolation="nearest")
        ax.set_title(title, fontsize=9)
        ax.set(xlabel="time (s)")
    axes[0, 0].set_ylabel(label)
    return made


def show_matches(matches: pd.DataFrame, types: Sequence[str]) -> Figure:
    """Correlation of each trace with its best hidden unit, by type, beside what chance gives.

    Args:
        matches: from `UnitMatches.to_dataframe`.
        types: what each trace is of.
    """
    size = matches["correlation"].abs().groupby(np.asarray(types))
    order = size.median().sort_values().index
    made, ax = figure(size=(7, 0.28 * len(order) + 0.8))
    ax.axvspan(0, matches["chance"].median(), color=CEILING, alpha=0.6, lw=0, label="chance (95 %)")
    for row, name in enumerate(order):
        members = size.get_group(name)
        ax.plot(members, np.full(len(members), row), "o", ms=4, color=TWIN, alpha=0.5, mew=0)
        ax.plot([members.median()] * 2, [row - 0.3, row + 0.3], color="k", lw=2)
    ax.set(yticks=range(len(order)), yticklabels=order, xlabel="|correlation| with the best hidden unit", xlim=(0, 1))
    ax.legend(frameon=False, fontsize=8, loc="lower right")
    return made
