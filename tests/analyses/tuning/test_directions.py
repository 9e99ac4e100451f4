"""Direction selectivity: measures and null on planted responses, and the cells of a simulated retina."""

import numpy as np
import pytest

from retina_nb import UserError
from retina_nb.analyses.tuning import (
    bar_direction_tuning,
    direction_tuning_p,
    grating_direction_tuning,
    vector_sum,
)

EIGHT = np.arange(0, 360, 45.0)


def von_mises(preferred, width=1.0):
    return np.exp(np.cos(np.deg2rad(EIGHT - preferred)) / width)[None]


# ---- measures


@pytest.mark.parametrize("preferred", [0, 30, 100, 315])
def test_the_vector_sum_points_at_a_planted_direction(preferred):
    angle, length = vector_sum(von_mises(preferred, 0.5), EIGHT)
    assert abs((angle[0] - preferred + 180) % 360 - 180) < 1
    assert 0 < length[0] < 1


def test_its_length_is_1_for_a_single_direction_and_0_for_all_alike():
    _, length = vector_sum(np.stack([np.eye(8)[3], np.ones(8), np.zeros(8), -np.eye(8)[1]]), EIGHT)
    np.testing.assert_allclose(length, [1, 0, 0, 0], atol=1e-12)


def test_an_axis_has_no_direction():
    responses = np.eye(8)[1] + np.eye(8)[5]
    axis, along = vector_sum(responses[None], EIGHT, cycles=2)
    _, direction = vector_sum(responses[None], EIGHT)
    assert axis[0] == pytest.approx(45)
    assert along[0] == pytest.approx(1)
    assert direction[0] == pytest.approx(0)


# ---- the null


def test_p_is_evenly_spread_where_direction_does_not_matter():
    rates = np.random.default_rng(1).uniform(0.3, 4, 400)
    p = direction_tuning_p(np.repeat(rates[:, None], 8, axis=1), EIGHT, permutations=500)
    assert abs(p.mean() - 0.5) < 0.05
    assert 0.02 < (p <= 0.05).mean() < 0.09


def test_a_planted_preference_is_significant_if_there_are_events_enough():
    events = np.concatenate([von_mises(90) * scale for scale in (0.002, 2)])
    few, many = direction_tuning_p(events, EIGHT, permutations=500)
    assert few > 0.05
    assert many == pytest.approx(1 / 501)


def test_more_trials_find_weaker_preferences():
    weak = 2 + 0.2 * np.cos(np.deg2rad(EIGHT))[None].repeat(50, axis=0)
    found = [
        (direction_tuning_p(weak, EIGHT, trials=trials, permutations=300) < 0.05).mean() for trials in (5, 50, 500)
    ]
    assert found[0] < found[1] < found[2]
    assert found[2] == 1


def test_an_axis_is_significant_without_a_direction():
    events = 3 * (1 + np.cos(np.deg2rad(2 * EIGHT)))[None]
    assert direction_tuning_p(events, EIGHT, cycles=2, permutations=300)[0] < 0.01
    assert direction_tuning_p(events, EIGHT, permutations=300)[0] > 0.05


def test_a_neuron_without_events_is_not_significant():
    np.testing.assert_array_equal(direction_tuning_p(np.zeros((2, 8)), EIGHT, permutations=50), 1)


def test_the_null_needs_trials_and_permutations():
    with pytest.raises(UserError, match="one trial and one permutation, not 0 and 100"):
        direction_tuning_p(np.ones((1, 8)), EIGHT, trials=0, permutations=100)


# ---- simulated cells


@pytest.mark.parametrize("experiment", [bar_direction_tuning, grating_direction_tuning])
def test_the_direction_selective_cells_are_found_with_their_directions(truth, experiment):
    tuning = experiment(truth, session="simulated_1")
    planted = truth.neurons("simulated_1")["direction"].to_numpy()
    selective = np.isfinite(planted)
    np.testing.assert_array_equal(tuning.direction_selective(), selective)
    error = (tuning.preferred_direction - planted + 180) % 360 - 180
    assert (np.abs(error[selective]) < 5).all()
    assert (tuning.dsi_null[selective] > 0.7).all()
    assert not tuning.orientation_selective().any()


def test_the_order_of_directions_does_not_matter(truth):
    one = grating_direction_tuning(truth, neurons=[4, 9])
    other = grating_direction_tuning(truth, neurons=[4, 9], directions=[90, 0, 180, 45, 225, 315, 135, 270])
    for name in ("dsi", "dsi_null", "osi", "osi_orthogonal"):
        np.testing.assert_allclose(getattr(one, name), getattr(other, name), atol=1e-5)


def test_a_seed_fixes_the_null_and_batches_change_nothing(truth):
    options = {"neurons": [0, 5, 11], "permutations": 200}
    one, two = bar_direction_tuning(truth, **options), bar_direction_tuning(truth, batch_size=3, **options)
    np.testing.assert_array_equal(one.p_direction, two.p_direction)
    np.testing.assert_allclose(one.responses, two.responses, atol=1e-3)
    assert one.responses.shape == (3, 8)


def test_its_table_has_a_row_for_each_chosen_neuron(truth):
    table = bar_direction_tuning(truth, session="simulated_1", neurons=[7, 2]).to_dataframe()
    assert list(table["neuron"]) == [7, 2]
    assert {"dsi", "osi", "p_direction", "preferred_direction"} <= set(table.columns)


@pytest.mark.parametrize("directions", [(0, 90), (0, 45, 90, 135), (0, 120, 240), ()])
def test_directions_must_be_even_around_the_circle(truth, directions):
    with pytest.raises(UserError, match="evenly spaced over the circle"):
        bar_direction_tuning(truth, directions=directions)


def test_nothing_left_of_a_grating_is_refused(truth):
    with pytest.raises(UserError, match="nothing is left of a stimulus"):
        grating_direction_tuning(truth, duration=0.5, settle=0.6)
