"""The one error a user can mend: a sentence that says what, where and what to do."""

from collections.abc import Iterable
from difflib import get_close_matches


class UserError(ValueError):
    """Input that cannot be used. The message is one sentence for the person who gave it."""


def unknown(what: str, name: str, known: Iterable[str]) -> UserError:
    """The error for a name that is not among the `known` ones, with the closest of them.

    Args:
        what: what kind of thing was asked for, e.g. ``"dataset"``.
        name: the name that was given.
        known: the names that exist.
    """
    known = sorted(str(one) for one in known)
    close = get_close_matches(str(name), known, n=1)
    hint = f"did you mean {close[0]!r}? " if close else ""
    return UserError(f"unknown {what} {name!r}: {hint}known are {', '.join(known) or 'none'}")
