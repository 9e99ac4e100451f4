"""Conditions that rows of a table meet or not: names, numbers, texts, comparisons, and, or, not; nothing else.

They are typed on pages that others can see, too: nothing of a condition is ever run, and none takes long.
"""

import ast
import operator
import re
import warnings
from collections.abc import Callable, Mapping
from typing import Any

import pandas as pd

from retina_nb.errors import UserError, unknown

_LONGEST = 500  # characters
_COMPARISONS: Mapping[type, Callable[[Any, Any], Any]] = {
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
    ast.In: lambda left, right: left.isin(right),
    ast.NotIn: lambda left, right: ~left.isin(right),
}
# A text, or a name in backquotes, which need not be a Python name.
_QUOTED = re.compile(r"""'[^']*'|"[^"]*"|`([^`]*)`""")


def meets(frame: pd.DataFrame, condition: str, example: str) -> pd.Series:
    """For which rows a condition holds; where a value is missing, it differs from all.

    Args:
        frame: the rows.
        condition: such as ``type == "OFF alpha" and cc_norm > 0.5``, ``session in ["a", "b"]``; columns whose names
            are no Python names stand in backquotes.
        example: a condition to name in errors.

    Raises:
        UserError: if it is none, is longer than 500 characters, or names no column.
    """
    if len(condition) > _LONGEST:
        raise UserError(f"the condition has {len(condition)} characters, and may have {_LONGEST}: make it shorter")
    try:
        return _Condition(frame).of(condition)
    except _Unclear as error:
        raise UserError(
            f"the condition {condition!r} cannot be understood ({error}): write one of names, numbers, texts, "
            f"comparisons, and, or, not, as in {example}"
        ) from None


class _Unclear(Exception):
    """Why a condition is none."""


class _Condition:
    def __init__(self, frame: pd.DataFrame) -> None:
        self._frame, self._quoted = frame, dict[str, str]()

    def of(self, condition: str) -> pd.Series:
        try:
            with warnings.catch_warnings(action="ignore"):
                tree = ast.parse(_QUOTED.sub(self._name, condition).strip(), mode="eval")
        except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
            raise _Unclear((str(error) or type(error).__name__).splitlines()[0].partition(" (<unknown>")[0]) from None
        return self._holds(tree.body)

    def _name(self, found: re.Match[str]) -> str:
        if found[1] is None:
            return found[0]
        name = f"quoted_{len(self._quoted)}"
        self._quoted[name] = found[1]
        return f" {name} "

    def _holds(self, node: ast.expr) -> pd.Series:
        """What is true or false of each row."""
        match node:
            case ast.BoolOp(op=ast.And() | ast.Or(), values=parts):
                first, *rest = map(self._holds, parts)
                for part in rest:
                    first = first & part if isinstance(node.op, ast.And) else first | part
                return first
            case ast.UnaryOp(op=ast.Not(), operand=part):
                return ~self._holds(part)
            case ast.Compare(left=left, ops=ops, comparators=others):
                holds = pd.Series(True, self._frame.index)
                for one, op, other in zip([left, *others], ops, others, strict=False):
                    holds &= self._compare(one, op, other)
                return holds
            case ast.Name():
                column = self._column(node)
                if pd.api.types.is_bool_dtype(column):
                    return column.fillna(False).astype(bool)
        raise _Unclear(f"{ast.unparse(node)[:40]!r} is not a condition that a row meets or not")

    def _compare(self, left: ast.expr, op: ast.cmpop, right: ast.expr) -> pd.Series:
        if type(op) not in _COMPARISONS:
            raise _Unclear("what is compared is compared by ==, !=, <, <=, >, >=, in, not in")
        if isinstance(op, ast.In | ast.NotIn):
            if not isinstance(right, ast.List | ast.Tuple):
                raise _Unclear("after in there must be a list")
            one, other = self._column(left), [_constant(item) for item in right.elts]
        else:
            one, other = self._value(left), self._value(right)
        if not isinstance(one, pd.Series) and not isinstance(other, pd.Series):
            raise _Unclear("a comparison needs a column")
        try:
            return _COMPARISONS[type(op)](one, other).fillna(False).astype(bool)
        except (TypeError, ValueError, OverflowError) as error:
            raise _Unclear(str(error).splitlines()[0]) from None

    def _value(self, node: ast.expr) -> Any:
        return self._column(node) if isinstance(node, ast.Name) else _constant(node)

    def _column(self, node: ast.expr) -> pd.Series:
        if not isinstance(node, ast.Name):
            raise _Unclear(f"{ast.unparse(node)[:40]!r} is no column")
        name = self._quoted.get(node.id, node.id)
        known = {str(column): column for column in self._frame}
        if name not in known:
            raise unknown("column", name, known)
        return self._frame[known[name]]


def _constant(node: ast.expr) -> Any:
    """A number, a text, True or False."""
    match node:
        case ast.Constant(value=bool() | int() | float() | str() as value):
            return value
        case ast.UnaryOp(op=ast.USub() | ast.UAdd(), operand=ast.Constant(value=int() | float() as value)):
            return -value if isinstance(node.op, ast.USub) else value
    raise _Unclear(f"{ast.unparse(node)[:40]!r} is no name, number or text")
