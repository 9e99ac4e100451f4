"""What an audit found, at a glance."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from retina_nb.plots.style import BASELINE, CEILING, RECORDED, TRUTH, TWIN, figure
from retina_nb.quality import Audit

_COLOURS = {"fine": TRUTH, "look at it": BASELINE, "problem": "#D55E00"}
_SHADE = {"problem": 0.9, "look at it": 0.9, "fine": 0.35}
_SPLITS = {"validation": TWIN, "test": RECORDED}


def show_audit(audit: Audit) -> Figure:
    """The checks by their worst finding; latencies; alignment of the splits; drift; and reliability.

    Args:
        audit: from `retina_nb.audit`.
    """
    made, axes = figure(3, 2, size=(7.2, 7.2))
    _show_checks(axes[0, 0], audit.to_dataframe())
    _show_latencies(axes[0, 1], audit)
    _show_shifts(axes[1, 0], audit.timing)
    _show_drift(axes[1, 1], audit.drift)
    grid = axes[2, 0].get_gridspec()
    for ax in axes[2]:
        ax.remove()
    reliability = made.add_subplot(grid[2, :])
    reliability.spines[["top", "right"]].set_visible(False)
    _show_reliability(reliability, audit.neurons)
    return made


def show_estimates(
    exact: np.ndarray, estimates: np.ndarray, interval: tuple[np.ndarray, np.ndarray], *, label: str
) -> Figure:
    """Estimates with their intervals against the exact values, a dot for each neuron.

    Args:
        exact: the true values.
        estimates: of them.
        interval: lower and upper ends.
        label: what they are.
    """
    made, ax = figure(size=(5, 4.2))
    ends = np.array([np.min(exact), np.max(exact)])
    ax.plot(ends, ends, color=CEILING, zorder=0)
    ax.vlines(exact, *interval, color=CEILING, lw=1, label="interval")
    ax.plot(exact, estimates, ".", ms=5, color=RECORDED, label="estimate")
    ax.set(xlabel=f"exact {label}", ylabel=f"estimated {label}")
    ax.legend(frameon=False, fontsize=8, loc="upper left")
    return made


def _show_checks(ax: Axes, findings: pd.DataFrame) -> None:
    checks = list(dict.fromkeys(findings["check"]))
    order = sorted(checks, key=lambda check: _rank(findings[findings["check"] == check]))
    for row, check in enumerate(order):
        found = findings[findings["check"] == check]
        worst = found["severity"].iloc[_ranks(found).argmin()]
        number = (found["severity"] == worst).sum()
        ax.barh(row, 1, height=0.85, color=_COLOURS[worst], alpha=_SHADE[worst])
        ax.text(0.05, row, check, va="center", fontsize=9)
        ax.text(0.95, row, worst if worst == "fine" else f"{number} × {worst}", va="center", ha="right", fontsize=8)
    ax.set(xlim=(0, 1), ylim=(len(order) - 0.5, -0.5), xticks=[], yticks=[])
    ax.set_title("checks", loc="left", fontsize=9)
    ax.spines[:].set_visible(False)


def _show_latencies(ax: Axes, audit: Audit) -> None:
    ax.set_title("weight of the stimulus, by its lag", loc="left", fontsize=9)
    for _, curve in _curves(audit.timing, "weights"):
        ax.plot(1000 * curve["lag"], curve["value"], color=TWIN, lw=1, alpha=0.6)
    for latency in audit.sessions["latency"].dropna():
        ax.axvline(1000 * latency, ymax=0.06, color=TWIN, lw=1)
    ax.axvline(0, color=CEILING, zorder=0)
    ax.set(xlabel="stimulus before response (ms)", ylabel="weight", ylim=(0, None))
    _say_if_empty(ax)


def _show_shifts(ax: Axes, timing: pd.DataFrame) -> None:
    ax.set_title("correlation of responses with what is expected", loc="left", fontsize=9)
    for split, colour in _SPLITS.items():
        for number, (_, curve) in enumerate(_curves(timing, split)):
            label = split if number == 0 else None
            ax.plot(1000 * curve["lag"], curve["value"], ".-", ms=4, lw=1, alpha=0.6, color=colour, label=label)
    ax.axvline(0, color=CEILING, zorder=0)
    ax.set(xlabel="later than expected (ms)", ylabel="correlation")
    if not _say_if_empty(ax):
        ax.legend(frameon=False, fontsize=8)


def _show_drift(ax: Axes, drift: pd.DataFrame) -> None:
    ax.set_title("responses over the session", loc="left", fontsize=9)
    for kind, colour, marker in (("all bins", CEILING, ""), ("trials", RECORDED, ".")):
        for number, (_, course) in enumerate(drift[drift["kind"] == kind].groupby("session", sort=False)):
            ax.plot(
                course["minute"],
                course["relative"],
                label=kind if number == 0 else None,
                color=colour,
                marker=marker,
                lw=1,
            )
    ax.axhline(1, color=CEILING, zorder=0, lw=0.8, ls=":")
    ax.set(xlabel="time (min)", ylabel="mean response,\nrelative", ylim=(0, None))
    ax.legend(frameon=False, fontsize=8, loc="lower right", ncols=2)


def _show_reliability(ax: Axes, neurons: pd.DataFrame) -> None:
    ax.set_title("reliability of the mean over trials, with intervals", loc="left", fontsize=9)
    ranked = neurons.dropna(subset="reliability").sort_values("reliability", ascending=False)
    place = np.arange(len(ranked))
    sure = (ranked["reliability_low"] > 0).to_numpy()
    ax.vlines(place, ranked["reliability_low"], ranked["reliability_high"], color=CEILING, lw=1)
    for chosen, colour, label in ((sure, RECORDED, "reliable"), (~sure, _COLOURS["problem"], "may be unreliable")):
        if chosen.any():
            ax.plot(place[chosen], ranked["reliability"][chosen], ".", ms=4, color=colour, label=label)
    ax.axhline(0, color=CEILING, zorder=0)
    ax.set(xlabel="neuron, sorted", ylabel="reliability", ylim=(None, 1.02))
    if not _say_if_empty(ax):
        ax.legend(frameon=False, fontsize=8, loc="best")


def _curves(timing: pd.DataFrame, curve: str) -> list:
    return list(timing[timing["curve"] == curve].groupby("session", sort=False))


def _say_if_empty(ax: Axes) -> bool:
    """Whether a panel has nothing to show; then it says so."""
    empty = not ax.get_legend_handles_labels()[0] and len(ax.lines) <= 1
    if empty:
        ax.text(0.5, 0.5, "cannot be told", transform=ax.transAxes, ha="center", color=RECORDED)
        ax.set(xticks=[], yticks=[])
    return empty


def _ranks(found: pd.DataFrame) -> np.ndarray:
    return found["severity"].map({"problem": 0, "look at it": 1, "fine": 2}).to_numpy()


def _rank(found: pd.DataFrame) -> int:
    return int(_ranks(found).min())
