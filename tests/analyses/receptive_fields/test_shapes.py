import numpy as np
import pandas as pd
import pytest
from planted_fields import planted_field

import retina_nb as rnb
from retina_nb import Movie, Recording
from retina_nb.analyses.receptive_fields import shapes, spike_triggered_averages
from retina_nb.analyses.receptive_fields.fields import make_fields
from retina_nb.models.locate import locate_receptive_fields

SIZE = (13, 15)


def describe(*linear, pixel_um=50.0):
    linear = np.stack(linear).astype(np.float32)
    neurons = pd.DataFrame({"session": "a", "neuron": range(len(linear))})
    sensitivity = np.sqrt((linear**2).mean(axis=(1, 2)))
    return shapes(make_fields(linear, sensitivity, rate=30.0, pixel_um=pixel_um, neurons=neurons))


@pytest.mark.parametrize("degrees", [0, 35, 90, 150])
def test_size_place_and_orientation_of_a_gaussian_are_the_planted_ones(degrees):
    found = describe(planted_field((5.6, 7.3), sigma=(2.0, 1.2), degrees=degrees, size=SIZE))
    np.testing.assert_allclose(found.center[0], [5.6, 7.3], atol=0.02)
    np.testing.assert_allclose(found.sigma_um[0], [100, 60], rtol=0.02)
    np.testing.assert_allclose(found.diameter_um[0], 2 * np.sqrt(100 * 60), rtol=0.02)
    away = abs((found.orientation[0] - degrees + 90) % 180 - 90)
    assert away < 1


def test_latency_between_bins_polarity_and_colour():
    on, off = planted_field((5, 6), peak=2.3, size=SIZE), -planted_field((7, 8), peak=1.6, size=SIZE)
    found = describe(on, off)
    np.testing.assert_array_equal(found.polarity, [1, -1])
    np.testing.assert_allclose(found.time_to_peak, [2.3 / 30, 1.6 / 30], atol=0.003)
    np.testing.assert_allclose(found.colour, [[2 / 3, 1 / 3]] * 2, rtol=0.02)
    np.testing.assert_allclose(found.separability, 1, rtol=1e-4)
    assert found.biphasic.max() < 1e-5
    assert found.surround.max() < 1e-5


def test_opposite_colours_have_opposite_signs():
    found = describe(planted_field((5, 6), colour=(-0.5, 1.0), size=SIZE))
    np.testing.assert_allclose(found.colour, [[-1 / 3, 2 / 3]], rtol=0.02)
    assert found.polarity[0] == 1


def test_a_second_lobe_and_a_surround_are_measured():
    early, late = planted_field((6, 7), peak=1.0, size=SIZE), planted_field((6, 7), peak=4.0, size=SIZE)
    wide = planted_field((6, 7), sigma=(3.0, 3.0), peak=1.0, size=SIZE)
    found = describe(early - 0.4 * late, early - 0.1 * wide)
    np.testing.assert_allclose(found.biphasic[0], 0.4, atol=0.03)
    assert found.surround[0] < 1e-5 < 0.2 < found.surround[1] < 0.9


def test_what_is_not_one_space_and_one_time_is_less_separable():
    moving = planted_field((6, 5), peak=1.0, size=SIZE) + planted_field((6, 9), peak=4.0, size=SIZE)
    still = planted_field((6, 7), size=SIZE)
    found = describe(moving, still)
    assert found.separability[0] < 0.8
    np.testing.assert_array_equal(found.rank, [2, 1])


def test_sizes_are_in_pixels_if_those_have_no_size():
    found = describe(planted_field((6, 7), sigma=(1.5, 1.5), size=SIZE), pixel_um=None)
    np.testing.assert_allclose(found.sigma_um[0], 1.5, rtol=0.02)


def test_an_empty_field_has_no_shape():
    found = describe(planted_field((6, 7), size=SIZE), np.zeros((2, 6, *SIZE)))
    numbers = found.to_dataframe().drop(columns=["session", "neuron"])
    assert numbers.loc[0].notna().all()
    assert numbers.loc[1].isna().all()


def test_too_few_lags_have_no_time_course():
    with pytest.raises(rnb.UserError, match="2 lags have no time course"):
        describe(planted_field((6, 7), lags=2, size=SIZE))


@pytest.mark.filterwarnings("error")
def test_a_field_of_one_pixel_is_a_time_course_without_a_place():
    rng = np.random.default_rng(0)
    light = rng.choice([-1.0, 1.0], 6000).astype(np.float32)
    responses = rng.poisson(np.exp(np.stack([np.roll(light, 3), -np.roll(light, 4)], axis=1) - 1))
    recording = Recording("a", Movie(light[None, :, None, None]), responses.astype(np.float32), 30.0)
    found = shapes(spike_triggered_averages(recording, lags=8))
    np.testing.assert_allclose(found.polarity, [1, -1])
    np.testing.assert_allclose(found.time_to_peak, [0.1, 4 / 30], atol=0.005)
    np.testing.assert_array_equal(np.abs(found.temporal).argmax(axis=1), [4, 3])
    np.testing.assert_allclose(found.colour, 1)
    for nothing in (found.center, found.sigma_um, found.orientation, found.surround, found.diameter_um):
        assert np.isnan(nothing).all()
    np.testing.assert_array_equal(locate_receptive_fields(recording), 0)


@pytest.mark.parametrize("along", ["height", "width"])
def test_a_field_in_one_row_of_pixels_has_a_size_along_it_only(along):
    at = np.arange(31)
    row = np.exp(-0.5 * ((at - 12.3) / 2.5) ** 2)
    size = (31, 1) if along == "height" else (1, 31)
    linear = np.array([0.0, 0.2, -1.0, 0.1])[None, None, :, None, None] * row.reshape(1, 1, 1, *size)
    table = pd.DataFrame({"session": ["a"], "neuron": [0]})
    fields = make_fields(linear, np.abs(linear).mean(axis=(1, 2)), rate=30.0, pixel_um=10.0, neurons=table)
    found = shapes(fields)
    np.testing.assert_allclose(found.sigma_um[0], [25, np.nan], rtol=1e-3)
    np.testing.assert_allclose(found.center[0].max(), 12.3, rtol=1e-3)
    assert found.orientation[0] == (90 if along == "height" else 0)
    assert np.isnan(found.diameter_um[0])


def test_a_field_of_fewer_pixels_than_a_gaussian_has_numbers_has_no_size():
    linear = np.zeros((1, 1, 4, 2, 3))
    linear[0, 0, 2, 1, 1] = 1
    table = pd.DataFrame({"session": ["a"], "neuron": [0]})
    found = shapes(make_fields(linear, np.abs(linear).mean(axis=(1, 2)), rate=30.0, pixel_um=10.0, neurons=table))
    assert found.polarity[0] == 1
    assert np.isnan(found.sigma_um).all()
