"""A tuning curve of one dimension, and what is read from it."""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import pandas as pd
from jaxtyping import Bool, Float
from scipy.optimize import curve_fit

from retina_nb.errors import UserError
from retina_nb.representations import one_line


@one_line
@dataclass(frozen=True)
class TuningCurve:
    """How strongly neurons respond to each of some values.

    Args:
        neurons: a row for each neuron: session, neuron, and what was chosen for it, as the place of its spots.
        variable: what varies, e.g. ``"speed"``.
        unit: of the values.
        values: rising and positive.
        responses: events per second above the rate at grey.
    """

    neurons: pd.DataFrame
    variable: str
    unit: str
    values: Float[np.ndarray, " value"]
    responses: Float[np.ndarray, "neuron value"]

    @property
    def peak(self) -> Float[np.ndarray, " neuron"]:
        """The strongest response (events per second)."""
        return self.responses.max(axis=1)

    @property
    def responsive(self) -> Bool[np.ndarray, " neuron"]:
        """Whether the neuron responds to any of the values by more than a thousandth of an event per second."""
        return self.peak > 1e-3

    @property
    def preferred(self) -> Float[np.ndarray, " neuron"]:
        """The value of the strongest response, refined by a parabola through it and its neighbours, in octaves.

        NaN for neurons that do not respond.
        """
        octaves, best = np.log2(self.values), self.responses.argmax(axis=1)
        found = octaves[best]
        inner = np.flatnonzero((best > 0) & (best < len(octaves) - 1) & self.responsive)
        around = best[inner, None] + np.array([-1, 0, 1])
        (left, middle, right), at = self.responses[inner[:, None], around].T, octaves[around].T
        # The vertex of the parabola through three points that need not be evenly spaced.
        rise, fall = (middle - left) / (at[1] - at[0]), (right - middle) / (at[2] - at[1])
        bend = (rise - fall) / (at[2] - at[0])
        curved = bend > 1e-9
        vertex = (at[0] + at[1]) / 2 + np.divide(rise, 2 * bend, out=np.zeros_like(rise), where=curved)
        found[inner] = np.where(curved, np.clip(vertex, at[0], at[2]), found[inner])
        return np.where(self.responsive, 2**found, np.nan)

    @property
    def band(self) -> Float[np.ndarray, "neuron 2"]:
        """The values around the strongest response at which the response has fallen to half of it.

        Interpolated in octaves; the first or last value shown where the response does not fall so far, and NaN for
        neurons that do not respond.
        """
        return np.stack([_half_crossings(np.log2(self.values), one) for one in self.responses])

    @property
    def bandwidth(self) -> Float[np.ndarray, " neuron"]:
        """Width of the band (octaves): a lower bound where it ends with the values shown."""
        low, high = self.band.T
        return np.log2(high / low)

    @property
    def suppression(self) -> Float[np.ndarray, " neuron"]:
        """How much weaker the response to the largest value is than the strongest, as a part of it.

        Over the size of spots, this is the surround suppression index: 0 if the largest is best, 1 if it does nothing,
        above 1 if it silences. NaN for neurons that do not respond.
        """
        last = self.responses[:, -1]
        return 1 - np.divide(last, self.peak, out=np.full_like(last, np.nan), where=self.responsive)

    def to_dataframe(self) -> pd.DataFrame:
        """A row for each neuron: what was chosen for it, ``peak``, ``preferred``, ``low`` and ``high`` end of the band,
        ``bandwidth`` (octaves) and ``suppression``."""
        low, high = self.band.T
        return self.neurons.assign(
            peak=self.peak,
            preferred=self.preferred,
            low=low,
            high=high,
            bandwidth=self.bandwidth,
            suppression=self.suppression,
        )


def rising(values: object, name: str) -> Float[np.ndarray, " value"]:
    """The values of a curve, which must rise and be positive.

    Raises:
        UserError: if they do not, or there are fewer than two.
    """
    made = np.asarray(values, dtype=float)
    if made.ndim != 1 or len(made) < 2 or not (made > 0).all() or not (np.diff(made) > 0).all():
        raise UserError(f"{name} must be two or more positive numbers that rise, not {values}")
    return made


def fit_naka_rushton(curve: TuningCurve) -> pd.DataFrame:
    """Fit ``peak * c**n / (c**n + c50**n)`` to the responses to contrasts c (Naka & Rushton 1966).

    Least squares with n up to 8 and c50 up to four times the largest contrast: there it lies if the curve is straight.

    Args:
        curve: responses to three contrasts or more.

    Returns:
        DataFrame with the columns of ``curve.neurons`` and ``peak`` (events per second), ``c50``, ``exponent``;
        ``r2``, the part of the variance over contrasts that the fit explains; ``gain``, the steepest slope of the fit
        within the contrasts shown (events per second for a unit of contrast); and ``growth``, its exponent at the
        largest contrast: 1 for a response that doubles with contrast, 0 for one that is saturated. NaN for neurons that
        do not respond.

    Raises:
        UserError: if there are fewer than three contrasts.
    """
    if len(curve.values) < 3:
        raise UserError(f"a Naka-Rushton curve needs the responses to three contrasts or more, not {len(curve.values)}")
    rows = [
        _fit_contrast(curve.values, one) if responds else [np.nan] * len(_FITTED)
        for one, responds in zip(curve.responses, curve.responsive, strict=True)
    ]
    fitted = pd.DataFrame(rows, columns=_FITTED, index=curve.neurons.index)
    return pd.concat([curve.neurons, fitted], axis=1)


_FITTED = ["peak", "c50", "exponent", "r2", "gain", "growth"]


def naka_rushton(
    contrast: Float[np.ndarray, " value"], peak: float, c50: float, exponent: float
) -> Float[np.ndarray, " value"]:
    """Response to contrasts; half of `peak` at `c50`."""
    return peak / (1 + (c50 / contrast) ** exponent)


def _fit_contrast(contrast: np.ndarray, response: np.ndarray) -> list[float]:
    top, last = response.max(), contrast[-1]
    start = (1.5 * top, contrast[np.searchsorted(response.cumsum(), response.sum() / 2)], 2.0)
    bounds = ([0, contrast[0] / 4, 0.1], [20 * top, 4 * last, 8])
    fitted, _ = curve_fit(naka_rushton, contrast, response, p0=start, bounds=bounds, max_nfev=5000)
    residual = response - naka_rushton(contrast, *fitted)
    r2 = 1 - (residual**2).sum() / max(((response - response.mean()) ** 2).sum(), 1e-12)
    fine = np.linspace(contrast[0], last, 200)
    gain = np.gradient(naka_rushton(fine, *fitted), fine).max()
    growth = fitted[2] * (1 - naka_rushton(contrast, *fitted)[-1] / fitted[0])
    return [*fitted, r2, gain, growth]


def _half_crossings(octaves: np.ndarray, response: np.ndarray) -> np.ndarray:
    best = response.argmax()
    if response[best] <= 1e-3:
        return np.full(2, np.nan)
    half = response[best] / 2

    def crossing(steps: range) -> float:
        for near, far in pairwise(steps):
            if response[far] < half:
                part = (response[near] - half) / (response[near] - response[far])
                return octaves[near] + part * (octaves[far] - octaves[near])
        return octaves[steps[-1]]

    return 2 ** np.array([crossing(range(best, -1, -1)), crossing(range(best, len(octaves)))])
