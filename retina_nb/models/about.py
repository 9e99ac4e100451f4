"""What a model knows of the recordings it was made for: the fields of `about`, and of which kind each is."""

import math
from collections.abc import Callable, Mapping
from numbers import Real
from typing import Any

import numpy as np

from retina_nb.errors import UserError


def check_about(about: Mapping[str, Any], where: str) -> None:
    """Refuse an `about` in which a field that others rely on is of another kind. More fields may be there.

    Args:
        about: see `CoreReadout`.
        where: what to call the model.

    Raises:
        UserError: with the field, what it has to be, and what it is.
    """
    for name, (fits, wanted) in _FIELDS.items():
        if about.get(name) is not None and not fits(about[name]):
            found = repr(about[name])
            raise UserError(
                f"{where}: about[{name!r}] must be {wanted}, not {found if len(found) < 60 else found[:60] + '...'}; "
                "correct it, or leave it out"
            )


def _is_number(value: Any) -> bool:
    return isinstance(value, Real) and not isinstance(value, bool) and math.isfinite(value)


def _is_positive(value: Any) -> bool:
    return _is_number(value) and value > 0


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


def _are_texts(value: Any) -> bool:
    return isinstance(value, list | tuple) and all(map(_is_text, value))


def _are_counts(value: Any) -> bool:
    return isinstance(value, Mapping) and all(
        isinstance(name, str) and isinstance(n, int | np.integer) and not isinstance(n, bool) and n >= 0
        for name, n in value.items()
    )


def _are_speeds(value: Any) -> bool:
    return isinstance(value, Mapping) and bool(value) and all(map(_is_positive, value.values()))


def _are_tables(value: Any) -> bool:
    return isinstance(value, Mapping) and all(isinstance(one, Mapping) for one in value.values())


def _are_scores(value: Any) -> bool:
    """Numbers for each metric, or for the twin and others; or, by their authors, of the neurons of each session."""
    if not isinstance(value, Mapping):
        return False
    if "sessions" in value:
        sessions = value["sessions"]
        return (
            _is_text(value.get("metric"))
            and isinstance(sessions, Mapping)
            and all(map(_are_numbers, sessions.values()))
        )
    values = (one.get("twin") if isinstance(one, Mapping) else one for one in value.values())
    return all(one is None or _are_numbers(one) for one in values)


def _are_numbers(value: Any) -> bool:
    if isinstance(value, np.ndarray):
        return value.dtype.kind in "biuf"
    return isinstance(value, Real) or (isinstance(value, list | tuple) and all(isinstance(one, Real) for one in value))


_FIELDS: dict[str, tuple[Callable[[Any], bool], str]] = {
    "neurons": (_are_counts, "the number of neurons by session"),
    "rate_hz": (_is_positive, "a number of bins per second (Hz)"),
    "pixel_um": (_is_positive, "a size (µm)"),
    "stimulus_mean": (_is_number, "a number"),
    "stimulus_std": (_is_number, "a number"),
    "unit": (_is_text, "a text"),
    "species": (_is_text, "a text"),
    "stimulus": (_is_text, "a text"),
    "source": (_is_text, "a text"),
    "channels": (_are_texts, "a list of names"),
    "corrections": (_are_texts, "a list of texts"),
    "sessions": (_are_tables, "a table for each session"),
    "session_speeds": (_are_speeds, "a speed above 0 for each session"),
    "scores": (_are_scores, "a number for each metric"),
}
