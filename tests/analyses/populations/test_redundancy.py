"""Redundancy against sums over all counts, and its limits."""

import numpy as np
import pytest
import torch
from analyses.populations.toys import Weighted
from scipy.stats import poisson

from retina_nb import UserError
from retina_nb.analyses.populations import pair_redundancy, population_information


def pixels(*places):
    """Neurons that each see one pixel (y, x)."""
    weights = np.zeros((len(places), 1, 5, 7))
    for weight, (y, x) in zip(weights, places, strict=True):
        weight[0, y, x] = 1
    return weights


def binary(time=512, seed=0):
    return np.random.default_rng(seed).choice([-1.0, 1.0], (2, 1, time, 5, 7)).astype(np.float32)


def test_redundancy_of_cells_with_two_rates_is_that_of_the_sum_over_counts():
    model = Weighted(pixels((1, 2), (1, 2), (3, 5)), lambda drive: 1.5 + drive, lag=0)
    stimuli = binary()
    found = pair_redundancy(model, stimuli)
    high = (stimuli[:, 0, :, 1, 2] > 0).mean()
    n = np.arange(40)
    given = poisson.pmf(n, np.array([[2.5], [0.5]])) * np.array([[high], [1 - high]])
    alone, joint = given.sum(axis=0), np.einsum("sn,sm->nm", given, given / given.sum(axis=1, keepdims=True))
    mutual = np.nansum(joint * np.log2(joint / np.outer(alone, alone)))
    assert found.shared[0, 1] == pytest.approx(mutual, abs=1e-6)
    assert found.shared[0, 2] < 0.01 * found.shared[0, 1]
    assert found.chance < 0.02 * mutual
    assert found.fraction[0, 1] == pytest.approx(mutual / found.information[0], abs=1e-6)
    assert found.to_dataframe()["most"].tolist()[:2] == pytest.approx([found.fraction[0, 1]] * 2)


def test_cells_with_reliable_copies_of_one_signal_share_almost_all():
    model = Weighted(pixels((1, 2), (1, 2)), lambda drive: 20 + 19.9 * drive)
    assert pair_redundancy(model, binary()).fraction[0, 1] > 0.98


def test_independent_cells_are_not_redundant_and_copies_are():
    apart = Weighted(pixels((0, 0), (1, 2), (3, 5), (4, 6)), lambda drive: 2 + drive)
    found = population_information(apart, binary(2000), sizes=(1, 4), draws=3)
    np.testing.assert_allclose(found.redundancy, 0, atol=0.01)
    np.testing.assert_allclose(found.together[0], np.log2(1.5) / 2, rtol=0.05)
    copies = Weighted(pixels((1, 2), (1, 2)), lambda drive: 2 + drive)
    found = population_information(copies, binary(2000), sizes=(2,), draws=1)
    assert found.redundancy[0, 0] == pytest.approx(1 - np.log2(2) / (2 * np.log2(1.5)), abs=0.02)
    assert found.to_dataframe()["size"].tolist() == [2]


def test_what_is_not_possible_is_refused():
    model = Weighted(pixels((1, 2), (3, 5)), torch.exp)
    with pytest.raises(UserError, match="two neurons"):
        pair_redundancy(model, binary(50), neurons=1)
    with pytest.raises(UserError, match="from 1 to 2"):
        population_information(model, binary(50), sizes=(3,))
