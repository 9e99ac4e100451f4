"""The cell types of the simulated retina and where their cells lie."""

from dataclasses import dataclass

import numpy as np
import pandas as pd


@dataclass(frozen=True)
class CellType:
    """How cells of one type compute, in the order of the computation.

    Args:
        polarity: 1 for ON, -1 for OFF.
        center_um: standard deviation of the receptive field centre (µm).
        latency: time to peak of the temporal filter (s).
        transience: weight of the filter's second, opposite lobe.
        colour: weight of the green and the UV channel in the centre.
        surround: weight of the surround: three times as wide as the centre, or twice as wide as each subunit.
        subunit_um: standard deviation of the rectified subunits (µm); None for a linear receptive field.
        on_off: whether subunits respond to both polarities.
        direction: preferred direction of motion (degrees; 0 is right, 90 is up); None if not selective.
        gain_control: how much the recent drive divides the response.
        threshold: output threshold in standard deviations of the drive.
        suppressed: whether the drive lowers a maintained rate.
        surround_colour: weights of the channels in the surround, those of the centre if None.
    """

    polarity: int
    center_um: float
    latency: float
    transience: float
    colour: tuple[float, float] = (0.6, 0.4)
    surround: float = 0.5
    subunit_um: float | None = None
    on_off: bool = False
    direction: float | None = None
    gain_control: float = 0.0
    threshold: float = 0.5
    suppressed: bool = False
    surround_colour: tuple[float, float] | None = None

    @property
    def nonlinear(self) -> bool:
        """Whether more than an output nonlinearity stands between stimulus and rate."""
        return self.subunit_um is not None or self.gain_control > 0


def _direction_selective(direction: float) -> CellType:
    return CellType(1, 75, 0.100, 0.6, subunit_um=40, on_off=True, direction=direction, threshold=0.7, surround=0.3)


CELL_TYPES = {
    "ON transient": CellType(1, 65, 0.085, 0.8, subunit_um=40, surround=0.9, gain_control=0.7),
    "OFF transient": CellType(-1, 65, 0.080, 0.8, subunit_um=40, surround=0.9, gain_control=0.7),
    "ON sustained": CellType(1, 75, 0.110, 0.3),
    "OFF sustained": CellType(-1, 75, 0.105, 0.3),
    "ON-OFF DS right": _direction_selective(0),
    "ON-OFF DS up": _direction_selective(90),
    "ON-OFF DS left": _direction_selective(180),
    "ON-OFF DS down": _direction_selective(270),
    "ON alpha": CellType(1, 110, 0.090, 0.4, subunit_um=50, surround=0.9),
    "OFF alpha": CellType(-1, 110, 0.075, 0.7, subunit_um=50, surround=0.9, gain_control=1.0),
    "colour opponent": CellType(1, 80, 0.115, 0.4, colour=(1.0, 0.0), surround=0.8, surround_colour=(0.0, 1.0)),
    "suppressed by contrast": CellType(1, 100, 0.100, 0.5, subunit_um=50, on_off=True, suppressed=True, threshold=-0.8),
}


def place_cells(
    count: int, size: tuple[int, int], pixel_um: float, margin: float, rng: np.random.Generator
) -> pd.DataFrame:
    """`count` cells drawn evenly from the mosaics of all types, a row for each.

    Every type tiles the retina with a jittered hexagonal mosaic, spaced by four standard deviations of its
    centre; recorded are cells at least `margin` pixels inside the screen.

    Returns:
        DataFrame with columns ``type``, ``y``, ``x`` (pixels from the top left pixel's middle) and the truth
        that analyses look for: ``polarity``, ``latency`` (s), ``direction`` (degrees, NaN if not selective),
        ``nonlinear``.
    """
    pools = {name: mosaic(4 * kind.center_um / pixel_um, size, margin, rng) for name, kind in CELL_TYPES.items()}
    rows = []
    for index in range(count):
        name = list(CELL_TYPES)[index % len(CELL_TYPES)]
        if not len(pools[name]):  # more cells than one mosaic has: another piece of retina
            pools[name] = mosaic(4 * CELL_TYPES[name].center_um / pixel_um, size, margin, rng)
        (y, x), pools[name] = pools[name][0], pools[name][1:]
        kind = CELL_TYPES[name]
        direction = np.nan if kind.direction is None else kind.direction
        polarity = 0 if kind.on_off else kind.polarity
        rows.append((name, y, x, polarity, kind.latency, direction, kind.nonlinear))
    return pd.DataFrame(rows, columns=["type", "y", "x", "polarity", "latency", "direction", "nonlinear"])


def mosaic(spacing: float, size: tuple[int, int], margin: float, rng: np.random.Generator) -> np.ndarray:
    """(cell, 2): places (y, x) of a jittered hexagonal mosaic inside the margin, shuffled, at least one."""
    row, column = np.mgrid[-20:21, -20:21]
    y = row * spacing * np.sqrt(3) / 2
    x = (column + row % 2 / 2) * spacing
    places = np.stack([y.ravel(), x.ravel()], axis=1)
    low, high = np.full(2, margin), np.array(size) - 1 - margin
    while True:
        shifted = places + rng.uniform(low, high) + 0.1 * spacing * rng.standard_normal(places.shape)
        inside = shifted[((shifted >= low) & (shifted <= high)).all(axis=1)]
        if len(inside):
            return rng.permutation(inside)
