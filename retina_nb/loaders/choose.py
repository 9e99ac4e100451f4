"""Choosing some sessions of a dataset by name."""

from collections.abc import Iterable, Sequence

from retina_nb.errors import UserError, unknown


def choose(found: Iterable[str], sessions: Sequence[str] | None, dataset: str) -> list[str]:
    """The sessions that are asked for, in their order; by default all that there are, sorted.

    Raises:
        UserError: if there is no such session, a name is given twice, or none is.
    """
    there = sorted(found)
    if sessions is None:
        return there
    if isinstance(sessions, str):
        raise UserError(f"{dataset}: sessions must be a list of names, write [{sessions!r}]")
    if not len(sessions):
        raise UserError(f"{dataset}: sessions is an empty list; leave it out for all of them")
    for place, session in enumerate(sessions):
        if session not in there:
            raise unknown(f"session of {dataset}", session, there)
        if session in sessions[:place]:
            raise UserError(f"{dataset}: session {session} is twice in sessions")
    return list(sessions)
