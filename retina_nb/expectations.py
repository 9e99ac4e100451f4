"""The end of a notebook: its results beside what is expected of them, as a table with verdicts."""

import json
import math
import operator
import re
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any

from retina_nb.representations import one_line

_COMPARE = {">=": operator.ge, ">": operator.gt, "<=": operator.le, "<": operator.lt}
_MARK = {True: "✓", False: "✗"}
_SIGNS = {">=": "≥", "<=": "≤"}


@one_line
@dataclass(frozen=True)
class Check:
    """A result, and what is expected of it.

    Args:
        name: what it is.
        value: a number, or whether something is so.
        expected: ``">= 0.9"`` (or ``>``, ``<=``, ``<``), ``"0.97 to 1.03"``, or ``"yes"``.
    """

    name: str
    value: Any
    expected: str

    @property
    def holds(self) -> bool:
        """Whether the result is as expected; NaN is not.

        Raises:
            ValueError: if the expectation is of no known form.
        """
        if self.expected == "yes":
            return bool(self.value)
        if found := re.fullmatch(r"(\S+) to (\S+)", self.expected):
            return float(found[1]) <= float(self.value) <= float(found[2])
        if found := re.fullmatch(r"(>=|>|<=|<) (\S+)", self.expected):
            return bool(_COMPARE[found[1]](float(self.value), float(found[2])))
        raise ValueError(f"{self.expected!r} is no expectation: write '>= 0.9', '0.97 to 1.03' or 'yes'")


@dataclass(frozen=True)
class Verdicts:
    """What `verdicts` returns: a table of results that is shown as the last value of a cell."""

    rows: tuple[tuple[str, ...], ...]
    head: tuple[str, ...]
    note: str

    def __repr__(self) -> str:
        lines = [self.head, *self.rows]
        widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
        table = ["  ".join(word.ljust(width) for word, width in zip(line, widths, strict=True)) for line in lines]
        return "\n".join([*(line.rstrip() for line in table), self.note])

    def _repr_html_(self) -> str:
        head = "".join(f'<th style="text-align:left">{escape(word)}</th>' for word in self.head)
        rows = "".join(
            "<tr>" + "".join(f'<td style="text-align:left">{escape(word)}</td>' for word in row) + "</tr>"
            for row in self.rows
        )
        return f"<table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table><p>{escape(self.note)}</p>"


def verdicts(results: str | Path, checks: Sequence[tuple[str, Any, str]] = ()) -> Verdicts:
    """A notebook's results with verdicts; without checks, the numbers of its ``results.json``.

    Args:
        results: the ``results.json`` that `write_results` returned.
        checks: for each what it is, its value and what is expected, see `Check`; none where parameters were chosen
            for which nothing is known.

    Raises:
        AssertionError: if a result is not as expected, with the table in its message.
    """
    values = json.loads(Path(results).read_text(encoding="utf-8"))
    where = _where(Path(results), values)
    if not checks:
        shown = {name: value for name, value in values.items() if name not in ("versions", "seconds", "peak_memory_gb")}
        note = f"No verdicts: they are known for the default parameters. {where}"
        return Verdicts(tuple(_numbers(shown)), ("result", "value"), note)
    made = [Check(*check) for check in checks]
    rows = tuple((one.name, _word(one.value), _expectation(one.expected), _MARK[one.holds]) for one in made)
    failed = [one.name for one in made if not one.holds]
    verdict = f"NOT as expected: {', '.join(failed)}." if failed else "All results are as expected."
    table = Verdicts(rows, ("result", "value", "expected", ""), f"{verdict} {where}")
    if failed:
        raise AssertionError(f"{verdict}\n{table!r}")
    return table


def _where(path: Path, values: dict[str, Any]) -> str:
    used = [f"{values['seconds']:.0f} s"] if "seconds" in values else []
    used += [f"{values['peak_memory_gb']:.1f} GB of memory"] if values.get("peak_memory_gb") is not None else []
    return f"Everything is in {path}" + (f" ({', '.join(used)})." if used else ".")


def _numbers(values: dict[str, Any], within: str = "") -> list[tuple[str, str]]:
    """The values that fit into a line, with the names of what they are in."""
    rows = []
    for name, value in values.items():
        label = f"{within}{name.replace('_', ' ')}"
        if isinstance(value, dict):
            rows += _numbers(value, f"{label}: ")
        elif not isinstance(value, list) or len(value) <= 4:
            rows.append((label, ", ".join(map(_word, value)) if isinstance(value, list) else _word(value)))
    return rows


def _word(value: Any) -> str:
    match value:
        case None:
            return "–"
        case str():
            return value
        case bool():
            return "yes" if value else "no"
        case int():
            return f"{value:,}"
    if hasattr(value, "item"):
        return _word(value.item())
    return "–" if math.isnan(value) else f"{value:.3g}"


def _expectation(text: str) -> str:
    sign, _, bound = text.partition(" ")
    return f"{_SIGNS.get(sign, sign)} {bound}".strip()
