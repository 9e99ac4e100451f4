"""What an audit finds: how bad it is, where, and what to do about it."""

from dataclasses import dataclass

PROBLEM, LOOK, FINE = "problem", "look at it", "fine"
SEVERITIES = (PROBLEM, LOOK, FINE)


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


def some(names: list[str], most: int = 3) -> str:
    """The first few names, and how many more there are."""
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more
