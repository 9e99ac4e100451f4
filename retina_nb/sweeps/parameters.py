"""Which parameters the runs of a sweep have."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from itertools import product
from pathlib import Path
from typing import Any

from retina_nb.errors import UserError
from retina_nb.words import from_word, read_yaml, split

Parameters = Mapping[str, Any]


def grid_from_words(words: Iterable[str]) -> dict[str, list[Any]]:
    """A grid as it is written in a shell: ``seed=0,1,2``, or ``sizes=[5,7]|[7,9]``.

    Values are YAML, separated by ``|`` if there is one outside of brackets and quotes, else by commas.

    Raises:
        UserError: for anything else, or a name that comes twice.
    """
    grid: dict[str, list[Any]] = {}
    for word in words:
        name, equals, values = (part.strip() for part in word.partition("="))
        parts = split(values, "|")
        parts = parts if len(parts) > 1 else split(values, ",")
        if not (name and equals and all(part.strip() for part in parts)):
            raise UserError(f"{word!r} is no line of a grid: write it as name=value,value or name=value|value")
        if name in grid:
            raise UserError(f"{name} is in the grid twice: give all of its values at once")
        grid[name] = [from_word(part, f"the value {part.strip()} of {name}") for part in parts]
    return grid


def read_sets(path: str | Path) -> list[dict[str, Any]]:
    """Sets of parameters from a YAML file: a list of them, or a grid (names with lists of values).

    Raises:
        UserError: if the file cannot be read or holds something else.
    """
    found = read_yaml(Path(path))
    match found:
        case [*sets] if sets and all(isinstance(one, dict) for one in sets):
            return [dict(one) for one in sets]
        case dict() if found and all(isinstance(values, list) and values for values in found.values()):
            return list(_points(found))
    raise UserError(
        f"{path} must have sets of parameters, '- seed: 0' and so on, or a grid, 'seed: [0, 1]' and so on, "
        "where every value is a list"
    )


def combined(parameters: Parameters, grid: Mapping[str, Sequence[Any]], sets: Sequence[Parameters]) -> list[Parameters]:
    """Every set of parameters with every point of the grid, and `parameters` with all of them.

    Raises:
        UserError: if there is nothing in the grid, or a parameter has two sources.
    """
    for name, values in grid.items():
        if isinstance(values, str) or not isinstance(values, Sequence) or not values:
            raise UserError(f"the grid must have a list of values for {name}, not {values!r}")
    sources = Counter([*parameters, *grid, *{name for one in sets for name in one}])
    for name, times in sources.items():
        if times > 1:
            raise UserError(f"{name} is given twice: have it in the grid, in the sets or the same for all runs")
    return [{**parameters, **one, **point} for one in sets or [{}] for point in _points(grid)]


def check_overrides(sets: Iterable[Parameters]) -> None:
    """Parameters called ``preset`` and ``overrides``, where a notebook has both, are a preset of ours and its changes.

    Raises:
        UserError: if there is no such preset, or an override matches nothing in it.
    """
    from retina_nb.models.presets import load_preset  # torch takes a while to import

    done = []
    for one in sets:
        match one:
            case {"preset": str() as preset, "overrides": [*overrides]} if (preset, overrides) not in done:
                load_preset(preset, [str(override) for override in overrides])
                done.append((preset, overrides))


def varying(sets: Iterable[Parameters]) -> list[str]:
    """The parameters that are not the same in all sets."""
    sets = list(sets)
    names = dict.fromkeys(name for one in sets for name in one)
    return [name for name in names if any(one.get(name) != sets[0].get(name) for one in sets)]


def _points(grid: Mapping[str, Sequence[Any]]) -> Iterable[dict[str, Any]]:
    return (dict(zip(grid, values, strict=True)) for values in product(*grid.values()))
