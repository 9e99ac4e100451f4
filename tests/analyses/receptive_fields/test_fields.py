import numpy as np
import pytest

import retina_nb as rnb
from retina_nb.analyses.receptive_fields import cosines
from retina_nb.analyses.receptive_fields.fields import center


def bump(place, size=(9, 11), sigma=1.2):
    y, x = np.indices(size)
    return np.exp(-((y - place[0]) ** 2 + (x - place[1]) ** 2) / (2 * sigma**2))


def test_the_centre_of_a_map_lies_between_pixels():
    np.testing.assert_allclose(center(bump((3.4, 6.7)) + 0.2), [3.4, 6.7], atol=0.2)


def test_a_second_weaker_place_does_not_move_the_centre():
    np.testing.assert_allclose(center(bump((2, 2)) + 0.8 * bump((6, 8))), [2, 2], atol=0.2)


def test_a_flat_map_has_no_centre():
    assert np.isnan(center(np.zeros((5, 7)))).all()
    assert np.isnan(center(np.ones((5, 7)))).all()


def test_cosines_are_over_the_lags_that_both_have():
    one = np.random.default_rng(0).standard_normal((3, 2, 4, 5, 7))
    longer = np.concatenate([np.ones((3, 2, 2, 5, 7)), 2 * one], axis=2)
    np.testing.assert_allclose(cosines(one, longer), 1)
    np.testing.assert_allclose(cosines(-one, one), -1)
    assert not cosines(one, 0 * one).any()
    with pytest.raises(rnb.UserError, match="differ in more than lags"):
        cosines(one, longer[:, :, :, :4])
