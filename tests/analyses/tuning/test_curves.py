"""What is read from curves with planted peaks, bands and saturation."""

import numpy as np
import pandas as pd
import pytest

from retina_nb import UserError
from retina_nb.analyses.tuning import TuningCurve, fit_naka_rushton, naka_rushton
from retina_nb.analyses.tuning.curves import rising

SPEEDS = np.array([250.0, 500, 1000, 2000, 4000])


def curve(responses, values=SPEEDS, variable="speed"):
    responses = np.atleast_2d(np.asarray(responses, dtype=float))
    neurons = pd.DataFrame({"session": "a", "neuron": range(len(responses))})
    return TuningCurve(neurons, variable, "µm/s", np.asarray(values, dtype=float), responses)


def log_gaussian(values, preferred, sigma):
    return np.exp(-(np.log2(values / preferred) ** 2) / (2 * sigma**2))


def test_the_preferred_value_lies_between_those_shown():
    found = curve([log_gaussian(SPEEDS, 800, 1.5), log_gaussian(SPEEDS, 1900, 2.0)]).preferred
    np.testing.assert_allclose(found, [800, 1900], rtol=0.03)


def test_the_preferred_value_of_unevenly_spaced_values_is_that_of_the_parabola():
    octaves = np.array([0, 1, 1.5, 3, 4])
    found = curve(10 - (octaves - 1.8) ** 2, values=2**octaves)
    np.testing.assert_allclose(found.preferred, 2**1.8, rtol=1e-6)


def test_a_curve_that_rises_throughout_prefers_the_last_value():
    rising_curve = curve([1, 2, 3, 4, 5])
    assert rising_curve.preferred[0] == 4000
    np.testing.assert_allclose(rising_curve.band[0], [250 * 2**1.5, 4000])
    assert rising_curve.suppression[0] == 0


def test_the_band_is_where_the_response_has_fallen_to_half():
    found = curve([0, 4, 8, 4, 0])
    np.testing.assert_allclose(found.band[0], [500, 2000])
    assert found.bandwidth[0] == pytest.approx(2)
    assert found.suppression[0] == 1


def test_a_plateau_does_not_upset_the_parabola():
    assert 500 <= curve([1, 3, 3, 3, 1]).preferred[0] <= 1000


def test_a_neuron_that_does_not_respond_prefers_nothing():
    silent = curve([[0, 0, 0, 0, 0], [-3, -2, -1, -2, -3]])
    assert not silent.responsive.any()
    for number in (silent.preferred, silent.bandwidth, silent.suppression):
        assert np.isnan(number).all()


def test_its_table_has_a_row_for_each_neuron():
    table = curve(np.eye(5)[:3]).to_dataframe()
    assert list(table["neuron"]) == [0, 1, 2]
    assert list(table.columns[:2]) == ["session", "neuron"]
    np.testing.assert_allclose(table["peak"], 1)


@pytest.mark.parametrize("values", [[1], [2, 1], [0, 1], [-1, 1], [1, 1, 2], [[1, 2]]])
def test_values_that_do_not_rise_are_refused(values):
    with pytest.raises(UserError, match="speeds must be two or more positive numbers that rise"):
        rising(values, "speeds")


# ---- contrast

CONTRASTS = np.array([0.125, 0.25, 0.5, 1, 1.5, 2])


def test_planted_naka_rushton_curves_are_found():
    planted = [(40, 0.4, 2.0), (100, 1.0, 1.5)]
    fitted = fit_naka_rushton(curve([naka_rushton(CONTRASTS, *one) for one in planted], values=CONTRASTS))
    np.testing.assert_allclose(fitted[["peak", "c50", "exponent"]], planted, rtol=0.01)
    assert (fitted["r2"] > 0.999).all()


def test_gain_is_the_steepest_slope_and_growth_the_exponent_at_the_largest_contrast():
    fitted = fit_naka_rushton(curve([naka_rushton(CONTRASTS, 40, 0.4, 2.0), 10 * CONTRASTS], values=CONTRASTS))
    assert fitted["growth"][0] == pytest.approx(2 / (1 + (2 / 0.4) ** 2), abs=0.01)
    assert fitted["growth"][1] == pytest.approx(1, abs=0.15)
    assert fitted["gain"][1] == pytest.approx(10, rel=0.1)
    fine = np.linspace(0.125, 2, 4000)
    slope = np.gradient(naka_rushton(fine, 40, 0.4, 2.0), fine).max()
    assert fitted["gain"][0] == pytest.approx(slope, rel=0.02)


def test_noisy_and_silent_curves_are_fitted_or_marked():
    noise = np.random.default_rng(0).normal(5, 3, len(CONTRASTS))
    fitted = fit_naka_rushton(curve([noise, np.zeros(6)], values=CONTRASTS))
    assert fitted.notna().all(axis=1).tolist() == [True, False]


def test_two_contrasts_are_too_few_to_fit():
    with pytest.raises(UserError, match="three contrasts or more, not 2"):
        fit_naka_rushton(curve([1, 2], values=[0.5, 1]))
