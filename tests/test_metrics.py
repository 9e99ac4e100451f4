"""Scores against planted signal and noise, against invariants, and against what the peer computes."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from retina_nb import metrics
from retina_nb.errors import UserError
from retina_nb.metrics import bootstrap_interval, bootstrap_scores, compare_models, score_card

CEILINGS = {"cc_max", "explainable_variance", "explainable_variance_ratio", "reliability", "jackknife_oracle"}


def smooth_rates(bins, neurons, seed=0, mean=3.0):
    noise = np.random.default_rng(seed).normal(size=(bins + 4, neurons))
    smooth = sum(noise[i : i + bins] for i in range(5)) / np.sqrt(5)
    return mean * np.exp(0.6 * smooth)


def gaussian_trials(trials, bins, neurons, noise=1.0, seed=0):
    """A signal of variance 1 over these very bins, plus noise; shifted so that responses are positive."""
    random = np.random.default_rng(seed)
    signal = random.normal(size=(bins, neurons))
    signal = (signal - signal.mean(axis=0)) / signal.std(axis=0, ddof=1)
    return signal + 30, signal + noise * random.normal(size=(trials, bins, neurons)) + 30


@pytest.fixture(scope="module")
def poisson():
    rates = smooth_rates(750, 24)
    return rates, np.random.default_rng(1).poisson(rates, size=(10, *rates.shape)).astype(float)


# ---- against the truth


def test_the_true_rate_reaches_the_ceiling(poisson):
    rates, trials = poisson
    for metric in ("cc_norm", "feve"):
        low, high = bootstrap_interval(trials, rates, metric)
        # Of 24 independent 95 % intervals, fewer than 19 miss the truth by chance once in 10^4.
        assert ((low <= 1) & (high >= 1)).sum() >= 19
        np.testing.assert_allclose(np.median(getattr(metrics, metric)(trials, rates)), 1, atol=0.01)


def test_a_shuffled_prediction_scores_zero(poisson):
    rates, trials = poisson
    shuffled = np.random.default_rng(2).permutation(rates)
    for metric in ("correlation", "correlation_single_trial", "cc_norm"):
        assert abs(np.mean(getattr(metrics, metric)(trials, shuffled))) < 0.02
    assert (metrics.feve(trials, shuffled) < 0).all()
    assert (metrics.feve_clipped(trials, shuffled) == 0).all()
    assert (metrics.bits_per_spike(trials, shuffled) < 0).all()


def test_powers_and_ceilings_have_their_analytic_values():
    n, noise = 4, 1.5
    _, trials = gaussian_trials(n, 4000, 30, noise)
    np.testing.assert_allclose(metrics.signal_power(trials).mean(), 1, atol=0.02)
    np.testing.assert_allclose(metrics.noise_power(trials).mean(), noise**2, atol=0.02)
    np.testing.assert_allclose(metrics.cc_max(trials).mean(), (1 + noise**2 / n) ** -0.5, atol=0.01)
    np.testing.assert_allclose(metrics.explainable_variance(trials).mean(), 1, atol=0.02)
    np.testing.assert_allclose(metrics.explainable_variance_ratio(trials).mean(), 1 / (1 + noise**2), atol=0.01)


@pytest.mark.parametrize("n", [2, 3, 5, 10, 12])
def test_reliability_is_that_of_all_trials_for_even_and_odd_numbers(n):
    _, trials = gaussian_trials(n, 3000, 20)
    np.testing.assert_allclose(metrics.reliability(trials).mean(), 1 / (1 + 1 / n), atol=0.02)
    np.testing.assert_allclose(metrics.reliability(trials), metrics.cc_max(trials) ** 2, atol=0.02)


def test_reliability_averages_all_splits_of_few_trials():
    _, trials = gaussian_trials(4, 50, 3, seed=3)
    splits = [([0, 1], [2, 3]), ([0, 2], [1, 3]), ([0, 3], [1, 2])]
    r = np.mean([metrics.pearson(trials[a].mean(axis=0), trials[b].mean(axis=0)) for a, b in splits], axis=0)
    np.testing.assert_allclose(metrics.reliability(trials), 2 * r / (1 + r))


def test_cc_norm_is_correlation_over_its_ceiling(poisson):
    rates, trials = poisson
    np.testing.assert_allclose(
        metrics.cc_norm(trials, rates), metrics.correlation(trials, rates) / metrics.cc_max(trials)
    )


def test_feve_of_a_prediction_with_planted_error():
    signal, trials = gaussian_trials(20, 4000, 10)
    error = 0.5 * np.random.default_rng(4).normal(size=signal.shape)
    np.testing.assert_allclose(metrics.feve(trials, signal + error).mean(), 1 - 0.25, atol=0.02)


def test_bits_per_spike_of_a_two_level_rate():
    # Half of the bins at rate 2a, half at 0: a spike tells which half, one bit.
    rates = np.tile([[4.0], [0.0]], (400, 1))
    trials = np.random.default_rng(5).poisson(rates, size=(3, 800, 1))
    np.testing.assert_allclose(metrics.bits_per_spike(trials, rates), 1, atol=0.01)


def test_poisson_deviance_explained_matches_its_definition(poisson):
    rates, trials = poisson

    def deviance(x):
        return 2 * (trials * np.log(np.where(trials > 0, trials, 1) / x) - trials + x).sum(axis=(0, 1))

    expected = 1 - deviance(rates) / deviance(np.broadcast_to(trials.mean(axis=(0, 1)), rates.shape))
    np.testing.assert_allclose(metrics.poisson_deviance_explained(trials, rates), expected)


def test_single_trial_scores_have_the_jackknife_oracle_below_the_true_rate(poisson):
    rates, trials = poisson
    oracle, best = metrics.jackknife_oracle(trials), metrics.correlation_single_trial(trials, rates)
    assert (oracle < best).all()
    np.testing.assert_allclose(oracle, best, atol=0.06)
    assert (best < metrics.correlation(trials, rates)).all()


# ---- against the peer (openretina 1.1.1 computed tests/golden/metrics.npz)


@pytest.fixture(scope="module")
def golden():
    stored = np.load(Path(__file__).parent / "golden" / "metrics.npz")
    trials, prediction = stored["in/trials/targets"].transpose(1, 0, 2), stored["in/trials/predictions"]
    return {key: stored[key] for key in stored if key.startswith("out/")}, trials, prediction


def test_agrees_with_the_peer_where_definitions_agree(golden):
    peer, trials, prediction = golden
    card = score_card(trials, prediction)
    responds, varies = [0, 2, 3, 4, 5], [0, 3, 4, 5]
    close = {"rtol": 1e-6, "atol": 1e-8}
    np.testing.assert_allclose(card["correlation"][varies], peer["out/correlation_numpy/axis_0"][varies], **close)
    np.testing.assert_allclose(
        card["jackknife_oracle"][responds], peer["out/oracle_corr_jackknife/score"][responds], **close
    )
    explainable = peer["out/explainable_vs_total_var/explainable_var"]
    np.testing.assert_allclose(card["explainable_variance"][2:], explainable[2:], **close)
    np.testing.assert_allclose(
        card["explainable_variance_ratio"][2:], peer["out/explainable_vs_total_var/var_ratio"][2:], **close
    )
    np.testing.assert_allclose(card["feve_clipped"][2:], peer["out/feve"][2:], **close)


def test_poisson_deviance_agrees_with_the_peers_loss(golden):
    peer, trials, prediction = golden
    average, prediction = trials.mean(axis=0)[:, 2:], prediction[:, 2:]  # without the silent cell

    def loss(x):
        return (x - average * np.log(np.maximum(x, metrics.SMALLEST_RATE))).mean(axis=0)

    loss_of_mean = loss(np.broadcast_to(average.mean(axis=0), average.shape))
    of_peer = peer["out/poisson_loss_numpy/mean_axis_0"][2:]
    explained = (loss_of_mean - of_peer) / (loss_of_mean - loss(average))
    ours = metrics.poisson_deviance_explained(average[None], prediction)
    np.testing.assert_allclose(ours, explained, rtol=1e-5, atol=1e-6)


def test_differs_from_the_peer_on_purpose(golden):
    peer, trials, prediction = golden
    card = score_card(trials, prediction)
    # A cell worse than its mean: the peer's 0 hides by how much.
    assert peer["out/feve"][5] == 0
    assert card["feve"][5] < -1
    # A silent cell is not perfectly explainable, it is undefined; nor is one without signal worth FEVE 0.
    assert peer["out/explainable_vs_total_var/var_ratio"][1] == 1
    assert np.isnan(card["explainable_variance_ratio"][1])
    assert card["explainable_variance"][0] < 0
    assert np.isnan(card["feve"][0])


# ---- what cannot be known


def test_a_silent_neuron_is_undefined_and_leaves_the_others_alone(poisson):
    rates, trials = poisson
    quiet = trials[:, :, :3].copy()
    quiet[:, :, 1] = 0
    card, reference = score_card(quiet, rates[:, :3]), score_card(trials[:, :, :3], rates[:, :3])
    for name, score in card.items():
        assert np.isnan(score[1]) or (name == "explainable_variance" and score[1] == 0), name
        np.testing.assert_allclose(score[[0, 2]], reference[name][[0, 2]], rtol=1e-9)


@pytest.mark.parametrize("level", [0.0, 0.1, 7.3])
def test_a_constant_prediction_explains_nothing(poisson, level):
    rates, trials = poisson
    card = score_card(trials, np.full(rates.shape, level, dtype=np.float32))
    for name in ("correlation", "correlation_single_trial", "cc_norm", "feve_clipped"):
        np.testing.assert_array_equal(card[name], 0)
    for name in ("feve", "poisson_deviance_explained", "bits_per_spike"):
        assert (card[name] < 0).all()


def test_the_mean_rate_explains_exactly_nothing(poisson):
    rates, trials = poisson
    mean = np.broadcast_to(trials.mean(axis=(0, 1)), rates.shape)
    for metric in ("poisson_deviance_explained", "bits_per_spike"):
        np.testing.assert_allclose(getattr(metrics, metric)(trials, mean), 0, atol=1e-12)


def test_one_trial_has_scores_but_no_ceilings(poisson):
    rates, trials = poisson
    card = score_card(trials[:1], rates)
    for name in (*CEILINGS, "cc_norm", "feve", "feve_clipped"):
        assert np.isnan(card[name]).all(), name
    np.testing.assert_allclose(card["correlation"], card["correlation_single_trial"])
    assert (card["poisson_deviance_explained"] > 0).all()


def test_noise_without_signal_has_no_normalised_score():
    trials = np.random.default_rng(6).poisson(2.0, size=(3, 60, 40))
    card = score_card(trials, np.random.default_rng(7).random((60, 40)))
    powerless = metrics.signal_power(trials) <= 0
    assert powerless.any()
    assert np.isnan(card["cc_norm"][powerless]).all()
    assert np.isnan(card["cc_max"][powerless]).all()
    assert np.isfinite(card["correlation"]).all()


def test_negative_and_zero_rates_are_scored_as_almost_zero(poisson):
    rates, trials = poisson
    wrong = rates.copy()
    wrong[:100] = -1
    almost = rates.copy()
    almost[:100] = metrics.SMALLEST_RATE
    for metric in (metrics.poisson_deviance_explained, metrics.bits_per_spike):
        np.testing.assert_array_equal(metric(trials, wrong), metric(trials, almost))
        assert (metric(trials, wrong) < metric(trials, rates)).all()


def test_a_trial_without_spikes_is_left_out_of_the_single_trial_correlation():
    rates = smooth_rates(200, 3)
    trials = np.random.default_rng(8).poisson(rates, size=(4, 200, 3))
    trials[2] = 0
    np.testing.assert_allclose(
        metrics.correlation_single_trial(trials, rates), metrics.correlation_single_trial(trials[[0, 1, 3]], rates)
    )


# ---- invariants


@given(
    scale=st.floats(0.01, 100),
    shift=st.floats(-50, 50),
    metric=st.sampled_from(["correlation", "correlation_single_trial", "cc_norm"]),
)
def test_correlations_ignore_scale_and_offset_of_the_prediction(scale, shift, metric):
    rates = smooth_rates(40, 3)
    trials = np.random.default_rng(9).poisson(rates, size=(5, 40, 3))
    score = getattr(metrics, metric)
    np.testing.assert_allclose(score(trials, scale * rates + shift), score(trials, rates), rtol=1e-6, equal_nan=True)


@given(unit=st.floats(0.01, 100), seed=st.integers(0, 5))
def test_no_score_depends_on_the_unit(unit, seed):
    rates = smooth_rates(40, 3, seed)
    trials = np.random.default_rng(seed).poisson(rates, size=(4, 40, 3))
    card, other = score_card(trials, rates), score_card(unit * trials, unit * rates)
    for name in card.keys() - {"explainable_variance"}:
        np.testing.assert_allclose(other[name], card[name], rtol=1e-6, atol=1e-9, err_msg=name)
    np.testing.assert_allclose(other["explainable_variance"], unit**2 * card["explainable_variance"], rtol=1e-6)


@given(seed=st.integers(0, 5))
def test_neither_the_order_of_trials_nor_that_of_neurons_matters(seed):
    rates = smooth_rates(30, 5)
    trials = np.random.default_rng(10).poisson(rates, size=(4, 30, 5))
    random = np.random.default_rng(seed)
    order, cells = random.permutation(4), random.permutation(5)
    card, other = score_card(trials, rates), score_card(trials[order][..., cells], rates[:, cells])
    for name in card:
        np.testing.assert_allclose(other[name], card[name][cells], rtol=1e-9, err_msg=name)


def test_weights_are_repeats_of_bins(poisson):
    rates, trials = poisson
    drawn = np.random.default_rng(11).integers(750, size=750)
    weights = np.bincount(drawn, minlength=750) / 750
    card = score_card(trials[:, drawn], rates[drawn])
    for name in card:
        given_prediction = () if name in CEILINGS else (rates,)
        weighted = getattr(metrics, name)(trials, *given_prediction, weights=weights)
        np.testing.assert_allclose(weighted, card[name], rtol=1e-9, err_msg=name)


def test_three_neurons_and_three_trials_are_not_mixed_up():
    rates = smooth_rates(60, 4)
    trials = np.random.default_rng(12).poisson(rates, size=(3, 60, 4))
    card, fewer = score_card(trials, rates), score_card(trials[..., :3], rates[:, :3])
    for name in card:
        np.testing.assert_allclose(fewer[name], card[name][:3], rtol=1e-9, err_msg=name)


# ---- intervals and comparisons


def test_every_score_has_an_interval_around_it(poisson):
    rates, trials = poisson
    card = score_card(trials[..., :4], rates[:, :4])
    for name, score in card.items():
        low, high = bootstrap_interval(trials[..., :4], rates[:, :4], name, n=100)
        assert ((low <= score) & (score <= high) & (high - low < abs(score))).all(), name
        repeated = bootstrap_interval(trials[..., :4], rates[:, :4], name, n=100)
        np.testing.assert_array_equal(repeated, (low, high))


def test_intervals_cover_the_truth_as_often_as_they_say():
    # 300 independent cells whose prediction has correlation 0.6 with a smooth, autocorrelated response.
    random = np.random.default_rng(13)

    def smooth(shape):
        noise = random.normal(size=(shape[0] + 7, shape[1]))
        return sum(noise[i : i + shape[0]] for i in range(8))

    prediction = smooth((900, 300))
    response = 0.6 * prediction + 0.8 * smooth((900, 300))
    covered = {}
    for block in (1, 40):
        low, high = bootstrap_interval(response[None], prediction, "correlation", block=block, n=300)
        covered[block] = ((low < 0.6) & (high > 0.6)).mean()
    assert 0.88 < covered[40] < 0.98
    assert covered[1] < 0.75  # single bins would pretend to far more certainty


def test_neurons_without_a_score_have_no_interval(poisson):
    rates, trials = poisson
    quiet = trials[..., :2].copy()
    quiet[..., 0] = 0
    low, high = bootstrap_interval(quiet, rates[:, :2], "cc_norm", n=50)
    assert np.isnan([low[0], high[0]]).all()
    assert np.isfinite([low[1], high[1]]).all()
    assert bootstrap_scores(quiet, rates[:, :2], "cc_norm", n=50).shape == (50, 2)


def test_comparison_is_paired_and_leaves_out_undefined_neurons():
    random = np.random.default_rng(14)
    second = random.normal(0.5, 0.3, size=60)
    first = second + 0.05 + 0.02 * random.normal(size=60)
    first[3], second[7] = np.nan, np.nan
    comparison = compare_models(first, second)
    assert comparison.neurons == 58
    assert comparison.low < comparison.median_difference < comparison.high
    assert comparison.low < 0.05 < comparison.high
    assert comparison.p_value < 1e-6
    swapped = compare_models(second, first)
    np.testing.assert_allclose(swapped.median_difference, -comparison.median_difference)
    np.testing.assert_allclose(swapped.p_value, comparison.p_value)


def test_comparison_with_itself_finds_nothing():
    scores = np.linspace(0, 1, 9)
    comparison = compare_models(scores, scores)
    assert (comparison.median_difference, comparison.low, comparison.high, comparison.p_value) == (0, 0, 0, 1)


# ---- bad input


@pytest.mark.parametrize(
    ("trials", "prediction", "says"),
    [
        (np.ones((7, 5)), np.ones((7, 5)), r"responses\[None\]"),
        (np.ones((2, 7, 5)), np.ones((6, 5)), "lag"),
        (np.ones((2, 7, 5)), np.ones((5, 7)), "lag"),
        (np.ones((3, 7, 3)), np.ones((3, 7, 3)), "lag"),
        (np.ones((2, 1, 5)), np.ones((1, 5)), "two bins"),
        (np.ones((2, 7, 0)), np.ones((7, 0)), "trials must be"),
        (np.full((2, 7, 5), "a"), np.ones((7, 5)), "numbers"),
        (np.full((2, 7, 5), np.nan), np.ones((7, 5)), "trials of neuron 0"),
        (np.ones((2, 7, 5)), np.full((7, 5), np.inf), "prediction of neuron 0"),
        (-np.ones((2, 7, 5)), np.ones((7, 5)), "negative"),
    ],
)
def test_what_cannot_be_scored_is_refused_with_a_sentence(trials, prediction, says):
    with pytest.raises(UserError, match=says):
        score_card(trials, prediction)


def test_unknown_metric_oversized_block_and_other_neurons_are_refused(poisson):
    rates, trials = poisson
    with pytest.raises(UserError, match="did you mean 'cc_norm'"):
        bootstrap_interval(trials, rates, "ccnorm")
    with pytest.raises(UserError, match="block"):
        bootstrap_interval(trials[:, :50], rates[:50], "cc_norm", block=30)
    with pytest.raises(UserError, match="same neurons"):
        compare_models(np.ones(3), np.ones(4))
    with pytest.raises(UserError, match="no neuron"):
        compare_models(np.full(3, np.nan), np.ones(3))
    with pytest.raises(UserError, match="weights"):
        metrics.cc_norm(trials, rates, weights=np.ones(3) / 3)


def test_quality_index_and_signal_to_noise_rise_with_the_signal():
    rng = np.random.default_rng(0)
    signal = rng.standard_normal((1, 2000, 1)) * np.array([0.0, 1.0, 3.0])
    trials = signal + rng.standard_normal((5, 2000, 3))
    index, ratio = metrics.quality_index(trials), metrics.signal_to_noise(trials)
    # With noise alone the index is one over the number of trials.
    np.testing.assert_allclose(index, [1 / 5, (1 + 1 / 5) / 2, (9 + 1 / 5) / 10], rtol=0.05)
    np.testing.assert_allclose(ratio, [0, 1, 9], rtol=0.1, atol=0.05)
    assert np.isnan(metrics.quality_index(np.zeros((3, 10, 1)))).all()


def test_memory_for_many_neurons_is_bounded_and_changes_nothing(monkeypatch):
    trials = np.random.default_rng(0).poisson(2, (6, 40, 5)).astype(float)
    at_once = metrics.reliability(trials), metrics.bootstrap_scores(trials, None, "reliability", n=5)
    monkeypatch.setattr(metrics, "_VALUES_AT_ONCE", 1)
    parts = metrics.reliability(trials), metrics.bootstrap_scores(trials, None, "reliability", n=5)
    for one, other in zip(at_once, parts, strict=True):
        np.testing.assert_allclose(one, other)
