"""Whether the cells of a type tile the retina."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from jaxtyping import Float, Int
from scipy.spatial import KDTree

from retina_nb.errors import UserError
from retina_nb.representations import one_line

Corners = tuple[tuple[float, float], tuple[float, float]]


@one_line
@dataclass(frozen=True)
class Mosaics:
    """How regularly the cells of each type lie; types with fewer than three cells are left out.

    Args:
        types: their names.
        cells: how many there are.
        density: cells per area of the given unit, e.g. µm².
        spacing: mean distance to the nearest cell of the type.
        regularity: that mean over its standard deviation, the regularity index (Wässle & Riemann 1978, Proc. R. Soc.
            B 200:441): about 1.9 for random places, above 3 for most mosaics.
        random: mean regularity of as many cells at random places in the same area.
        p_value: share of random placements that are as regular or more so.
        coverage: receptive fields that cover a point on average; NaN if their size was not given.
    """

    types: list[str]
    cells: Int[np.ndarray, " type"]
    density: Float[np.ndarray, " type"]
    spacing: Float[np.ndarray, " type"]
    regularity: Float[np.ndarray, " type"]
    random: Float[np.ndarray, " type"]
    p_value: Float[np.ndarray, " type"]
    coverage: Float[np.ndarray, " type"]

    def to_dataframe(self) -> pd.DataFrame:
        """A row for each type, whose name is the index."""
        names = ("cells", "density", "spacing", "regularity", "random", "p_value", "coverage")
        return pd.DataFrame({name: getattr(self, name) for name in names}, index=pd.Index(self.types, name="type"))


def mosaics(
    places: Float[np.ndarray, "neuron 2"],
    types: Sequence | np.ndarray | pd.Series,
    *,
    area: Corners,
    radius: Mapping | None = None,
    draws: int = 500,
    seed: int = 0,
) -> Mosaics:
    """Regularity and coverage of the mosaic of every type that has three cells or more.

    Cells that were not recorded leave holes, which make a mosaic look less regular, never more. Edges lengthen
    distances to the nearest cell; they do so for the random places, too.

    Args:
        places: (y, x) of each neuron, in µm or another unit of length.
        types: the type of each neuron.
        area: lower and upper corner (y, x) of the rectangle in which cells could be recorded, in the same unit.
        radius: of the receptive field of each type, in the same unit.
        draws: random placements that the regularity is compared with.
        seed: fixes them.

    Raises:
        UserError: if numbers of places and types differ, a place is outside of the area, or no type has three cells.
    """
    places, types = np.asarray(places, dtype=float), np.asarray(types)
    low, high = np.asarray(area, dtype=float)
    if len(places) != len(types):
        raise UserError(f"every neuron needs a place and a type: there are {len(places)} places, {len(types)} types")
    if not ((places >= low) & (places <= high)).all():
        raise UserError(f"every place must be inside of the area, from {low.tolist()} to {high.tolist()}")
    names, counts = np.unique(types, return_counts=True)
    if not (counts >= 3).any():
        raise UserError("a mosaic needs three cells or more, and no type has as many")
    random, size = np.random.default_rng(seed), high - low
    names, counts = names[counts >= 3], counts[counts >= 3]
    rows = []
    for name, count in zip(names, counts, strict=True):
        spacing, regularity = _regularity(places[types == name][None])
        _, null = _regularity(random.uniform(low, high, (draws, count, 2)))
        density = count / size.prod()
        covered = density * np.pi * radius[name] ** 2 if radius and name in radius else np.nan
        exceeded = (1 + (null >= regularity).sum()) / (draws + 1)
        rows.append((density, spacing[0], regularity[0], null.mean(), exceeded, covered))
    return Mosaics([str(name) for name in names], counts, *np.array(rows, dtype=float).T)


def nearest(places: Float[np.ndarray, "neuron 2"]) -> Float[np.ndarray, " neuron"]:
    """Distance of each place to the nearest other one."""
    return KDTree(places).query(places, k=2)[0][:, 1]


def _regularity(sets: Float[np.ndarray, "draw neuron 2"]) -> tuple[np.ndarray, np.ndarray]:
    """Mean distance to the nearest neighbour and regularity index of each set of places."""
    distances = np.stack([nearest(one) for one in sets])
    spread = distances.std(axis=1, ddof=1)
    # Equal distances but for rounding: as regular as can be.
    regular = spread <= 1e-9 * distances.mean(axis=1)
    return distances.mean(axis=1), np.where(regular, np.inf, distances.mean(axis=1) / np.where(regular, 1, spread))
