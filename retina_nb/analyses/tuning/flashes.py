"""ON and OFF: responses to bright and dark spots on each neuron's place."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Float

from retina_nb.analyses.presentations import grey_rates, local_responses
from retina_nb.analyses.receptive_fields.centers import centers_or_found
from retina_nb.analyses.subjects import subject
from retina_nb.analyses.tuning.measures import relative_difference
from retina_nb.analyses.tuning.spots import BEFORE
from retina_nb.errors import UserError
from retina_nb.peaks import peak_place
from retina_nb.representations import one_line
from retina_nb.stimuli import Screen, Stimulus, spot


@one_line
@dataclass(frozen=True)
class FlashResponses:
    """Responses to a bright and a dark spot.

    Args:
        neurons: a row for each neuron: session, neuron, and the place ``y``, ``x`` of its spots (pixels).
        seconds: time of each bin since the one with the onset (s); before it the screen is grey.
        rates: events per second to the bright and to the dark spot.
        on: the largest rate above grey after the onset of the bright spot (events per second).
        off: the same of the dark one.
        on_off_index: (on - off) / (on + off): 1 for ON, -1 for OFF cells; 0 if there is no response.
        fall: how far the rate falls below that at grey, during the spot with which it falls further.
        suppression_index: (fall - rise) / (fall + rise), in which rise is the larger of `on` and `off`: 1 for cells
            that stimuli only silence.
        transience: 1 - the rate above grey at the end of the spot with the larger response, as a part of its peak: 1 if
            the response has ended, 0 if it lasts; NaN if there is none.
        latency: from the onset of a pulse of a single frame, of the sign with the larger response, to the peak of the
            response (s), refined by a parabola; NaN if there is no response. A step's peak is later in sustained cells.
    """

    neurons: pd.DataFrame
    seconds: Float[np.ndarray, " time"]
    rates: Float[np.ndarray, "neuron 2 time"]
    on: Float[np.ndarray, " neuron"]
    off: Float[np.ndarray, " neuron"]
    on_off_index: Float[np.ndarray, " neuron"]
    fall: Float[np.ndarray, " neuron"]
    suppression_index: Float[np.ndarray, " neuron"]
    transience: Float[np.ndarray, " neuron"]
    latency: Float[np.ndarray, " neuron"]

    def to_dataframe(self) -> pd.DataFrame:
        """A row for each neuron with its numbers."""
        names = ["on", "off", "on_off_index", "fall", "suppression_index", "transience", "latency"]
        return self.neurons.assign(**{name: getattr(self, name) for name in names})


def flash_responses(
    model: Any,
    *,
    diameter: float = 200.0,
    contrast: float = 1.0,
    duration: float = 0.7,
    colour: Sequence[float] | None = None,
    centers: Float[np.ndarray, "neuron 2"] | None = None,
    session: str | None = None,
    neurons: int | Iterable[int] | None = None,
    device: str | None = None,
    batch_size: int = 16,
    seed: int = 0,
) -> FlashResponses:
    """Show a bright and a dark spot on each neuron's receptive field, for a while and for a single frame.

    The polarity is told from the onsets of both, and not from onset and offset of one, after which the response to the
    onset may last.

    Args:
        model: a twin, ensemble, baseline or truth.
        diameter: of the spots (µm).
        contrast: of the bright spot, whose negative the dark one has.
        duration: of a spot (s).
        colour: weight of each channel; all 1 if None.
        centers: place (y, x) of each neuron in pixels from the middle of the top left one; from `find_centers` if None.
        session: whose neurons; all sessions' if None.
        neurons: their numbers; all if None.
        device: where to run the model.
        batch_size: stimuli shown at once.
        seed: of the search for centres.

    Raises:
        UserError: if the centres do not fit, the duration is below three frames, or neuron or stimulus do not fit the
            model.
    """
    watching, screen = subject(model, session=session, neurons=neurons, device=device), Screen.of(model)
    if screen.frames(duration) < 3:
        raise UserError(f"spots of {duration:g} s are too short at {screen.rate:g} Hz: three frames at least")
    places = centers_or_found(watching, centers, seed=seed)

    def make(place: tuple[float, float]) -> list[Stimulus]:
        options: dict[str, Any] = {"diameter": diameter, "center": place, "before": BEFORE, "colour": colour}
        times = [(duration, 0.0), (1 / screen.rate, duration - 1 / screen.rate)]
        return [
            spot(screen, contrast=sign * contrast, duration=during, after=after, **options)
            for during, after in times
            for sign in (1, -1)
        ]

    shown = local_responses(watching, places, make, lambda one: one, batch_size=batch_size)
    onset = screen.frames(BEFORE)
    rates = shown[:, :2]
    after, pulse = np.split(shown[..., onset:] - grey_rates(watching)[:, None, None], 2, axis=1)
    on, off = after.max(axis=-1).clip(min=0).T
    best = after[np.arange(len(after)), (off > on).astype(int)]
    fall, rise = (-after.min(axis=(1, 2))).clip(min=0), np.maximum(on, off)
    return FlashResponses(
        neurons=watching.table().assign(y=places[:, 0], x=places[:, 1]),
        seconds=(np.arange(rates.shape[-1]) - onset) / screen.rate,
        rates=rates,
        on=on,
        off=off,
        on_off_index=relative_difference(on, off),
        fall=fall,
        suppression_index=relative_difference(fall, rise),
        transience=_transience(best),
        latency=_peak_bins(pulse[np.arange(len(pulse)), pulse.max(axis=-1).argmax(axis=1)]) / screen.rate,
    )


def _peak_bins(above: np.ndarray) -> np.ndarray:
    """Place of the peak of each course (neuron, time), in bins; NaN for one that does not rise."""
    return np.where(above.max(axis=1) > 1e-3, peak_place(above), np.nan)


def _transience(above: np.ndarray) -> np.ndarray:
    peak = above.max(axis=1)
    end = above[:, -1].clip(min=0)
    return 1 - np.divide(end, peak, out=np.full_like(peak, np.nan), where=peak > 1e-3)
