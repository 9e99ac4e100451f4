import numpy as np
import pytest

from retina_nb.peaks import peak_place


@pytest.mark.parametrize("place", [2.0, 3.25, 4.5, 5.8])
def test_the_peak_of_a_parabola_is_found_between_its_bins(place):
    curve = -((np.arange(8) - place) ** 2)
    np.testing.assert_allclose(peak_place(np.stack([curve, 3 * curve + 7])), place)


def test_a_peak_at_an_end_or_on_a_plateau_stays_in_its_bin():
    assert peak_place(np.array([5.0, 4, 1, 0])) == 0
    assert peak_place(np.array([0.0, 1, 2, 9])) == 3
    assert peak_place(np.zeros(4)) == 0
