"""Whatever the clocks and the bins, every spike between the first and the last edge is counted once."""

from fractions import Fraction
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from retina_nb import UserError
from retina_nb.loaders.binning import check_rate, count_spikes, even_edges

CLOCKS = (10_000, 20_000, 25_000, 30_000)
RATES = (7.8125, 20.0, 29.97, 30.0, 59.94, 60.0001, 75.0, 85.0, 100.0, 119.88)


@settings(max_examples=300)
@given(
    clock=st.sampled_from(CLOCKS),
    rate=st.sampled_from(RATES) | st.floats(0.5, 500.0),
    start=st.sampled_from([0.0, 0.7, 3.0, 1e5, 1e5 + 0.1]) | st.floats(-10.0, 1e5),
    bins=st.integers(1, 400),
    dtype=st.sampled_from([np.float32, np.float64]),
    seed=st.integers(0, 2**32 - 1),
)
def test_the_sum_of_counts_is_the_number_of_spikes_between_the_edges(clock, rate, start, bins, dtype, seed):
    edges = even_edges(start, bins, rate)
    rng = np.random.default_rng(seed)
    ticks = rng.integers(int((start - 1) * clock), int((start + bins / rate + 1) * clock) + 1, 300) / clock
    times = np.sort(np.concatenate([ticks, rng.choice(edges, 50)]).astype(dtype).astype(np.float64))
    counts = count_spikes(times, edges)
    assert counts.shape == (bins,)
    assert (np.diff(edges) > 0).all()
    assert counts.sum() == ((times >= edges[0]) & (times < edges[-1])).sum()
    each = [((times >= first) & (times < last)).sum() for first, last in pairwise(edges)]
    assert counts.tolist() == each


@given(rate=st.sampled_from(RATES), start=st.sampled_from([0.0, 0.7, 1e5]), bins=st.integers(1, 100_000))
def test_edges_do_not_add_up_the_errors_of_rounding(rate, start, bins):
    edges = even_edges(start, bins, rate)
    exact = float(Fraction(start) + bins / Fraction(rate))
    assert abs(edges[-1] - exact) <= 2 * np.spacing(exact)


def test_bins_are_half_open():
    edges = np.array([0.0, 1.0, 2.0, 4.0])
    assert count_spikes(np.array([-0.1, 0.0, 0.5, 1.0, 2.0, 3.9, 4.0]), edges).tolist() == [2, 1, 2]


@pytest.mark.parametrize("rate", [0.0, -30.0, 1e-300, 1e300, float("nan"), float("inf"), "30", [30.0]])
def test_rates_that_no_experiment_has_are_refused(rate):
    with pytest.raises(UserError, match=r"the rate of x must be a positive number, from 0\.001 to 100000 Hz"):
        check_rate(rate, "the rate of x")
