"""What an audit finds: how bad it is, where, and what to do about it."""

from collections.abc import Iterable
from dataclasses import dataclass

from retina_nb.representations import one_line

PROBLEM, LOOK, FINE = "problem", "look at it", "fine"
SEVERITIES = (PROBLEM, LOOK, FINE)


@one_line
@dataclass(frozen=True)
class Finding:
    """One sentence of an audit.

    Args:
        check: what was checked, e.g. ``"copies"``.
        severity: one of `SEVERITIES`: a problem makes results wrong; what is to be looked at may be meant.
        session: where; empty if it is about all sessions.
        message: what, where, and what to do.
    """

    check: str
    severity: str
    session: str
    message: str

    def __str__(self) -> str:
        return f"{self.severity}: {self.check}: {self.message}"


def percent(part: float) -> str:
    """A part of one as text; what is little but not nothing does not become 0 %."""
    return "<1 %" if 0 < part < 0.01 else f"{100 * part:.0f} %"


def count(number: int, what: str) -> str:
    """A number of things of a kind."""
    return f"{number} {what}{'s' * (number != 1)}"


def some(what: str, names: Iterable[object], most: int = 3) -> str:
    """The first few names of things of a kind, and how many more there are."""
    known = [str(name) for name in names]
    more = f" and {len(known) - most} more" if len(known) > most else ""
    return f"{what}{'s' * (len(known) > 1)} {', '.join(known[:most])}{more}"
