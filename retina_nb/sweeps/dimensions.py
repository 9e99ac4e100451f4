"""What is drawn for a trial of a search, one thing after another, some of it only if a certain choice was drawn."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.trial import Trial

from retina_nb.errors import UserError, unknown
from retina_nb.representations import one_line

OVERRIDES = "overrides"
_RANGE = ("low", "high", "log", "step")
_FORMS = "a list of values, a range, '{low: 0.001, high: 0.1, log: true}', or choices with a space each, 'value: {...}'"


@one_line
@dataclass(frozen=True)
class Dimension:
    """One thing that is drawn.

    Args:
        name: of a parameter of the notebook or, if `inner`, of a value within its preset.
        entry: the values to choose from, or the range.
        inner: whether it is a value within the preset.
        conditions: the choices with which alone it is there, each with the value that it must have.
    """

    name: str
    entry: Any
    inner: bool = False
    conditions: tuple[tuple["Dimension", Any], ...] = ()

    @property
    def label(self) -> str:
        """What Optuna calls it: its name, which may come again for another choice, and when it is there."""
        needed = " and ".join(f"{one.name}={value}" for one, value in self.conditions)
        return f"{self.name} if {needed}" if needed else self.name

    @property
    def values(self) -> list[Any]:
        """All values, or the ends of the range."""
        return [self.entry["low"], self.entry["high"]] if isinstance(self.entry, Mapping) else list(self.entry)

    def is_there(self, drawn: Mapping[str, Any]) -> bool:
        """Whether what was drawn has the choices that it needs."""
        return all(drawn.get(one.label) == encoded(value) for one, value in self.conditions)

    def decoded(self, value: Any) -> Any:
        """What Optuna has drawn, as it was written."""
        return value if isinstance(self.entry, Mapping) else next(one for one in self.entry if encoded(one) == value)

    def distribution(self, *, real: bool) -> BaseDistribution:
        """As Optuna has it; whole numbers give whole numbers unless it is `real`.

        Raises:
            UserError: if the range cannot be.
        """
        entry = self.entry
        if not isinstance(entry, Mapping):
            return CategoricalDistribution([encoded(value) for value in entry])
        try:
            if not entry["low"] < entry["high"]:
                raise ValueError("low is not below high")
            return (FloatDistribution if real or not self.is_whole else IntDistribution)(**entry)
        except ValueError as error:
            raise UserError(f"the range of {self.name}, {entry}, cannot be: {str(error).rstrip('.')}") from None

    @property
    def is_whole(self) -> bool:
        """Whether it is a range that was written with whole numbers."""
        return isinstance(self.entry, Mapping) and all(
            type(self.entry.get(key, 1)) is int for key in ("low", "high", "step")
        )


def encoded(value: Any) -> Any:
    """Optuna keeps plain values only."""
    return json.dumps(value) if isinstance(value, list | dict) else value


def dimensions_of(space: Mapping[str, Any]) -> list[Dimension]:
    """What a space has to draw, every choice before what depends on it.

    Raises:
        UserError: if an entry is neither values, a range nor choices, or two of one name could be there at once.
    """
    found = list(_dimensions(space))
    for one, other in combinations(found, 2):
        if one.name == other.name and not _exclude_each_other(one, other):
            raise UserError(f"{one.name} is given twice: have it in the space once, or under choices of one parameter")
    return found


def _dimensions(
    space: Mapping[str, Any], conditions: tuple[tuple[Dimension, Any], ...] = (), inner: bool = False
) -> Iterator[Dimension]:
    for name, entry in space.items():
        if name == OVERRIDES and isinstance(entry, Mapping) and not inner:
            yield from _dimensions(entry, conditions, True)
        elif _are_choices(entry):
            choice = Dimension(name, list(entry), inner, conditions)
            yield choice
            for value, nested in entry.items():
                yield from _dimensions(nested or {}, (*conditions, (choice, value)), inner)
        else:
            _check_entry(name, entry)
            yield Dimension(name, entry, inner, conditions)


def _are_choices(entry: Any) -> bool:
    """Whether it is values of which each has a space of its own, or None."""
    if not isinstance(entry, Mapping) or not entry or {"low", "high"} & entry.keys():
        return False
    return all(nested is None or isinstance(nested, Mapping) for nested in entry.values())


def _check_entry(name: str, entry: Any) -> None:
    match entry:
        case [_, *_]:
            pass
        case {"low": int() | float(), "high": int() | float()}:
            for key in entry:
                if key not in _RANGE:
                    raise unknown(f"setting of the range of {name}", key, _RANGE)
        case _:
            raise UserError(f"the space of {name} must be {_FORMS}, not {entry!r}")


def _exclude_each_other(one: Dimension, other: Dimension) -> bool:
    return any(a == b and u != v for a, u in one.conditions for b, v in other.conditions)


def covering(dimensions: Sequence[Dimension]) -> list[dict[str, Any]]:
    """A few draws, by label, in which every value of every dimension comes at least once."""
    return _covering(dimensions, ())


def _covering(dimensions: Sequence[Dimension], conditions: tuple[tuple[Dimension, Any], ...]) -> list[dict[str, Any]]:
    courses = [
        [
            {one.label: encoded(value)} | rest
            for value in one.values
            for rest in _covering(dimensions, (*conditions, (one, value)))
        ]
        for one in dimensions
        if one.conditions == conditions
    ]
    draws = []
    for turn in range(max(map(len, courses), default=1)):
        parts = [course[min(turn, len(course) - 1)] for course in courses]
        draws.append({label: value for part in parts for label, value in part.items()})
    return draws


def suggest(trial: Trial, label: str, distribution: BaseDistribution) -> Any:
    """Have Optuna draw a value."""
    match distribution:
        case CategoricalDistribution():
            return trial.suggest_categorical(label, distribution.choices)
        case IntDistribution(low=low, high=high, step=step, log=log):
            return trial.suggest_int(label, low, high, step=step, log=log)
        case FloatDistribution(low=low, high=high, step=step, log=log):
            return trial.suggest_float(label, low, high, step=step, log=log)
    raise TypeError(f"not drawn: {distribution}")
