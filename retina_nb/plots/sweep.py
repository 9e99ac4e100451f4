"""Figures of sweeps and searches: what each parameter does, and which runs are best."""

import re
from collections.abc import Iterable
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from retina_nb.errors import UserError, unknown
from retina_nb.plots.style import CEILING, RECORDED, TWIN, figure
from retina_nb.sweeps.varied import varied

SEED = "seed"
_LINES = (TWIN, "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00")
_NAMED = 6  # lines that are told apart by names
_DECADES = 1.0  # over which numbers are better seen on a logarithmic axis
_ABSENT, _BELOW = "–", -0.13  # where a run has no such parameter


def show_sweep(
    runs: pd.DataFrame,
    result: str = "validation_correlation",
    *,
    parameters: list[str] | None = None,
    chosen: str | None = None,
) -> Figure:
    """What each parameter does to a result, a panel each. A dot is a run. Where other parameters are the same, runs are
    joined by lines through their means over seeds, with the standard deviation over seeds as bars.

    Args:
        runs: a table of `read_sweep`, `sweep` or `search`.
        result: the column to show.
        parameters: the columns that are parameters; by default the table knows.
        chosen: the run that is ringed, by its name in the table's index; none if None, or if it has no such result.

    Raises:
        UserError: if there is no such column, no run has it, or all runs have the same parameters.
    """
    values, table = _complete(runs, result, parameters)
    names = [name for name in table if name != SEED] or [SEED]
    others = {name: [one for one in table if one not in (name, SEED)] for name in names}
    columns = min(len(names), 3)
    rows = -(-len(names) // columns)
    made, axes = figure(rows, columns, size=(2.3 * columns + 0.6, 2.5 * rows + 0.2), squeeze=False, sharey=True)
    for ax, name in zip(axes.flat, names, strict=False):
        x = _place(ax, table[name])
        ax.plot(x, values, "o", ms=3.5, color=CEILING)
        lines = [group for group in _alike(table, others[name]) if x[group].nunique() > 1]
        for number, group in enumerate(lines):
            course = values[group].groupby(x[group]).agg(["mean", "std"])
            colour = TWIN if len(lines) == 1 else _LINES[number % len(_LINES)]
            # A single run has no spread.
            bars = course["std"].fillna(0)
            label = "\n".join(_lines(table.loc[group[0], others[name]]))
            ax.errorbar(course.index, course["mean"], bars, fmt="o-", ms=4, lw=1.2, color=colour, label=label)
        if chosen in values.index:
            ax.plot(x[chosen], values[chosen], "o", ms=12, mfc="none", mec=RECORDED, mew=1.5)
        if 1 < len(lines) <= _NAMED:
            ax.legend(fontsize=8, frameon=False)
        ax.set_xlabel(name)
    for ax in axes[:, 0]:
        ax.set_ylabel(_words(result))
    for ax in axes.flat[len(names) :]:
        ax.set_axis_off()
    return made


def show_best_runs(
    runs: pd.DataFrame,
    result: str = "validation_correlation",
    *,
    most: int = 8,
    minimize: bool = False,
    parameters: list[str] | None = None,
) -> Figure:
    """The settings with the best means over seeds, best first: a dot for each run, and a line at the mean.

    Args:
        runs, result, parameters: as for `show_sweep`.
        most: how many to show.
        minimize: whether the least value is best.

    Raises:
        UserError: as `show_sweep`.
    """
    values, table = _complete(runs, result, parameters)
    names = [name for name in table if name != SEED]
    groups = _alike(table, names) if names else [pd.Index([run]) for run in table.index]
    ranked = sorted(groups, key=lambda group: values[group].mean(), reverse=not minimize)[:most]
    made, ax = figure(size=(7.5, 0.42 * len(ranked) + 0.9))
    for place, group in enumerate(ranked):
        ax.plot(values[group], np.full(len(group), place), "o", ms=5, color=TWIN, alpha=0.6)
        ax.vlines(values[group].mean(), place - 0.3, place + 0.3, color=RECORDED, lw=2)
    shown = names or [SEED]
    labels = ["\n".join(_lines(table.loc[group[0], shown])) for group in ranked]
    ax.set_yticks(range(len(ranked)), labels, fontsize=8)
    ax.invert_yaxis()
    ax.set_xlabel(_words(result))
    return made


def show_parallel_coordinates(
    runs: pd.DataFrame,
    result: str = "validation_correlation",
    *,
    minimize: bool = False,
    parameters: list[str] | None = None,
) -> Figure:
    """Every run as a line through its parameters to its result; the darker, the better.

    Args:
        runs, result, parameters: as for `show_sweep`.
        minimize: whether the least value is best.

    Raises:
        UserError: as `show_sweep`.
    """
    values, table = _complete(runs, result, parameters)
    columns = {**table, _words(result): values}
    made, ax = figure(size=(min(1.6 * len(columns) + 1, 7.5), 3.4))
    heights = []
    for place, column in enumerate(columns.values()):
        height, ticks = _scaled(column)
        heights.append(height)
        ax.axvline(place, color=CEILING, zorder=0)
        for tick, label in ticks.items():
            ax.text(place + 0.04, tick, label, fontsize=8, va="center", bbox={"fc": "white", "ec": "none", "pad": 0.5})
    rank = values.rank(pct=True, ascending=not minimize)
    for run in rank.sort_values().index:
        course = [height[run] for height in heights]
        ax.plot(course, color=mpl.colormaps["Blues"](0.15 + 0.85 * rank[run]), lw=0.8 + 1.4 * (rank[run] == rank.max()))
    ax.set_xticks(range(len(columns)), [name.replace(".", ".\n") for name in columns], fontsize=8)
    ax.set(xlim=(-0.2, len(columns) - 0.4), yticks=[])
    ax.spines[["left", "bottom"]].set_visible(False)
    ax.tick_params(length=0)
    return made


def _complete(runs: pd.DataFrame, result: str, parameters: list[str] | None) -> tuple[pd.Series, pd.DataFrame]:
    """The result of the runs that have it, and the parameters in which they differ."""
    if result not in runs:
        raise unknown("column of the table", result, map(str, runs.columns))
    done = runs[pd.to_numeric(runs[result], errors="coerce").notna()]
    table = varied(done, parameters)
    if not len(table.columns):
        raise UserError(
            f"there is nothing to compare: {len(done)} runs have {result}, and all have the same parameters"
        )
    return done[result].astype(float), table


def _alike(table: pd.DataFrame, names: list[str]) -> list[pd.Index]:
    """The runs with the same values of some parameters."""
    if not names:
        return [table.index]
    return [group.index for _, group in table.groupby(names, dropna=False)]


def _numbers(column: pd.Series) -> pd.Series | None:
    """A column as numbers, NaN where a run has none; None if it is better seen as categories."""
    kinds = pd.api.types
    if kinds.is_numeric_dtype(column) and not kinds.is_bool_dtype(column):
        return column.astype(float)
    found = pd.to_numeric(column, errors="coerce")  # as of an override that only some runs have
    return found if found.nunique() > _NAMED else None


def _is_wide(column: pd.Series) -> bool:
    return bool(column.min() > 0 and np.log10(column.max() / column.min()) > _DECADES)


def _categories(column: pd.Series) -> list[str]:
    return sorted(set(column.map(_label)), key=_in_order)


def _in_order(word: str) -> tuple[list[float], str]:
    """Sorts words by the numbers in them: [4], [4, 4], [12]."""
    return [float(number) for number in re.findall(r"\d+(?:\.\d+)?", word)], word


def _label(value: Any) -> str:
    if value is None or value != value:
        return _ABSENT
    return f"{value:g}" if isinstance(value, float) else str(value)


def _place(ax: Axes, column: pd.Series) -> pd.Series:
    """Where values are along an axis, which is told what they are."""
    numbers = _numbers(column)
    if numbers is not None:
        ax.set_xscale("log" if _is_wide(numbers) else "linear")
        if pd.api.types.is_integer_dtype(column) and not _is_wide(numbers) and numbers.nunique() <= _NAMED:
            ax.set_xticks(sorted(set(column)))
        return numbers
    names = _categories(column)
    ax.set_xticks(range(len(names)), names, fontsize=8)
    ax.set_xlim(-0.5, len(names) - 0.5)
    return column.map(lambda value: float(names.index(_label(value))))


def _scaled(column: pd.Series) -> tuple[pd.Series, dict[float, str]]:
    """Values from 0 to 1, below those where there is none, and what some of them are."""
    numbers = _numbers(column)
    if numbers is None:
        names = _categories(column)
        heights = {name: number / max(1, len(names) - 1) for number, name in enumerate(names)}
        return column.map(lambda value: heights[_label(value)]), {height: name for name, height in heights.items()}
    absent = {_BELOW: _label(column[numbers.isna()].iloc[0])} if numbers.hasnans else {}
    low, high = float(numbers.min()), float(numbers.max())
    if low == high:
        return (numbers * 0 + 0.5).fillna(_BELOW), {0.5: f"{low:.3g}"} | absent
    if _is_wide(numbers):
        places = np.log(numbers / low) / np.log(high / low)
        ticks = {0: f"{low:.2g}", 0.5: f"{np.sqrt(low * high):.2g}", 1: f"{high:.2g}"}
    else:
        places = (numbers - low) / (high - low)
        ticks = {0: f"{low:.3g}", 0.5: f"{(low + high) / 2:.3g}", 1: f"{high:.3g}"}
    return places.fillna(_BELOW), ticks | absent


def _lines(setting: pd.Series) -> Iterable[str]:
    """What tells a setting apart, two to a line."""
    words = [f"{name}={_label(value)}" for name, value in setting.items() if _label(value) != _ABSENT]
    return (", ".join(words[start : start + 2]) for start in range(0, len(words), 2))


def _words(name: str) -> str:
    return name.replace("_", " ")
