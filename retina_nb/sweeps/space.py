"""What a search may change, and from where to where.

A space has a line for each parameter of the notebook: ``seed: [0, 1, 2]`` for one of these, or
``max_epochs: {low: 5, high: 40}`` for any value between, with ``log: true`` or ``step: 5`` if wanted. Whole numbers
give whole numbers. Under ``overrides`` are values within the notebook's preset, ``core.dropout: {low: 0.0, high: 0.5}``
and so on.
"""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)

from retina_nb.errors import UserError, unknown
from retina_nb.models.presets import load_preset
from retina_nb.sweeps.notebooks import check_parameters, notebook_parameters
from retina_nb.words import read_yaml

OVERRIDES = "overrides"
_FOLDER = Path(__file__).parent / "spaces"
_RANGE = ("low", "high", "log", "step")


@dataclass(frozen=True)
class Space:
    """What a search may change.

    Args:
        given: the space as it was written.
        parameters: those of the notebook that are the same for all trials.
        distributions: what Optuna draws, by the name of a parameter or an override.
    """

    given: Mapping[str, Any]
    parameters: Mapping[str, Any]
    distributions: Mapping[str, BaseDistribution]

    def parameters_of(self, drawn: Mapping[str, Any]) -> dict[str, Any]:
        """The notebook's parameters for what Optuna has drawn."""
        drawn = {name: _decoded(value, self._entry(name)) for name, value in drawn.items()}
        inner = [_override(name, drawn[name]) for name in self.given.get(OVERRIDES, {})]
        values = {name: value for name, value in drawn.items() if name not in self.given.get(OVERRIDES, {})}
        changed = {OVERRIDES: [*self.parameters.get(OVERRIDES, []), *inner]} if inner else {}
        return {**self.parameters, **changed, **values}

    def _entry(self, name: str) -> Any:
        return self.given.get(OVERRIDES, {}).get(name) if name in self.given.get(OVERRIDES, {}) else self.given[name]


def read_space(path: str | Path) -> dict[str, Any]:
    """A space from a YAML file.

    Raises:
        UserError: if it cannot be read, or has no lines of the form 'name: values'.
    """
    found = read_yaml(Path(path))
    if not isinstance(found, dict):
        raise UserError(f"{path} must have lines of the form 'name: [value, value]' or 'name: {{low: 0, high: 1}}'")
    return found


def default_space(preset: str) -> dict[str, Any]:
    """What is worth changing in a preset: of its core, its readout and its training, and its size.

    Raises:
        UserError: if there is no such preset.
    """
    config = load_preset(preset)
    core, readout = config["core"], config["readout"]
    files = (
        f"core/{core['kind']}",
        f"core/{core.get('convolution')}",
        f"readout/{readout['kind']}",
        "training/default",
    )
    paths = [_FOLDER / f"{file}.yaml" for file in (*files, preset)]
    inner = {name: entry for path in paths if path.exists() for name, entry in read_space(path).items()}
    return {OVERRIDES: inner}


def checked_space(notebook: str | Path, parameters: Mapping[str, Any], given: Mapping[str, Any]) -> Space:
    """A space in which every value fits the notebook and its preset.

    Args:
        notebook: the notebook.
        parameters: those of its parameters that are the same for all trials.
        given: the space, as in a file.

    Raises:
        UserError: naming what does not fit.
    """
    name, defaults = Path(notebook).name, notebook_parameters(notebook)
    check_parameters(parameters, defaults, name)
    inner = given.get(OVERRIDES, {})
    outer = {one: entry for one, entry in given.items() if one != OVERRIDES}
    if inner and (not isinstance(inner, Mapping) or not isinstance(defaults.get(OVERRIDES), list)):
        raise UserError(
            f"{OVERRIDES} of a space are values within a preset, 'core.dropout: [0.0, 0.5]', for notebooks with a list "
            f"of {OVERRIDES}: {name} has {defaults.get(OVERRIDES)!r} and the space {inner!r}"
        )
    if not outer and not inner:
        raise UserError("the space is empty: give it parameters of the notebook, such as 'seed: [0, 1, 2]'")
    for one, entry in outer.items():
        if one in parameters or one in inner:
            raise UserError(f"{one} is given twice: have it in the space once, or the same for all trials")
        for value in _values(one, entry):
            check_parameters({one: value}, defaults, name)
    presets = outer.get("preset") or [parameters.get("preset", defaults.get("preset"))]
    configs = [_checked_overrides(preset, parameters, inner) for preset in presets if preset is not None and inner]
    real = {one for one, value in defaults.items() if isinstance(value, float)}
    real |= {one for config in configs for one in inner if isinstance(_nested(config, one), float)}
    return Space(given, parameters, {one: _distribution(one, entry, real) for one, entry in {**outer, **inner}.items()})


def _checked_overrides(preset: str, parameters: Mapping[str, Any], inner: Mapping[str, Any]) -> dict[str, Any]:
    """The preset, to which all values were put, as many at a time as there are names."""
    fixed = list(parameters.get(OVERRIDES, []))
    values = {name: list(_values(name, entry)) for name, entry in inner.items()}
    for turn in range(max(map(len, values.values()))):
        load_preset(
            preset, [*fixed, *(_override(name, some[min(turn, len(some) - 1)]) for name, some in values.items())]
        )
    return load_preset(preset, fixed)


def _values(name: str, entry: Any) -> Iterator[Any]:
    """The values of a list, or the ends of a range."""
    match entry:
        case [_, *_]:
            yield from entry
        case {"low": int() | float(), "high": int() | float()}:
            for key in entry:
                if key not in _RANGE:
                    raise unknown(f"setting of the range of {name}", key, _RANGE)
            yield from (entry["low"], entry["high"])
        case _:
            raise UserError(
                f"the space of {name} must be a list of values or a range, '{{low: 0.001, high: 0.1, log: true}}', "
                f"not {entry!r}"
            )


def _distribution(name: str, entry: Any, real: set[str]) -> BaseDistribution:
    try:
        if isinstance(entry, list):
            return CategoricalDistribution([_encoded(value) for value in entry])
        whole = name not in real and all(type(entry.get(key, 1)) is int for key in ("low", "high", "step"))
        if not entry["low"] < entry["high"]:
            raise ValueError("low is not below high")
        return (IntDistribution if whole else FloatDistribution)(**entry)
    except ValueError as error:
        raise UserError(f"the range of {name}, {entry}, cannot be: {str(error).rstrip('.')}") from None


def _encoded(value: Any) -> Any:
    """Optuna keeps plain values only."""
    return json.dumps(value) if isinstance(value, list | dict) else value


def _decoded(value: Any, entry: Any) -> Any:
    return next(one for one in entry if _encoded(one) == value) if isinstance(entry, list) else value


def _override(name: str, value: Any) -> str:
    word = value if isinstance(value, str) and re.fullmatch(r"\w+", value) else json.dumps(value)
    return f"{name}={word}"


def _nested(config: Any, name: str) -> Any:
    for part in name.split("."):
        config = config.get(part) if isinstance(config, dict) else None
    return config
