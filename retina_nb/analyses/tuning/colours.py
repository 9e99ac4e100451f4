"""Which colours neurons prefer, and whether they oppose them."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Float

from retina_nb.analyses.presentations import grey_rates, local_responses
from retina_nb.analyses.receptive_fields.centers import centers_or_found
from retina_nb.analyses.subjects import subject
from retina_nb.analyses.tuning.measures import relative_difference, strongest
from retina_nb.analyses.tuning.spots import BEFORE
from retina_nb.errors import UserError
from retina_nb.representations import one_line
from retina_nb.stimuli import Screen, Stimulus, annulus, flash, spot

FIELDS = ("center", "surround", "full field")


@one_line
@dataclass(frozen=True)
class ColourTuning:
    """Responses to steps of single colour channels.

    Args:
        neurons: a row for each neuron: session, neuron, and the place ``y``, ``x`` of its spots (pixels).
        channels: names of the channels.
        on: the largest rate above grey (events per second) after a step of one channel to bright, in each of `FIELDS`.
        off: the same to dark.
        preference: for the first two channels, (R1 - R2) / (R1 + R2), in which R is the sum of `on` and `off` in the
            center: 1 if only the first drives the neuron, -1 if only the second.
        opponency: in each field, of the channels to which the neuron is ON and those to which it is OFF, the weaker
            on - off, as a part of the largest on + off of a channel: 0 unless some channel drives it with the opposite
            sign, 1 if two drive it equally and oppositely.
    """

    neurons: pd.DataFrame
    channels: list[str]
    on: Float[np.ndarray, "neuron field channel"]
    off: Float[np.ndarray, "neuron field channel"]
    preference: Float[np.ndarray, " neuron"]
    opponency: Float[np.ndarray, "neuron field"]

    @property
    def polarity(self) -> Float[np.ndarray, "neuron field channel"]:
        """(on - off) / (on + off)."""
        return relative_difference(self.on, self.off)

    def to_dataframe(self) -> pd.DataFrame:
        """A row for each neuron: ``preference``, ``opponency_FIELD``, ``polarity_FIELD_CHANNEL``."""
        made = self.neurons.assign(preference=self.preference)
        for at, field in enumerate(field.replace(" ", "_") for field in FIELDS):
            made[f"opponency_{field}"] = self.opponency[:, at]
            for number, channel in enumerate(self.channels):
                made[f"polarity_{field}_{channel}"] = self.polarity[:, at, number]
        return made


def colour_tuning(
    model: Any,
    *,
    diameter: float = 200.0,
    surround: tuple[float, float] = (300.0, 1000.0),
    contrast: float = 1.0,
    duration: float = 0.5,
    window: float = 0.1,
    centers: Float[np.ndarray, "neuron 2"] | None = None,
    session: str | None = None,
    neurons: int | Iterable[int] | None = None,
    device: str | None = None,
    batch_size: int = 16,
    seed: int = 0,
) -> ColourTuning:
    """Steps of each channel alone, to bright and to dark, in the centre, the surround and the full field.

    Args:
        model: a twin, ensemble, baseline or truth, of two channels or more.
        diameter: of the spot on the centre (µm).
        surround: inner and outer diameter of the annulus around it (µm).
        contrast: of the steps.
        duration: of a step (s).
        window: over which the rate is averaged (s).
        centers: place (y, x) of each neuron in pixels from the middle of the top left one; from `find_centers` if None.
        session: whose neurons; all sessions' if None.
        neurons: their numbers; all if None.
        device: where to run the model.
        batch_size: stimuli shown at once.
        seed: of the search for centres.

    Raises:
        UserError: if the stimuli have a single channel, the centres do not fit, or neuron or stimulus do not fit the
            model.
    """
    watching, screen = subject(model, session=session, neurons=neurons, device=device), Screen.of(model)
    if screen.channels < 2:
        raise UserError("colour tuning needs a model whose stimuli have two channels or more; this one's have one")
    places = centers_or_found(watching, centers, seed=seed)

    def make(place: tuple[float, float]) -> list[Stimulus]:
        inner, outer = surround
        made = []
        for channel in np.eye(screen.channels).tolist():
            for sign in (1, -1):
                options: dict[str, Any] = {"contrast": sign * contrast, "colour": channel, "duration": duration}
                options |= {"before": BEFORE, "after": 0.0}
                made.append(spot(screen, diameter=diameter, center=place, **options))
                made.append(annulus(screen, inner=inner, outer=outer, center=place, **options))
                made.append(flash(screen, **options))
        return made

    measure = strongest(max(screen.frames(window), 1))
    rates = local_responses(watching, places, make, measure, batch_size=batch_size) - grey_rates(watching)[:, None]
    rates = rates.reshape(len(rates), screen.channels, 2, len(FIELDS)).clip(min=0)
    on, off = rates.transpose(2, 0, 3, 1)  # (neuron, field, channel)
    strength = (on + off)[:, FIELDS.index("center")]
    return ColourTuning(
        neurons=watching.table().assign(y=places[:, 0], x=places[:, 1]),
        channels=watching.channels,
        on=on,
        off=off,
        preference=relative_difference(strength[:, 0], strength[:, 1]),
        opponency=opponency(on, off),
    )


def opponency(
    on: Float[np.ndarray, "*shape channel"], off: Float[np.ndarray, "*shape channel"]
) -> Float[np.ndarray, "*shape"]:
    """The weaker of the two opposite responses on - off over channels, as a part of the largest on + off."""
    signed, strongest_channel = on - off, (on + off).max(axis=-1)
    weaker = np.minimum(signed.max(axis=-1), -signed.min(axis=-1)).clip(min=0)
    return np.divide(weaker, strongest_channel, out=np.zeros_like(weaker), where=strongest_channel > 1e-3)
