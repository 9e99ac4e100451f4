"""Sortings of planted groups, of no groups, and of simulated cells."""

import numpy as np
import pytest

import retina_nb as rnb
from retina_nb import UserError
from retina_nb.analyses.populations import adjusted_rand_index, cluster_cells, cluster_features, response_features


def groups(distance, seed=0):
    random = np.random.default_rng(seed)
    members = np.repeat(np.arange(4), [9, 12, 15, 10])
    return distance * np.eye(4, 6)[members] + random.standard_normal((len(members), 6)), members


def test_planted_groups_are_found_and_stable():
    features, members = groups(12)
    labels, stability = cluster_features(features, 4)
    assert adjusted_rand_index(members, labels) == 1
    assert (stability > 0.95).all()


def test_groups_that_do_not_exist_are_not_stable():
    features, _ = groups(0)
    _, stability = cluster_features(features, 4)
    assert stability.mean() < 0.6


def test_sorting_is_the_same_for_the_same_seed():
    features, _ = groups(3)
    for first, second in zip(cluster_features(features, 4), cluster_features(features, 4), strict=True):
        np.testing.assert_array_equal(first, second)


def test_the_rand_index_is_known_by_hand_and_0_by_chance():
    assert adjusted_rand_index([0, 0, 1, 1], ["b", "b", "a", "a"]) == 1
    assert adjusted_rand_index([0, 0, 1, 2], [0, 0, 1, 1]) == pytest.approx(4 / 7)
    random = np.random.default_rng(0)
    chance = [adjusted_rand_index(*random.integers(0, 4, (2, 60))) for _ in range(200)]
    assert abs(np.mean(chance)) < 0.01


def test_simulated_cells_fall_into_their_types_wherever_they_look():
    truth = rnb.load_truth(sessions=2, cells_per_session=24, clips=6, test_clips=1, repeats=2, size=(13, 15))
    found = cluster_cells(truth, clusters=12, bootstraps=5)
    assert adjusted_rand_index(truth.neurons()["type"], found.labels) > 0.9
    assert list(found.to_dataframe()) == ["session", "neuron", "cluster", "stability"]
    some = response_features(truth, session="simulated_2", neurons=[0, 5, 7])
    assert len(some) == 3


def test_bad_input_is_refused():
    features, _ = groups(3)
    with pytest.raises(UserError, match="from 2 to the number of neurons, 46"):
        cluster_features(features, 47)
    features[5, 2] = np.nan
    with pytest.raises(UserError, match="neuron 5 are not finite"):
        cluster_features(features, 4)
    with pytest.raises(UserError, match="same cells"):
        adjusted_rand_index([0, 1], [0, 1, 1])


def test_a_bootstrap_sample_may_be_of_one_neuron():
    labels, stability = cluster_features(np.array([[0.0], [0.1], [5.0]]), 2, bootstraps=200)
    assert labels[0] == labels[1] != labels[2]
    assert np.isfinite(stability).all()
    with pytest.raises(UserError, match="one neuron cannot be sorted"):
        cluster_features(np.zeros((1, 2)), 2)
    with pytest.raises(UserError, match="bootstraps=0"):
        cluster_features(np.zeros((3, 2)), 2, bootstraps=0)
