"""Sentences about a stimulus or a receptive field, from its measured properties: true of whichever cell is chosen."""

import numpy as np
from jaxtyping import Float

from retina_nb.analyses.most_exciting import MostExciting, motion, space_time_parts
from retina_nb.analyses.receptive_fields.covariance import SpikeTriggeredCovariance

_LOBE = 0.3  # of the largest: what is weaker is not worth a word
_SEPARABLE = 0.6  # part of the power from which on one map and one time course describe a movie
_RING = 0.3  # weight of the opposite sign around the middle, as a part of the middle's
_MOVES = 0.3  # strength of motion from which on it is told
_WAYS = ("right", "up and right", "up", "up and left", "left", "down and left", "down", "down and right")


def describe_most_exciting(made: MostExciting, row: int = 0) -> str:
    """What a most exciting stimulus looks like, in sentences.

    Args:
        made: the stimuli.
        row: which of them.
    """
    stimulus = made.stimuli[row]
    courses, maps, part = space_time_parts(stimulus)
    strongest = int(np.abs(courses).max(axis=1).argmax())
    name, share = made.channels[strongest], part[strongest]
    if share < _SEPARABLE:
        words = (
            f"No single map and time course describe this movie (the best hold {share:.0%} of its {name} part): what "
            "the cell wants changes its place."
        )
        return words + _motion(stimulus)
    phases = [f"{'brighter' if sign > 0 else 'darker'} than grey" for sign in lobes(courses[strongest])]
    words = f"In the middle, {name} should be {', then '.join(phases)}"
    words += ", and the opposite around it" if _has_ring(maps[strongest]) else ""
    words += f" (one map and one time course hold {share:.0%} of it)."
    return words + _other_channels(made, courses, maps, strongest) + _motion(stimulus)


def _motion(stimulus: Float[np.ndarray, "channel time height width"]) -> str:
    direction, strength = motion(stimulus)
    return f" It moves {_WAYS[round(direction / 45) % 8]}." if strength >= _MOVES else ""


def lobes(course: Float[np.ndarray, " time"]) -> list[int]:
    """The signs of a time course's lobes in their order, without those that are weak."""
    signs: list[int] = []
    for value in course[np.abs(course) >= _LOBE * np.abs(course).max()]:
        if not signs or np.sign(value) != signs[-1]:
            signs.append(int(np.sign(value)))
    return signs


def _has_ring(weights: Float[np.ndarray, "height width"]) -> bool:
    """Whether what has the other sign than the strongest pixel weighs a good part of what has the same."""
    return bool(-weights.clip(max=0).sum() > _RING * weights.clip(min=0).sum())


def _other_channels(
    made: MostExciting, courses: Float[np.ndarray, "channel time"], maps: np.ndarray, strongest: int
) -> str:
    words = ""
    middle = np.unravel_index(np.abs(maps[strongest]).argmax(), maps.shape[1:])
    reference = courses[strongest]
    for channel, name in enumerate(made.channels):
        if channel == strongest:
            continue
        course = courses[channel] * maps[(channel, *middle)]
        relative = float(course @ reference / (reference @ reference))
        if relative > _LOBE:
            words += f" {name} should do the same."
        elif relative < -_LOBE:
            words += f" {name} should do the opposite."
        else:
            words += f" {name} hardly matters there."
    return words


def describe_covariance(found: SpikeTriggeredCovariance, labels: list[str]) -> list[str]:
    """What spike-triggered covariance says of each neuron, a sentence each.

    Args:
        found: of some neurons.
        labels: what to call them.
    """
    sentences = []
    for label, more, less in zip(labels, found.excitatory.tolist(), found.suppressive.tolist(), strict=True):
        said = [f"{count} {what}" for count, what in ((more, "excitatory"), (less, "suppressive")) if count]
        plural = "s" if more + less != 1 else ""
        what = (
            f"{' and '.join(said)} direction{plural}"
            if said
            else "no direction: its average says all that is seen here"
        )
        sentences.append(f"{label}: {what}.")
    return sentences
