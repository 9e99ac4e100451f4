"""What receptive fields look like: size, surround, time course, polarity and colour."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from jaxtyping import Float
from scipy.optimize import curve_fit

from retina_nb.analyses.receptive_fields.fields import ReceptiveFields
from retina_nb.errors import UserError
from retina_nb.peaks import peak_place
from retina_nb.representations import one_line

_ENERGY = 0.95  # part of a field's energy that its rank holds
_PARAMETERS = 7  # of an elliptic Gaussian on a constant
_NEAR = 1.0  # pixels: blur of the weights with which the time course is read around the centre


@one_line
@dataclass(frozen=True)
class Shapes:
    """Properties of receptive fields, for each neuron. NaN where there is no field to describe.

    Under a full-field stimulus, of one pixel, a field is a time course: it has a polarity, a time to peak and colours,
    but no place and no size, which are NaN. Under one row or column of pixels it has a size along it only.

    Args:
        temporal: time course in the centre, of norm 1 and of the sign that it has there; the last lag is the present.
        spatial: the map that goes with it in each channel, of norm 1 and positive in the centre.
        separability: part of the field's energy in the product of one space and one time course; 1 is separable.
        rank: how many such products hold 95 % of the energy; noise raises it.
        polarity: 1 for ON, -1 for OFF: the sign of the time course at its peak.
        time_to_peak: from stimulus to peak of the time course (s), between bins by a parabola.
        biphasic: height of the opposite lobe relative to the peak.
        center: (y, x) of the Gaussian fit to the map, in pixels.
        sigma_um: its standard deviations, the larger first (µm; pixels if the size of a pixel is unknown); under one
            row of pixels that along it, and NaN.
        orientation: of the larger axis (degrees; 0 along the width, 90 along the height), from 0 to 180.
        surround: weight of the opposite sign relative to that of the centre in the map; noise raises it.
        colour: weight of each channel in the centre, of which the absolute values add up to 1.
        neurons: a row for each: ``session`` and ``neuron``.
    """

    temporal: Float[np.ndarray, "neuron lag"]
    spatial: Float[np.ndarray, "neuron channel height width"]
    separability: Float[np.ndarray, " neuron"]
    rank: Float[np.ndarray, " neuron"]
    polarity: Float[np.ndarray, " neuron"]
    time_to_peak: Float[np.ndarray, " neuron"]
    biphasic: Float[np.ndarray, " neuron"]
    center: Float[np.ndarray, "neuron 2"]
    sigma_um: Float[np.ndarray, "neuron 2"]
    orientation: Float[np.ndarray, " neuron"]
    surround: Float[np.ndarray, " neuron"]
    colour: Float[np.ndarray, "neuron channel"]
    neurons: pd.DataFrame

    @property
    def diameter_um(self) -> Float[np.ndarray, " neuron"]:
        """Diameter (µm) of the circle with the area of the ellipse at one standard deviation."""
        return 2 * np.sqrt(self.sigma_um.prod(axis=1))

    def to_dataframe(self) -> pd.DataFrame:
        """A row for each neuron, a column for each number."""
        numbers = (
            "separability",
            "rank",
            "polarity",
            "time_to_peak",
            "biphasic",
            "orientation",
            "surround",
            "diameter_um",
        )
        columns = {name: getattr(self, name) for name in numbers}
        columns |= {"y": self.center[:, 0], "x": self.center[:, 1]}
        columns |= {f"colour_{number}": weight for number, weight in enumerate(self.colour.T)}
        return self.neurons.assign(**columns)


def shapes(fields: ReceptiveFields) -> Shapes:
    """Describe receptive fields.

    Time course and map are those around the centre that `fields` has found: the course is read where the cell looks,
    and the map is the field's projection on it.

    Args:
        fields: of `receptive_fields`, `spike_triggered_averages` or `smooth_receptive_fields`.

    Raises:
        UserError: if there are less than three lags.
    """
    if fields.linear.shape[2] < 3:
        raise UserError(f"receptive fields of {fields.linear.shape[2]} lags have no time course: use 3 lags or more")
    parts = [_describe(one, place, fields) for one, place in zip(fields.linear, fields.centers, strict=True)]
    names = [name for name in Shapes.__dataclass_fields__ if name != "neurons"]
    return Shapes(**{name: np.stack([part[name] for part in parts]) for name in names}, neurons=fields.neurons)


def _describe(linear: np.ndarray, place: np.ndarray, fields: ReceptiveFields) -> dict[str, np.ndarray]:
    channel, lags, height, width = linear.shape
    full_field = height * width == 1
    if not (full_field or np.isfinite(place).all()) or not linear.any():
        numbers = ("separability", "rank", "polarity", "time_to_peak", "biphasic", "orientation", "surround")
        nothing = {name: np.asarray(np.nan) for name in numbers}
        nothing |= {"temporal": np.full(lags, np.nan), "spatial": np.full((channel, height, width), np.nan)}
        return nothing | {
            "center": np.full(2, np.nan),
            "sigma_um": np.full(2, np.nan),
            "colour": np.full(channel, np.nan),
        }
    near = np.ones((1, 1)) if full_field else _gaussian((height, width), place, _NEAR)
    courses = (linear * near).sum(axis=(2, 3))  # (channel, lag)
    lead = courses[np.abs(courses).max(axis=1).argmax()]
    temporal = lead / np.linalg.norm(lead)
    spatial = np.einsum("cthw,t->chw", linear, temporal)
    colour = (spatial * near).sum(axis=(1, 2))
    values = np.linalg.svd(linear.transpose(1, 0, 2, 3).reshape(lags, -1), compute_uv=False)
    held = (values**2).cumsum() / (values**2).sum()
    height_at_peak = temporal[np.abs(temporal).argmax()]
    peak = lags - 1 - peak_place(temporal * np.sign(height_at_peak))  # bins before the present
    # The map of all channels, each with the sign that it has in the centre.
    mixed = np.tensordot(colour / np.abs(colour).sum(), spatial, axes=1)
    center, sigma, orientation = _fit_gaussian(mixed, place)
    own = mixed.clip(min=0).sum()
    return {
        "temporal": temporal,
        "spatial": spatial / np.linalg.norm(spatial),
        "separability": held[0],
        "rank": np.asarray(1.0 + np.searchsorted(held, _ENERGY)),
        "polarity": np.sign(height_at_peak),
        "time_to_peak": np.asarray(peak / fields.rate),
        "biphasic": (-np.sign(height_at_peak) * temporal).max().clip(min=0) / np.abs(height_at_peak),
        "center": center,
        "sigma_um": sigma * (fields.pixel_um or 1.0),
        "orientation": orientation,
        "surround": np.asarray(-mixed.clip(max=0).sum() / own if own > 0 and not full_field else np.nan),
        "colour": colour * np.sign(colour[np.abs(colour).argmax()]) / np.abs(colour).sum(),
    }


def _gaussian(size: tuple[int, int], place: np.ndarray, sigma: float) -> np.ndarray:
    y, x = np.indices(size)
    weight = np.exp(-((y - place[0]) ** 2 + (x - place[1]) ** 2) / (2 * sigma**2))
    return weight / weight.sum()


def _fit_gaussian(image: np.ndarray, place: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Centre (y, x), standard deviations (pixels, the larger first) and orientation (degrees) of an elliptic Gaussian
    on a constant, fitted by least squares; NaN if it does not converge or there are too few pixels."""
    if 1 in image.shape:
        return _fit_row(image.ravel(), place.max(), along_width=image.shape[0] == 1)
    if image.size < _PARAMETERS:
        return np.full(2, np.nan), np.full(2, np.nan), np.asarray(np.nan)
    y, x = np.indices(image.shape).reshape(2, -1).astype(float)
    scale = np.abs(image).max()

    def model(_: np.ndarray, *parameters: float) -> np.ndarray:
        height, floor, at_y, at_x, log_a, log_b, angle = parameters
        along = np.cos(angle) * (x - at_x) - np.sin(angle) * (y - at_y)
        across = np.sin(angle) * (x - at_x) + np.cos(angle) * (y - at_y)
        return floor + height * np.exp(-0.5 * (along / np.exp(log_a)) ** 2 - 0.5 * (across / np.exp(log_b)) ** 2)

    start = [1.0, 0.0, *place, 0.4, 0.3, 0.3]
    limits = [
        (0, -1, place[0] - 3, place[1] - 3, -1.5, -1.5, -10),
        (5, 1, place[0] + 3, place[1] + 3, np.log(max(image.shape)), np.log(max(image.shape)), 10),
    ]
    try:
        found, _ = curve_fit(model, np.zeros(len(y)), (image / scale).ravel(), start, bounds=limits, max_nfev=400)
    except RuntimeError:
        return np.full(2, np.nan), np.full(2, np.nan), np.asarray(np.nan)
    sigma = np.exp(found[4:6])
    angle = np.rad2deg(found[6]) + (90 if sigma[1] > sigma[0] else 0)
    return found[2:4], np.sort(sigma)[::-1], np.asarray(angle % 180)


def _fit_row(
    row: Float[np.ndarray, " pixel"], place: float, *, along_width: bool
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """As `_fit_gaussian`, of one row or column of pixels, which does not tell the size across it."""
    nothing = np.full(2, np.nan)
    if len(row) < 4:
        return nothing, nothing, np.asarray(np.nan)

    def model(at: np.ndarray, height: float, floor: float, middle: float, log_sigma: float) -> np.ndarray:
        return floor + height * np.exp(-0.5 * ((at - middle) / np.exp(log_sigma)) ** 2)

    limits = [(0, -1, place - 3, -1.5), (5, 1, place + 3, np.log(len(row)))]
    start, at = [1.0, 0.0, place, 0.4], np.arange(len(row), dtype=float)
    try:
        found, _ = curve_fit(model, at, row / np.abs(row).max(), start, bounds=limits, max_nfev=400)
    except RuntimeError:
        return nothing, nothing, np.asarray(np.nan)
    center = [0.0, found[2]] if along_width else [found[2], 0.0]
    return np.array(center), np.array([np.exp(found[3]), np.nan]), np.asarray(0.0 if along_width else 90.0)
