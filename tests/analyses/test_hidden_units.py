import numpy as np
import pytest
import torch
from analyses.planted import tiny_twin

import retina_nb as rnb
from retina_nb.analyses import match_units
from retina_nb.analyses.hidden_units import layer_movie

RNG = np.random.default_rng(0)
STIMULUS = RNG.standard_normal((2, 1300, 7, 9)).astype(np.float32)


@pytest.fixture(scope="module")
def twin():
    return tiny_twin()


def test_what_a_layer_makes_of_a_long_stimulus_is_what_it_makes_of_it_at_once(twin):
    movie = layer_movie(twin, "core.layers.0", STIMULUS, session="a")
    with torch.no_grad():
        whole = twin.core.layers[0](torch.from_numpy(STIMULUS[None]))[0, :, -(1300 - twin.lag) :]
    np.testing.assert_allclose(movie, whole.movedim(1, -1), rtol=1e-4, atol=1e-5)


def test_a_planted_unit_is_found_with_its_shift_and_sign_and_noise_is_not(twin):
    movie = layer_movie(twin, "core.layers.0", STIMULUS, session="a")
    traces = RNG.standard_normal((6, 1300)).astype(np.float32)
    traces[0, twin.lag :] = movie[2, 3, 5]
    traces[1, twin.lag :] = (
        3 - np.roll(movie[1, 0, 4], -2) + 0.5 * movie[1, 0, 4].std() * RNG.standard_normal(movie.shape[-1])
    )
    found = match_units(twin, "core.layers.0", STIMULUS, traces, session="a")
    np.testing.assert_array_equal(found.unit[:2], [[2, 3, 5], [1, 0, 4]])
    np.testing.assert_array_equal(found.shift[:2], [0, 2])
    np.testing.assert_allclose(found.correlation[:2], [1, -1 / np.sqrt(1.25)], atol=0.03)
    table = found.to_dataframe()
    assert (table["p_value"][:2] < 0.02).all()
    assert (table["p_value"][2:] > 0.02).all()
    assert (np.abs(found.correlation[2:]) < 1.3 * found.chance[2:]).all()
    np.testing.assert_allclose(table["shift_s"][1], 2 / 30)


def test_chance_keeps_a_slow_traces_own_correlation(twin):
    """A slow trace has larger correlations by chance than white noise; p values of unrelated ones are even."""
    slow = np.cumsum(RNG.standard_normal((40, 1300)), axis=1)
    slow = (slow - slow.mean(axis=1, keepdims=True)).astype(np.float32)
    fast = RNG.standard_normal((40, 1300)).astype(np.float32)
    for traces in (slow, fast):
        p_values = match_units(twin, "core.layers.0", STIMULUS, traces, session="a").p_value
        assert 0.25 < p_values.mean() < 0.75


@pytest.mark.parametrize(
    ("traces", "options", "message"),
    [
        (np.zeros((2, 1300)), {}, "trace 0 does not vary"),
        (np.full((1, 1300), np.nan), {}, "not finite"),
        (np.zeros((1, 9)), {}, "traces of 9 bins do not fit a stimulus of 1300"),
        (RNG.standard_normal((1, 1300)), {"most_shift": 100}, "too few to tell"),
        (RNG.standard_normal((1, 1300)), {"layer": "core.layers"}, "was reached 0 times"),
    ],
)
def test_bad_input_is_refused_in_a_sentence(twin, traces, options, message):
    layer = options.pop("layer", "core")
    with pytest.raises(rnb.UserError, match=message):
        match_units(twin, layer, STIMULUS, traces, session="a", **options)
