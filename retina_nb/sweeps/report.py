"""What a sweep says at its end: a table for the terminal, a file of all runs, and what is left to do."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from retina_nb.errors import UserError
from retina_nb.files import replace_file
from retina_nb.sweeps.table import results_of
from retina_nb.sweeps.varied import varied

CSV = "runs.csv"
_SCORES = 4  # columns of results in the terminal
_ROWS = 30
_WIDTH = 40  # letters of a value
_LISTED = 10  # runs that are not complete


def summary(runs: pd.DataFrame, folder: Path, labels: Mapping[str, str], best: str) -> str:
    """What became of the runs, the best first, and where to look at those that are not complete."""
    counts = runs["status"].value_counts()
    lines = [overview(runs, best), ""] if (runs["status"] == "complete").any() else []
    lines.append(f"in {folder}: " + ", ".join(f"{count} {status}" for status, count in counts.items()))
    left = runs[~runs["status"].isin(["complete", "not started"])]
    for name, run in left.head(_LISTED).iterrows():
        lines.append(f"  {labels[name]} is {run['status']}" + (f": {run['error']}" if run["error"] else ""))
        lines += [f"    {run['notebook']}"] if isinstance(run["notebook"], str) else []
    if len(left) > _LISTED:
        lines.append(f"  and {len(left) - _LISTED} more")
    if not (runs["status"] == "complete").all():
        lines.append("re-run the same command to resume")
    return "\n".join(lines)


def overview(runs: pd.DataFrame, best: str) -> str:
    """The runs by their best result: in what they differ, the results that matter most, and seconds."""
    scores = _scores(runs, best)
    settings = varied(runs)
    columns = [*settings] + (["status"] if runs["status"].nunique() > 1 else []) + [*scores, "seconds"]
    rows = pd.concat([runs, settings[[name for name in settings if name not in runs]]], axis=1)[columns]
    if best in scores:
        rows = rows.loc[pd.to_numeric(rows[best], errors="coerce").sort_values(ascending=False, kind="stable").index]
    shown = rows.head(_ROWS).map(cell).rename_axis(None)
    rest = f"\n... and {len(rows) - _ROWS} more" if len(rows) > _ROWS else ""
    return shown.to_string() + rest


def _scores(runs: pd.DataFrame, best: str) -> list[str]:
    """The results to show: the best one, then normalized and other correlations, then numbers that differ."""
    numbers = [name for name in results_of(runs) if _is_number(runs[name])]
    known = [name for part in ("cc_norm", "correlation") for name in numbers if name.startswith(part)]
    differ = [name for name in numbers if runs[name].nunique() > 1]
    return list(dict.fromkeys([*(name for name in numbers if name == best), *known, *differ]))[:_SCORES]


def _is_number(column: pd.Series) -> bool:
    known = [value for value in column if value is not None and value == value]
    return bool(known) and all(isinstance(value, int | float) and not isinstance(value, bool) for value in known)


def cell(value: Any) -> str:
    """A value in a line of text."""
    if value is None or value is pd.NA or value != value:  # NaN
        return "-"
    text = (
        f"{value:.4g}"
        if isinstance(value, float)
        else value
        if isinstance(value, str)
        else json.dumps(value, default=str)
    )
    text = text if text.isprintable() else repr(text)
    return text if len(text) <= _WIDTH else f"{text[: _WIDTH - 1]}…"


def write_csv(runs: pd.DataFrame, path: Path) -> str:
    """Write a table for other programs, lists as JSON; the line that says where it is, or why it is not."""
    columns = {name: [json.dumps(one) if isinstance(one, list | dict) else one for one in runs[name]] for name in runs}
    try:
        with replace_file(path) as temporary:
            pd.DataFrame(columns, index=runs.index).to_csv(temporary, encoding="utf-8", errors="backslashreplace")
    except (UserError, OSError) as error:
        return f"the table is not written: {error}"
    return f"the whole table is in {path}"
