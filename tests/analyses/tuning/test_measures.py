"""Measures of rates with planted windows."""

import numpy as np
import pytest

from retina_nb import UserError
from retina_nb.analyses.tuning.measures import relative_difference, strongest


def test_the_strongest_window_is_found_wherever_it_lies():
    rates = np.zeros((2, 3, 20))
    rates[0, 1, 7:11] = 6
    rates[1, 2, 18:] = 6
    found = strongest(4)(rates)
    assert found.shape == (2, 3)
    assert found[0, 1] == pytest.approx(6)
    assert found[1, 2] == pytest.approx(3)
    with pytest.raises(UserError, match="window of 30 bins is longer"):
        strongest(30)(rates)


def test_a_relative_difference_of_nothing_is_0():
    np.testing.assert_allclose(relative_difference(np.array([3.0, 0, 0]), np.array([1.0, 2, 0])), [0.5, -1, 0])
