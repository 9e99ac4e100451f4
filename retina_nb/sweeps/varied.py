"""What differs between the runs of a table."""

import json
from typing import Any

import pandas as pd

from retina_nb.errors import UserError

OVERRIDES = "overrides"


def varied(runs: pd.DataFrame, parameters: list[str] | None = None) -> pd.DataFrame:
    """The parameters in which runs differ, a column each, and one for each value within the preset.

    Args:
        runs: from `read_sweep`, `sweep` or `search`, all or some rows.
        parameters: the columns that are parameters; by default the table knows.

    Returns:
        The same rows. Lists are text, ``"[8, 8]"``; what a run does not override is ``"preset"``.

    Raises:
        UserError: if the table does not know its parameters, as after it was saved and read.
    """
    names = runs.attrs.get("parameters") if parameters is None else parameters
    if names is None:
        raise UserError("this table does not know which columns are parameters: say parameters=[...]")
    columns = {name: runs[name].map(_text) for name in names if name != OVERRIDES}
    if OVERRIDES in names:
        inner = runs[OVERRIDES].map(_pairs)
        for key in dict.fromkeys(key for pairs in inner for key in pairs):
            columns[key] = inner.map(lambda pairs, key=key: pairs.get(key, "preset"))
    found = pd.DataFrame(columns, index=runs.index)
    return found[[name for name in found if found[name].nunique(dropna=False) > 1]]


def _text(value: Any) -> Any:
    return json.dumps(value) if isinstance(value, list | dict) else value


def _pairs(overrides: Any) -> dict[str, Any]:
    """``core.dropout=0.1`` as a name and a value."""
    pairs = (one.partition("=") for one in overrides) if isinstance(overrides, list) else ()
    return {name: _number(value) for name, _, value in pairs}


def _number(word: str) -> Any:
    try:
        return float(word)
    except ValueError:
        return word
