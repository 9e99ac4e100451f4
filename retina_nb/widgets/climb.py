"""An ascent that can be turned on its way."""

from collections.abc import Iterator
from functools import partial
from typing import Any

from retina_nb.analyses import Constraint, MostExciting, steps_to_most_exciting

# More steps than anyone watches: an ascent ends when it has converged.
_STEPS = 1000


class Climb:
    """The ascent to one neuron's most exciting input, on which constraints may change.

    Args:
        model: a twin, ensemble, baseline or truth.
        session: whose neuron.
        neuron: its number there.
        constraint: what the stimulus is held to at first.
        suppress: whether to look for the least response instead.
        seed: of the noise it starts from.

    Attributes:
        made: what has been reached.
        path: the best score so far at the start and after each step (events per bin).
        turns: the places in `path` at which the constraint changed.
        constraint: what the stimulus is held to now.

    Raises:
        UserError: as `steps_to_most_exciting`.
    """

    def __init__(
        self, model: Any, session: str, neuron: int, constraint: Constraint, *, suppress: bool = False, seed: int = 0
    ) -> None:
        self._climb = partial(
            steps_to_most_exciting, model, session=session, neurons=neuron, suppress=suppress, steps=_STEPS, seed=seed
        )
        self.constraint = constraint
        self._steps: Iterator[MostExciting] = self._climb(constraints=constraint)
        self.made = self._before = next(self._steps)
        self.path, self.turns = [float(self.made.scores[0])], list[int]()

    def step(self) -> bool:
        """Take a step; False if there is none to take, because the last ones gained next to nothing."""
        made = next(self._steps, None)
        if made is None:
            return False
        self.made = self._before = made
        self.path.append(float(made.scores[0]))
        return True

    def turn(self, constraint: Constraint) -> None:
        """Go on from here under another constraint.

        Of several turns without a step between them, as while a slider is dragged, only the last one counts: nothing is
        lost on the way.

        Raises:
            UserError: if the stimulus cannot be held to it; it stays held to what it was.
        """
        if constraint == self.constraint:
            return
        steps = self._climb(constraints=constraint, start=self._before.stimuli)
        made = next(steps)
        if self.made is not self._before:
            self.path.pop()
        elif not self.turns or self.turns[-1] != len(self.path):
            self.turns.append(len(self.path))
        self.made, self._steps, self.constraint = made, steps, constraint
        self.path.append(float(made.scores[0]))
