"""What every estimate of receptive fields gives."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from jaxtyping import Float
from scipy.ndimage import gaussian_filter, label

from retina_nb.errors import UserError
from retina_nb.representations import one_line

Linear = Float[np.ndarray, "neuron channel lag height width"]


@one_line
@dataclass(frozen=True)
class ReceptiveFields:
    """Receptive fields of some neurons.

    Args:
        linear: mean gradient of the response, or spike-triggered average; the last lag is the present.
        sensitivity: root mean square of the same over stimuli, channels and lags: where the neuron looks, whatever
            polarities it responds to.
        centers: place (y, x) in pixels from the middle of the top left pixel: the centroid of the sensitivity's peak
            above half of its height; NaN where it is flat.
        rate: bins per second (Hz).
        pixel_um: side of a pixel (µm); None if unknown.
        neurons: a row for each: ``session`` and ``neuron``, its number there.
    """

    linear: Linear
    sensitivity: Float[np.ndarray, "neuron height width"]
    centers: Float[np.ndarray, "neuron 2"]
    rate: float
    pixel_um: float | None
    neurons: pd.DataFrame

    def to_dataframe(self) -> pd.DataFrame:
        """A row for each neuron with its place, ``y`` and ``x`` (pixels)."""
        return self.neurons.assign(y=self.centers[:, 0], x=self.centers[:, 1])


def make_fields(
    linear: Linear,
    sensitivity: Float[np.ndarray, "neuron height width"],
    *,
    rate: float,
    pixel_um: float | None,
    neurons: pd.DataFrame,
) -> ReceptiveFields:
    """Fields with their centres."""
    known = pixel_um if pixel_um is not None and np.isfinite(pixel_um) else None
    centers = np.stack([center(one) for one in sensitivity])
    return ReceptiveFields(linear, sensitivity, centers, rate, known, neurons)


def center(sensitivity: Float[np.ndarray, "height width"]) -> Float[np.ndarray, " 2"]:
    """(y, x) of the centroid of the region around the peak of the smoothed map that exceeds half its height."""
    smooth = gaussian_filter(sensitivity, 0.7)
    smooth = smooth - np.median(smooth)
    peak = np.unravel_index(smooth.argmax(), smooth.shape)
    regions, _ = label(smooth > smooth[peak] / 2)
    weight = np.where(regions == regions[peak], smooth, 0)
    if weight.sum() <= 0:  # a flat map has no peak
        return np.full(2, np.nan)
    grid = np.indices(sensitivity.shape)
    return (grid * weight).sum(axis=(1, 2)) / weight.sum()


def cosines(
    fields: Float[np.ndarray, "_ _ _ _ _"], others: Float[np.ndarray, "_ _ _ _ _"]
) -> Float[np.ndarray, " neuron"]:
    """Cosine of each neuron's field with another of it, over the lags up to the present that both have.

    A field that is zero gives 0.

    Raises:
        UserError: if neurons, channels or pixels are not the same.
    """
    if fields.shape[:2] + fields.shape[3:] != others.shape[:2] + others.shape[3:]:
        raise UserError(
            f"receptive fields of {fields.shape} and {others.shape} (neuron, channel, lag, height, width) differ in "
            "more than lags: compare the same neurons on the same screen"
        )
    lags = min(fields.shape[2], others.shape[2])
    one, other = (part[:, :, -lags:].reshape(len(part), -1) for part in (fields, others))
    norms = np.linalg.norm(one, axis=1) * np.linalg.norm(other, axis=1)
    return (one * other).sum(axis=1) / np.where(norms > 0, norms, 1)
