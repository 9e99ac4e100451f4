"""One-line representations: what something is and how large it is, never the numbers in it."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import fields, is_dataclass
from html import escape
from numbers import Real
from pathlib import Path
from typing import Any, TypeVar

T = TypeVar("T", bound=type)

WIDE = 200  # characters of a representation
_LONG = 40  # characters of a text in it
_FEW = 4  # entries of a sequence that are shown


def one_line(cls: T) -> T:
    """Class decorator: ``repr`` is one line of at most `WIDE` characters.

    It has the fields of a dataclass or a named tuple, arrays by their axes, tables by their size. A method
    ``_in_words`` replaces them.
    """
    cls.__repr__ = _line  # type: ignore[assignment]
    return cls


def as_html(lines: Callable[[Any], str]) -> Callable[[Any], str]:
    """A method ``_repr_html_``, which notebooks show of an object alone, of a method that returns lines of text."""
    return lambda self: f"<pre>{escape(lines(self))}</pre>"


def model_words(model: Any) -> str:
    """Sessions, cells, stimulus, rate and number of parameters of a model, as far as it has them."""
    about, shape, config = model.about, getattr(model, "stimulus_shape", None), getattr(model, "config", None) or {}
    cells = about.get("neurons") or {}
    sizes = {"sessions": len(cells), "cells": sum(cells.values()), "members": len(getattr(model, "members", ()))}
    return ", ".join(
        [
            *([f"preset {_short(config['preset'])}"] if config.get("preset") else []),
            *(f"{count:,} {name[: -1 if count == 1 else None]}" for name, count in sizes.items() if count),
            *([f"stimulus {' x '.join(map(str, shape))} (channel, height, width)"] if shape else []),
            *([f"{about['rate_hz']:g} Hz"] if about.get("rate_hz") else []),
            part_words(model),
        ]
    )


def part_words(part: Any) -> str:
    """What a module of torch says of itself, and the number of its parameters."""
    count = sum(parameter.numel() for parameter in part.parameters())
    return ", ".join(filter(None, [part.extra_repr(), f"{count:,} parameters"]))


def _line(self: Any) -> str:
    try:
        words = self._in_words() if hasattr(self, "_in_words") else _fields(self)
    except Exception:  # of what is made by half, as in a debugger, or has read an odd file, the name can be told
        words = "…"
    line = f"{type(self).__name__}({' '.join(words.split())})"
    return line if len(line) <= WIDE else f"{line[: WIDE - 2]}…)"


def _fields(self: Any) -> str:
    if is_dataclass(self):
        declared = {one.name: one.type for one in fields(self) if one.repr}
    else:
        declared = type(self).__annotations__
    return ", ".join(f"{name}={_short(getattr(self, name), of)}" for name, of in declared.items())


def _short(value: Any, declared: Any = None) -> str:
    """A value in a few words."""
    match value:
        case str() | Path():
            text = str(value)
            return repr(text if len(text) <= _LONG else f"{text[: _LONG - 1]}…")
        case Mapping():
            return f"{{{_some(map(_short, value), len(value))}}}"
        case tuple():
            return f"({_some(map(_short, value), len(value))})"
        case list() | set() | frozenset():
            return f"[{_some(map(_short, value), len(value))}]"
        case bool() | int() | None:
            return str(value)
        case Real():
            return f"{value:g}"
    if hasattr(value, "shape"):
        return _size(value, declared)
    return f"<{type(value).__name__}>"


def _some(words: Iterable[str], count: int) -> str:
    first = [word for word, _ in zip(words, range(_FEW), strict=False)]
    return ", ".join(first) + (f", … {count} in all" if count > _FEW else "")


def _size(value: Any, declared: Any) -> str:
    """A table's rows, an array's axes, with their names where they were declared: <cell 30, time 60>."""
    shape = tuple(value.shape)
    if hasattr(value, "iloc"):
        return f"<{' x '.join(map(str, shape))} table>"
    names = str(getattr(declared, "dim_str", "")).split()
    if not shape:
        return f"{value.item()}"
    if len(names) != len(shape):
        return f"<{' x '.join(map(str, shape))}>"
    return f"<{', '.join(f'{name} {size}' for name, size in zip(names, shape, strict=True))}>"
