"""What a search may change, and from where to where.

A space has a line for each parameter of the notebook: ``seed: [0, 1, 2]`` for one of these, or
``max_epochs: {low: 5, high: 40}`` for any value between, with ``log: true`` or ``step: 5`` if wanted. Whole numbers
give whole numbers. Under ``overrides`` are values within the notebook's preset, ``core.dropout: {low: 0.0, high: 0.5}``
and so on. What is there only with a certain choice stands under it::

    overrides:
      core.dropout: {low: 0.0, high: 0.5}
      readout:
        factorized:
          readout.mask_penalty: {low: 1.0e-5, high: 0.01, log: true}
        gaussian_mask:
          readout.initial_width: {low: 0.1, high: 0.5}

So may overrides stand under presets, ``preset: {simulated_retina: {overrides: {...}}, conv_gru: {}}``.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from optuna.distributions import BaseDistribution
from optuna.trial import Trial

from retina_nb.errors import UserError
from retina_nb.models.presets import load_preset
from retina_nb.sweeps.dimensions import OVERRIDES, Dimension, covering, dimensions_of, encoded, suggest
from retina_nb.sweeps.notebooks import check_parameters, notebook_parameters
from retina_nb.words import read_yaml

_FOLDER = Path(__file__).parent / "spaces"


@dataclass(frozen=True)
class Space:
    """What a search may change.

    Args:
        given: the space as it was written.
        parameters: those of the notebook that are the same for all trials.
        dimensions: what is drawn, in this order.
        distributions: as Optuna has them, by the dimensions' labels.
    """

    given: Mapping[str, Any]
    parameters: Mapping[str, Any]
    dimensions: tuple[Dimension, ...]
    distributions: Mapping[str, BaseDistribution]

    @property
    def names(self) -> list[str]:
        """The parameters and the values within the preset that are drawn, some of them only for some trials."""
        return list(dict.fromkeys(one.name for one in self.dimensions))

    def draw(self, trial: Trial) -> None:
        """Have Optuna draw what a trial needs."""
        for one in self.dimensions:
            if one.is_there(trial.params):
                suggest(trial, one.label, self.distributions[one.label])

    def by_name(self, drawn: Mapping[str, Any]) -> dict[str, Any]:
        """What Optuna has drawn, by names, None for what is not there."""
        there = {one.name: drawn[one.label] for one in self.dimensions if one.label in drawn}
        return dict.fromkeys(self.names) | there

    def parameters_of(self, drawn: Mapping[str, Any]) -> dict[str, Any]:
        """The notebook's parameters for what Optuna has drawn."""
        there = [one for one in self.dimensions if one.label in drawn]
        values = {one.name: one.decoded(drawn[one.label]) for one in there if not one.inner}
        inner = [_override(one.name, one.decoded(drawn[one.label])) for one in there if one.inner]
        changed = {OVERRIDES: [*self.parameters.get(OVERRIDES, []), *inner]} if inner else {}
        return {**self.parameters, **changed, **values}


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
    dimensions = dimensions_of(given)
    if not dimensions:
        raise UserError("the space is empty: give it parameters of the notebook, such as 'seed: [0, 1, 2]'")
    for one in dimensions:
        if not one.inner:
            _check_outer(one, parameters, defaults, name)
        elif not isinstance(defaults.get(OVERRIDES), list):
            raise UserError(
                f"{one.name} of the space is a value within a preset, for notebooks with a list of {OVERRIDES}: "
                f"{name} has {defaults.get(OVERRIDES)!r}"
            )
    space = Space(given, parameters, tuple(dimensions), {})
    if any(one.inner for one in dimensions):
        for drawn in covering(dimensions):
            _config(space.parameters_of(drawn), defaults)
    distributions = {one.label: one.distribution(real=_is_real(one, space, defaults)) for one in dimensions}
    return replace(space, distributions=distributions)


def _check_outer(one: Dimension, parameters: Mapping[str, Any], defaults: Mapping[str, Any], notebook: str) -> None:
    if one.name == OVERRIDES:
        raise UserError(
            f"{OVERRIDES} of a space are values within a preset, 'core.dropout: [0.0, 0.5]', not {one.entry!r}"
        )
    if one.name in parameters:
        raise UserError(f"{one.name} is given twice: have it in the space once, or the same for all trials")
    for value in one.values:
        check_parameters({one.name: value}, defaults, notebook)


def _config(parameters: Mapping[str, Any], defaults: Mapping[str, Any]) -> dict[str, Any]:
    """The preset with its overrides, of parameters that may have no preset."""
    preset = parameters.get("preset", defaults.get("preset"))
    return {} if preset is None else load_preset(preset, parameters.get(OVERRIDES, []))


def _is_real(one: Dimension, space: Space, defaults: Mapping[str, Any]) -> bool:
    """Whether what a range of whole numbers is for is a real number by default."""
    if not one.is_whole:
        return False
    if not one.inner:
        return isinstance(defaults[one.name], float)
    value: Any = _config(space.parameters_of({choice.label: encoded(at) for choice, at in one.conditions}), defaults)
    for part in one.name.split("."):
        value = value.get(part) if isinstance(value, dict) else None
    return isinstance(value, float)


def _override(name: str, value: Any) -> str:
    word = value if isinstance(value, str) and re.fullmatch(r"\w+", value) else json.dumps(value)
    return f"{name}={word}"
