"""One row of the table: what was recovered, how well, and how well it must be."""

from dataclasses import dataclass
from typing import SupportsFloat

from retina_nb.representations import one_line


@one_line
@dataclass(frozen=True)
class Check:
    """One property of the simulated retina that an analysis recovers.

    Args:
        check: what is recovered, with its unit, e.g. ``"preferred direction: median error (degrees)"``.
        value: how well.
        bound: what the value must reach or keep.
        holds: whether it does.
    """

    check: str
    value: float
    bound: float
    holds: bool


def at_least(check: str, value: SupportsFloat, bound: float) -> Check:
    """A check of a value that must not fall below its bound; NaN fails."""
    return Check(check, float(value), bound, float(value) >= bound)


def at_most(check: str, value: SupportsFloat, bound: float) -> Check:
    """A check of a value that must not exceed its bound; NaN fails."""
    return Check(check, float(value), bound, float(value) <= bound)
