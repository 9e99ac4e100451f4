"""Most discriminative stimuli: the cell types come out as groups, without being told how many there are."""

from typing import Any

from retina_nb.analyses.most_discriminative import most_discriminative_stimuli
from retina_nb.analyses.populations import adjusted_rand_index
from retina_nb.checks.check import Check, at_least, at_most
from retina_nb.loaders.simulated.truth import Truth


def checks(model: Any, truth: Truth, recordings: Any) -> list[Check]:
    """Of all cells of all sessions."""
    types = truth.neurons()["type"]
    found = most_discriminative_stimuli(model)
    given = most_discriminative_stimuli(model, clusters=types.nunique())
    error = abs(len(found.stimuli) - types.nunique())
    name = "cell types from discriminative stimuli"
    return [
        at_least(f"{name}: adjusted Rand index", adjusted_rand_index(types, found.cluster), 0.8),
        at_least(f"{name}, number given: adjusted Rand index", adjusted_rand_index(types, given.cluster), 0.8),
        # A twin learns a few cells of a type so differently that they count as another.
        at_most(f"{name}: error of their number", error, 0 if isinstance(model, Truth) else 4),
    ]
