"""Figures of phenomena of the retina."""

from collections.abc import Sequence

from matplotlib.figure import Figure

from retina_nb.analyses.phenomena import Phenomenon
from retina_nb.plots.style import CEILING, TRUTH, TWIN, figure

_CONDITIONS = ("0.25", "#E69F00", "#56B4E9", "#CC79A7", "#D55E00")  # neither the twin's colour nor the truth's


def show_phenomenon(
    found: Phenomenon,
    groups: Sequence[str],
    *,
    shown: Sequence[str],
    truth: Phenomenon | None = None,
    seconds: tuple[float, float] | None = None,
    conditions: str = "",
) -> Figure:
    """The responses of one cell of each group, its first, to each stimulus; a column for each group.

    Args:
        found: of all cells.
        groups: each cell's group.
        shown: the groups to draw.
        truth: what the true cells do, in a row below.
        seconds: the time to draw; all if None.
        conditions: what the stimuli differ in, said beside their names.
    """
    rows = [("twin", found)] + ([("truth", truth)] if truth is not None else [])
    size = (2.6 * len(shown) + 0.6, 1.6 * len(rows) + 0.8)
    made, axes = figure(len(rows), len(shown), size=size, sharex=True, sharey="col", squeeze=False)
    for line, (label, one) in zip(axes, rows, strict=True):
        for ax, name in zip(line, shown, strict=True):
            cell = list(groups).index(name)
            ax.axvline(0, color=CEILING, lw=0.8, zorder=0)
            ax.axhline(0, color=CEILING, lw=0.8, zorder=0)
            for rates, condition, colour in zip(one.rates[cell], one.conditions, _CONDITIONS, strict=False):
                ax.plot(one.seconds, rates, color=colour, lw=1.3, label=condition)
            if ax in axes[0]:
                ax.set_title(name, fontsize=9)
            if seconds is not None:
                ax.set_xlim(*seconds)
        line[0].set_ylabel(label, color=TRUTH if label == "truth" else TWIN)
    handles, labels = axes[0, 0].get_legend_handles_labels()
    labels = [f"{conditions} {label}".strip() for label in labels]
    made.legend(handles, labels, frameon=False, fontsize=8, loc="outside upper center", ncols=len(labels))
    made.supxlabel("time (s)", fontsize=9)
    made.supylabel("events per second above grey", fontsize=9)
    return made
