"""A table to choose a row of: sorted by a column, and only those rows for which a condition holds."""

from collections.abc import Sequence
from html import escape
from typing import Any

import ipywidgets as ipw
import numpy as np
import pandas as pd
import traitlets

from retina_nb.errors import UserError, unknown
from retina_nb.representations import one_line
from retina_nb.widgets.conditions import meets
from retina_nb.widgets.look import alert, close_all

_CLASS = "retina-nb-table"
_LONG = 28  # letters of a text that are shown
# The columns stand below each other only if all letters are as wide.
_STYLE = (
    f"<style>.{_CLASS} select {{font-family: var(--jp-code-font-family, monospace), monospace; font-size: 12px}} "
    f".{_CLASS} pre {{font-family: var(--jp-code-font-family, monospace), monospace; font-size: 12px; "
    "line-height: 1.4; margin: 0; padding: 0 0 0 5px; font-weight: bold}}</style>"
)


@one_line
class Table(ipw.VBox, ipw.ValueWidget):
    """A table of which one row is chosen.

    Args:
        frame: the rows.
        columns: those that are shown.
        sort_by: the column by which rows are sorted at first, the largest on top; as they come if None.
        rows: how many are seen at once.

    Attributes:
        value: which row of `frame` is chosen, counted from 0.
        sort_by, ascending, where, rows: the controls.

    Raises:
        UserError: if there is no row, or no such column.
    """

    value = traitlets.Any()

    def __init__(
        self,
        frame: pd.DataFrame,
        columns: Sequence[str],
        *,
        sort_by: str | None = None,
        rows: int = 14,
    ) -> None:
        if frame.empty:
            raise UserError("the table has no row to choose")
        for name in [*columns, sort_by]:
            if name is not None and name not in frame:
                raise unknown("column of the table", name, frame)
        self._columns = list(columns)
        narrow = {"description_width": "auto"}
        self.sort_by = ipw.Dropdown(
            # Not None, which is no choice to ipywidgets: nothing would be seen to be chosen.
            options=[("as they come", ""), *[(name, name) for name in frame if _is_sortable(frame[name])]],
            value=sort_by or "",
            description="sort by",
            style=narrow,
            layout={"width": "18em"},
        )
        self.ascending = ipw.ToggleButton(
            False, description="smallest first", tooltip="the smallest on top", layout={"width": "9em"}
        )
        self.where = ipw.Text(
            placeholder=f"e.g. {_example(frame, sort_by)}",
            description="only where",
            continuous_update=False,
            style=narrow,
            layout={"width": "auto"},
        )
        self.message = ipw.HTML(layout={"width": "24em", "max_width": "100%"})
        self.header = ipw.HTML()
        self.rows = ipw.Select(rows=rows, layout={"width": "auto"})
        for one in (self.sort_by, self.ascending, self.where):
            one.observe(lambda _: self._fill(), "value")
        self.rows.observe(lambda _: self._choose(), "value")
        self.fill(frame)
        super().__init__(
            [
                ipw.HTML(_STYLE, layout={"display": "none"}),
                ipw.HBox([self.sort_by, self.ascending]),
                self.where,
                self.message,
                self.header,
                self.rows,
            ]
        )
        self.add_class(_CLASS)

    def _in_words(self) -> str:
        return f"{len(self._frame)} rows, row {self.value} is chosen"

    def close(self) -> None:
        """Close it with all that it is made of."""
        close_all(self)
        super().close()

    def fill(self, frame: pd.DataFrame) -> None:
        """Show other rows, of the same columns."""
        self._frame = frame.reset_index(drop=True)
        self._fill()

    def _fill(self) -> None:
        """Show the rows that are asked for; what cannot be asked leaves them as they are, and says why."""
        try:
            shown = choose_rows(
                self._frame, self.where.value, self.sort_by.value or None, ascending=self.ascending.value
            )
        except UserError as error:
            self.message.value = alert(str(error))
            return
        header, *lines = aligned(shown[self._columns])
        self.message.value = f"{len(shown)} of {len(self._frame)} rows"
        self.header.value = f"<pre>{escape(header)}</pre>"
        chosen = self.value if self.value in shown.index else shown.index[0]
        self._filling = True  # while other rows are filled in, another one is chosen for a moment
        self.rows.options = list(zip(lines, shown.index, strict=True))
        self.rows.value = chosen
        self._filling = False
        self._choose()

    def _choose(self) -> None:
        if not self._filling:
            self.value = self.rows.value


def choose_rows(
    frame: pd.DataFrame, where: str = "", by: str | None = None, *, ascending: bool = False
) -> pd.DataFrame:
    """The rows for which a condition holds, sorted by a column; those without a number come last.

    Args:
        frame: all rows.
        where: the condition, as for `meets`, e.g. ``type == "OFF alpha" and cc_norm > 0.5``; all rows if empty.
        by: the column to sort by; as they come if None.
        ascending: whether the smallest comes first.

    Raises:
        UserError: if the condition cannot be understood, or holds for no row.
    """
    chosen = frame if not where.strip() else frame[meets(frame, where, _example(frame, by))]
    if chosen.empty:
        raise UserError(f"no row meets the condition {where!r}")
    return chosen if by is None else chosen.sort_values(by, ascending=ascending, kind="stable", na_position="last")


def aligned(frame: pd.DataFrame) -> list[str]:
    """The names of the columns, and each row, as lines whose columns stand below each other."""
    made = []
    for name, column in frame.items():
        numbers = pd.api.types.is_numeric_dtype(column) and not pd.api.types.is_bool_dtype(column)
        cells = [str(name), *(_numbers(column) if numbers else map(_short, column))]
        width = max(map(len, cells))
        made.append([cell.rjust(width) if numbers else cell.ljust(width) for cell in cells])
    return ["  ".join(line) for line in zip(*made, strict=True)]


def _numbers(column: pd.Series) -> list[str]:
    known = column.dropna().to_numpy(dtype=float)
    known = known[np.isfinite(known)]
    if np.all(known == known.round()) and np.all(np.abs(known) < 1e9):
        form = ".0f"
    else:
        size = np.abs(known[known != 0])
        form = ".3f" if size.min() >= 1e-3 and size.max() < 1e4 else ".3g"
    return ["–" if pd.isna(value) else f"{value:{form}}" for value in column]


def _short(value: Any) -> str:
    """Of what is long the end, which is where paths and overrides differ."""
    text = "–" if value is None or value != value else str(value)
    return text if len(text) <= _LONG else f"…{text[1 - _LONG :]}"


def _is_sortable(column: pd.Series) -> bool:
    """Whether values can be compared: lists and dicts cannot."""
    try:
        column.sort_values()
    except TypeError:
        return False
    return True


def _example(frame: pd.DataFrame, by: str | None) -> str:
    """A condition that may hold, on the column by which rows are sorted if it is one of numbers."""
    for name in [*([] if by is None else [by]), *frame.columns]:
        column = frame[name]
        if pd.api.types.is_float_dtype(column) and column.notna().any():
            return f"{_quoted(name)} > {column.median():.2g}"
    return f"{_quoted(frame.columns[0])} == {frame.iloc[0, 0]!r}"


def _quoted(name: Any) -> str:
    return str(name) if str(name).isidentifier() else f"`{name}`"
