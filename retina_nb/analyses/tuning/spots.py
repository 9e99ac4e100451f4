"""Tuning to the size of spots that are shown at each neuron's own place."""

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from jaxtyping import Float

from retina_nb.analyses.presentations import grey_rates, local_responses
from retina_nb.analyses.receptive_fields.centers import centers_or_found
from retina_nb.analyses.subjects import subject
from retina_nb.analyses.tuning.curves import TuningCurve, rising
from retina_nb.analyses.tuning.measures import strongest
from retina_nb.stimuli import Screen, Stimulus, spot

# Seconds of grey before a spot; as many as needed come before, of which nothing is measured.
BEFORE = 0.1


def size_tuning(
    model: Any,
    *,
    diameters: Sequence[float] = (100, 150, 200, 300, 400, 600, 900, 1200),
    contrast: float = 1.0,
    colour: Sequence[float] | None = None,
    duration: float = 0.5,
    window: float = 0.1,
    centers: Float[np.ndarray, "neuron 2"] | None = None,
    session: str | None = None,
    neurons: int | Iterable[int] | None = None,
    device: str | None = None,
    batch_size: int = 16,
    seed: int = 0,
) -> TuningCurve:
    """The largest rate after the onset of a spot of each size, bright or dark, on each neuron's receptive field.

    ``suppression`` of the curve is the surround suppression index.

    Args:
        model: a twin, ensemble, baseline or truth.
        diameters: µm.
        contrast: of bright spots, whose negative dark ones have; each neuron's curve is that of the sign to which it
            responds more, ``sign`` of the curve's table of neurons.
        colour: weight of each channel; all 1 if None.
        duration: of a spot (s).
        window: over which the rate is averaged (s).
        centers: place (y, x) of each neuron in pixels from the middle of the top left one; from `find_centers` if None.
        session: whose neurons; all sessions' if None.
        neurons: their numbers; all if None.
        device: where to run the model.
        batch_size: stimuli shown at once.
        seed: of the search for centres.

    Raises:
        UserError: if the diameters do not rise, the centres do not fit, or neuron or stimulus do not fit the model.
    """
    watching, screen = subject(model, session=session, neurons=neurons, device=device), Screen.of(model)
    values = rising(diameters, "diameters")
    places = centers_or_found(watching, centers, seed=seed)

    def make(place: tuple[float, float]) -> list[Stimulus]:
        options: dict[str, Any] = {
            "center": place,
            "duration": duration,
            "before": BEFORE,
            "after": 0.0,
            "colour": colour,
        }
        return [
            spot(screen, diameter=diameter, contrast=sign * contrast, **options)
            for sign in (1, -1)
            for diameter in values
        ]

    measure = strongest(max(screen.frames(window), 1))
    rates = local_responses(watching, places, make, measure, batch_size=batch_size)
    both = rates.reshape(len(rates), 2, len(values)) - grey_rates(watching)[:, None, None]
    dark = (both[:, 1].max(axis=1) > both[:, 0].max(axis=1)).astype(int)
    neurons = watching.table().assign(y=places[:, 0], x=places[:, 1], sign=1 - 2 * dark)
    return TuningCurve(neurons, "diameter", "µm", values, both[np.arange(len(both)), dark])
