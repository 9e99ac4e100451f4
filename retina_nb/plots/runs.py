"""A figure of many runs of a notebook, of which one is looked at."""

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from retina_nb.plots.style import CEILING, RECORDED, TWIN, figure

_GROUPS = (TWIN, "#E69F00", "#009E73", "#CC79A7", "#D55E00", "#56B4E9", "0.25", "#F0E442")


def show_runs(
    runs: pd.DataFrame, result: str, against: str, *, colour: str | None = None, chosen: int | None = None
) -> Figure:
    """A result of every run against a parameter, a dot each; the chosen run is ringed.

    Values of a parameter that are no numbers, and the numbers of one that is sometimes none, are names, side by side in
    the order in which they come. Numbers that span more than two orders of magnitude are on a logarithmic axis. Runs
    without the result are left out.

    Args:
        runs: a row for each.
        result: the column of the result.
        against: the column of the parameter.
        colour: the column by whose values dots are coloured, if they are no more than eight.
        chosen: which row is ringed; none if None.
    """
    made, ax = figure(size=(6.6, 4))
    place, names = _places(runs[against])
    score = pd.to_numeric(runs[result], errors="coerce").to_numpy(dtype=float)
    groups, labels = _groups(runs, colour)
    for number, (label, one) in enumerate(zip(labels, _GROUPS, strict=False)):
        members = groups == number
        ax.plot(place[members], score[members], "o", ms=7, color=one, mew=0, alpha=0.75, label=label or None)
    if chosen is not None:
        ax.plot(place[chosen], score[chosen], "o", ms=14, mfc="none", mec=RECORDED, mew=1.5)
    if names is not None:
        ax.set_xticks(range(len(names)), names, rotation=30 if max(map(len, names)) > 10 else 0, fontsize=8)
        ax.set_xlim(-0.5, len(names) - 0.5)
    elif place.min() > 0 and place.max() > 100 * place.min():
        ax.set_xscale("log")
    ax.set(xlabel=against, ylabel=result)
    ax.grid(axis="y", color=CEILING, lw=0.5, alpha=0.6)
    if len(labels) > 1:
        ax.legend(title=colour, frameon=False, fontsize=8, title_fontsize=8, bbox_to_anchor=(1, 1), loc="upper left")
    return made


def _groups(runs: pd.DataFrame, colour: str | None) -> tuple[np.ndarray, list[str]]:
    """Each run's group, and the groups' names; one group without a name if there is nothing to tell them by."""
    if colour is not None:
        codes, _ = pd.factorize(runs[colour].map(repr))
        # In the order of the values where they have one.
        order = runs[colour].groupby(codes).first()
        order = order.sort_values() if pd.api.types.is_numeric_dtype(order) else order
        if len(order) <= len(_GROUPS):
            return order.index.get_indexer(codes), [short(value) for value in order]
    return np.zeros(len(runs), int), [""]


def _places(values: pd.Series) -> tuple[np.ndarray, list[str] | None]:
    """Where each value is on the axis, and the names along it if they are no numbers."""
    if pd.api.types.is_numeric_dtype(values) and not pd.api.types.is_bool_dtype(values) and values.notna().all():
        return values.to_numpy(dtype=float), None
    codes, _ = pd.factorize(values.map(repr))
    return codes.astype(float), [short(values.iloc[(codes == code).argmax()]) for code in range(codes.max() + 1)]


def short(value: object, width: int = 28) -> str:
    """A value in few letters: a list without brackets, and of what is long the end, where overrides differ."""
    if isinstance(value, list | tuple):
        text = ", ".join(map(str, value)) or "none"
    else:
        text = f"{value:g}" if isinstance(value, float) else str(value)
    if value is None or value != value:
        text = "–"
    return text if len(text) <= width else f"…{text[1 - width :]}"
