"""Features of the responses to the chirp by which mouse ganglion cells are told apart."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Float

from retina_nb.analyses.subjects import subject
from retina_nb.analyses.tuning.curves import TuningCurve
from retina_nb.analyses.tuning.measures import relative_difference
from retina_nb.representations import one_line
from retina_nb.stimuli import Screen, chirp


@one_line
@dataclass(frozen=True)
class ChirpResponses:
    """Responses to the chirp, and what is read from them.

    Args:
        neurons: a row for each neuron: session and neuron.
        seconds: time of each bin (s).
        stimulus: contrast of the screen in each channel.
        events: timing table of the stimulus.
        rates: events per second.
        on: how far the rate rises after the step from dark to bright above its mean in the second before.
        off: the same after the step back.
        on_off_index: (on - off) / (on + off); 0 if there is no response.
        transience: 1 - the mean rise in the last second after the step with the larger response, as a part of the
            largest; NaN if there is none.
        frequency: half of the range of rates in each second of the sweep of frequency, over its mean frequency.
        contrast: half of the range of rates in each cycle of the sweep of contrast, over its mean contrast.
    """

    neurons: pd.DataFrame
    seconds: Float[np.ndarray, " time"]
    stimulus: Float[np.ndarray, "channel time"]
    events: pd.DataFrame
    rates: Float[np.ndarray, "neuron time"]
    on: Float[np.ndarray, " neuron"]
    off: Float[np.ndarray, " neuron"]
    on_off_index: Float[np.ndarray, " neuron"]
    transience: Float[np.ndarray, " neuron"]
    frequency: TuningCurve
    contrast: TuningCurve

    def to_dataframe(self) -> pd.DataFrame:
        """A row for each neuron, also with the preferred ``frequency`` (Hz), the ``cutoff`` above it at which half of
        the response is left, and the ``half_contrast`` with half of the largest response."""
        return self.neurons.assign(
            on=self.on,
            off=self.off,
            on_off_index=self.on_off_index,
            transience=self.transience,
            frequency=self.frequency.preferred,
            cutoff=self.frequency.band[:, 1],
            half_contrast=self.contrast.band[:, 0],
        )


def chirp_responses(
    model: Any,
    *,
    contrast: float = 1.0,
    colour: Sequence[float] | None = None,
    delay: float = 0.1,
    session: str | None = None,
    neurons: int | Iterable[int] | None = None,
    device: str | None = None,
) -> ChirpResponses:
    """Show the full-field chirp of Baden et al. 2016 (Nature 529): steps, sweep of frequency, sweep of contrast; 33 s.

    Args:
        model: a twin, ensemble, baseline or truth.
        contrast: amplitude of all parts.
        colour: weight of each channel; all 1 if None.
        delay: from stimulus to response (s), by which seconds and cycles of the sweeps are shifted.
        session: whose neurons; all sessions' if None.
        neurons: their numbers; all if None.
        device: where to run the model.

    Raises:
        UserError: if the model is too slow for 8 Hz, or neuron or stimulus do not fit it.
    """
    watching, screen = subject(model, session=session, neurons=neurons, device=device), Screen.of(model)
    shown = chirp(screen, contrast=contrast, colour=colour)
    rates = watching.show(shown.frames[None])[0].T * watching.rate
    events = shown.events.set_index("event")
    bright, dark = (events.loc[[name], "start"].to_numpy() for name in ("bright", "dark"))
    on, on_lasts = _step(rates, int(bright[0]), screen.rate)
    off, off_lasts = _step(rates, int(dark[dark > bright[0]][0]), screen.rate)
    top, lasts = np.maximum(on, off), np.where(off > on, off_lasts, on_lasts)

    def curve(name: str, variable: str, unit: str, seconds: float, scale: float) -> TuningCurve:
        start = events.loc[name, "start"] / screen.rate + delay
        middles = np.arange(seconds / 2, 8, seconds)  # both sweeps last for 8 s
        made = [_half_range(rates, screen.frames(start + one), screen.frames(seconds)) for one in middles]
        return TuningCurve(watching.table(), variable, unit, scale * middles, np.stack(made, axis=1))

    return ChirpResponses(
        neurons=watching.table(),
        seconds=np.arange(rates.shape[1]) / screen.rate,
        stimulus=shown.frames[:, :, 0, 0],
        events=shown.events,
        rates=rates,
        on=on,
        off=off,
        on_off_index=relative_difference(on, off),
        transience=1 - np.divide(lasts, top, out=np.full_like(top, np.nan), where=top > 1e-3),
        frequency=curve("frequency", "frequency", "Hz", 1.0, 1.0),
        contrast=curve("contrast", "contrast", "", 0.5, contrast / 8),
    )


def _step(rates: np.ndarray, start: int, rate: float) -> tuple[np.ndarray, np.ndarray]:
    """Largest rise of each neuron's rate in the 3 s after a step, and the mean rise in the last of them, at least 0."""
    second = round(rate)
    rise = rates[:, start : start + 3 * second] - rates[:, start - second : start].mean(axis=1, keepdims=True)
    return rise.max(axis=1).clip(min=0), rise[:, -second:].mean(axis=1).clip(min=0)


def _half_range(rates: np.ndarray, middle: int, width: int) -> np.ndarray:
    part = rates[:, middle - width // 2 : middle - width // 2 + width]
    return np.ptp(part, axis=1) / 2
