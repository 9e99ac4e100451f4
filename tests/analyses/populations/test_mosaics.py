"""Regular and random places."""

import numpy as np
import pytest

from retina_nb import UserError
from retina_nb.analyses.populations import mosaics
from retina_nb.loaders.simulated.cells import mosaic

AREA = ((225.0, 225.0), (2125.0, 2725.0))  # µm: 48 x 60 pixels of 50 µm less a margin


def places(kind, seed=0):
    random = np.random.default_rng(seed)
    if kind == "mosaic":
        return 50 * mosaic(6, (48, 60), 4.5, random)
    return random.uniform(*AREA, (60, 2))


def test_mosaics_are_regular_and_random_places_are_not():
    both = np.concatenate([places("mosaic"), places("random")])
    types = ["mosaic"] * len(places("mosaic")) + ["random"] * 60
    found = mosaics(both, types, area=AREA, radius={"mosaic": 150}).to_dataframe()
    regular, random = found.loc["mosaic"], found.loc["random"]
    assert regular.p_value < 0.01
    assert regular.regularity > 3 * regular.random
    assert random.p_value > 0.05
    assert random.random == pytest.approx(1.9, abs=0.2)
    assert 240 < regular.spacing < 300  # µm: jitter brings the nearest closer
    assert found["cells"].tolist() == [len(places("mosaic")), 60]


def test_coverage_is_density_times_area():
    found = mosaics(places("mosaic"), [1] * len(places("mosaic")), area=AREA, radius={1: 150})
    assert found.coverage[0] == pytest.approx(found.cells[0] / (1900 * 2500) * np.pi * 150**2)
    # A hexagonal mosaic spaced by twice the radius covers 0.907 of the plane.
    assert found.coverage[0] == pytest.approx(0.907, rel=0.1)


def test_p_values_of_random_places_are_even():
    found = [mosaics(places("random", seed), ["a"] * 60, area=AREA, draws=99).p_value for seed in range(40)]
    assert 0.3 < np.mean(found) < 0.7


def test_a_perfect_grid_is_infinitely_regular_and_small_types_are_left_out():
    grid = np.stack(np.meshgrid(np.arange(3.0), np.arange(3.0)), axis=-1).reshape(-1, 2)
    found = mosaics(grid, ["a"] * 7 + ["b"] * 2, area=((0, 0), (2, 2)), draws=20)
    assert found.types == ["a"]
    assert np.isinf(found.regularity[0])
    assert np.isnan(found.coverage[0])


def test_bad_input_is_refused():
    with pytest.raises(UserError, match="60 places, 1 types"):
        mosaics(places("random"), ["a"], area=AREA)
    with pytest.raises(UserError, match="inside of the area"):
        mosaics(places("random"), ["a"] * 60, area=((0, 0), (10, 10)))
    with pytest.raises(UserError, match="three cells"):
        mosaics(places("random")[:2], ["a"] * 2, area=AREA)
