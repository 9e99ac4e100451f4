"""The one error a user can fix: a sentence that says what, where and what to do."""

import sys
import traceback
from collections.abc import Iterable
from difflib import get_close_matches


class UserError(ValueError):
    """Input that cannot be used. The message is one sentence for the person who gave it.

    A notebook shows that sentence alone. To see where the error was raised, run ``%tb`` in the next cell; scripts print
    the whole traceback as usual.
    """

    def _render_traceback_(self) -> list[str]:
        """What IPython shows: the sentence when the error is raised, the traceback when ``%tb`` asks for it."""
        if sys.exc_info()[1] is None:  # nothing is being raised now, so somebody asks for what was raised before
            return "".join(traceback.format_exception(self)).splitlines()
        return [f"\x1b[31m{type(self).__name__}\x1b[39m: {self}"]


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
