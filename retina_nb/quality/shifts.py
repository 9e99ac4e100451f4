"""By how many bins one set of traces comes later than another, with confidence intervals."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int64, Real

from retina_nb.peaks import peak_place
from retina_nb.representations import one_line

LEAST = 0.6  # bins

_BLOCKS = 20  # stretches of time that are resampled
_SAMPLES = 200
_CLEAR = 3.0  # standard errors by which the correlation at the shift must exceed 0
_SMALLEST = 0.02  # correlation
_MOST_VALUES = 2**24  # numbers in memory together


@one_line
@dataclass(frozen=True)
class Shift:
    """By how many bins responses come later than predicted.

    Args:
        shifts: that were tried (bins).
        correlation: at each of them, the mean over neurons, weighted by the largest of each.
        bins: the shift at which it is largest, interpolated; NaN if no correlation stands out.
        low, high: its confidence interval, by bootstrap over stretches of time.
    """

    shifts: Int64[np.ndarray, " shift"]
    correlation: Float[np.ndarray, " shift"]
    bins: float
    low: float
    high: float

    @property
    def found(self) -> bool:
        """Whether there is a shift, of about one bin at least. (Responses to other stimuli differ by half a bin.)"""
        return abs(self.bins) > LEAST and (self.low > LEAST / 2 or self.high < -LEAST / 2)


def find_shift(
    prediction: Real[np.ndarray, "bin neuron"],
    responses: Real[np.ndarray, "time neuron"],
    bins: Int64[np.ndarray, " bin"],
    reach: int,
    *,
    level: float,
    seed: int,
) -> Shift:
    """Find the shift at which responses correlate best with a prediction.

    Args:
        prediction: of the responses at `bins`, in any units.
        responses: at all times.
        bins: ascending; responses `reach` bins before and after each must belong to it.
        reach: the largest shift that is tried.
        level: of the confidence interval.
        seed: of the bootstrap.
    """
    shifts, total = np.arange(-reach, reach + 1), 0.0
    products = np.zeros((len(bins), len(shifts)))
    step = max(1, _MOST_VALUES // (len(bins) * len(shifts)))
    for start in range(0, prediction.shape[1], step):
        some = slice(start, start + step)
        expected = _standard(prediction[:, some])
        shifted = np.stack([expected * _standard(responses[bins + shift, some]) for shift in shifts], axis=1)
        # Neurons that are predicted well tell most. (A one-bin shift is found with a dozen cells in half a minute; if
        # all count alike, one of ten is missed.)
        weights = shifted.mean(axis=0).max(axis=0).clip(min=0)
        products += shifted @ weights
        total += weights.sum()
    products /= max(total, 1e-12)
    blocks = np.array([part.mean(axis=0) for part in np.array_split(products, min(_BLOCKS, len(bins)))])
    drawn = np.random.default_rng(seed).integers(len(blocks), size=(_SAMPLES, len(blocks)))
    samples = blocks[drawn].mean(axis=1)  # (sample, shift)
    curve = products.mean(axis=0)
    top = curve.argmax()
    if not curve[top] > max(_SMALLEST, _CLEAR * samples[:, top].std()):
        return Shift(shifts, curve, np.nan, np.nan, np.nan)
    low, high = np.quantile(peak_place(samples), [(1 - level) / 2, (1 + level) / 2]) - reach
    return Shift(shifts, curve, float(peak_place(curve)) - reach, float(low), float(high))


def _standard(traces: np.ndarray) -> np.ndarray:
    """Mean 0 and variance 1 over time; 0 if a trace does not vary."""
    centred = traces - traces.mean(axis=0, dtype=np.float64)
    return centred / np.where((std := centred.std(axis=0)) > 1e-12, std, np.inf)
