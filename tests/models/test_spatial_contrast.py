"""The spatial contrast model against planted cells, and the sign of its weight on the simulated retina."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch

import retina_nb as rnb
from retina_nb import Movie, Recording, UserError, metrics
from retina_nb.analyses.receptive_fields import spike_triggered_averages
from retina_nb.models.spatial_contrast import (
    SpatialContrast,
    fit_spatial_contrast,
    space_and_time,
)

RATE, HEIGHT, WIDTH, LAG = 30.0, 9, 11, 8
WEIGHTS = (1.2, 0.0, -0.6)
CENTERS = ((4, 5), (3, 6.4), (5.3, 4))


def planted_model(polarity=1.0):
    """Three cells of two channels that differ in place and weight of contrast."""
    y, x = np.indices((HEIGHT, WIDTH))
    spatial = np.stack([np.exp(-((y - cy) ** 2 + (x - cx) ** 2) / (2 * 1.4**2)) for cy, cx in CENTERS])
    spatial[spatial < np.exp(-4.5)] = 0
    spatial /= np.linalg.norm(spatial, axis=(1, 2), keepdims=True)
    before = np.arange(LAG, -1, -1)
    course = np.exp(-((before - 3) ** 2) / 3) - 0.4 * np.exp(-((before - 6) ** 2) / 3)
    temporal = polarity * np.array([0.8, 0.6])[:, None] * course / np.linalg.norm(course)
    fixed = torch.from_numpy(spatial).float(), torch.from_numpy(np.stack([temporal] * 3)).float()
    return SpatialContrast(*fixed, *torch.tensor([[2.0] * 3, [7.0] * 3, [-7.0, 0.0, 4.0], WEIGHTS]))


def recorded(model, time=9000, seed=0):
    """Poisson responses of a model to white noise whose contrast differs from time to time."""
    random = np.random.default_rng(seed)
    strength = random.choice([0.8, 1.2], time // 10).repeat(10)[:, None, None]
    movie = Movie((strength * random.standard_normal((2, time, HEIGHT, WIDTH))).astype(np.float32))
    with torch.no_grad():
        rates = model(torch.from_numpy(movie.frames)[None])[0].numpy()
    responses = np.concatenate([np.zeros((LAG, 3)), random.poisson(rates)])
    split = np.repeat(["train", "validation", "test"], [time - 1500, 1000, 500])
    return Recording("a", movie, responses, RATE, split=split, pixel_um=50.0)


def averages(recording):
    return {"a": spike_triggered_averages(recording, lags=LAG + 1).linear}


@pytest.fixture(scope="module")
def fitted():
    recording = recorded(planted_model())
    return recording, fit_spatial_contrast({"a": recording}, averages=averages(recording))


# ---- against the truth


def test_the_planted_weights_of_contrast_are_recovered(fitted):
    found = fitted[1]["a"].weight.detach().numpy()
    np.testing.assert_allclose(found, WEIGHTS, atol=0.25)


def test_filters_and_rates_are_those_of_the_planted_cells(fitted):
    recording, models = fitted
    truth, found = planted_model(), models["a"]
    for name in ("spatial", "temporal"):
        cosine = (getattr(truth, name) * getattr(found, name)).flatten(1).sum(dim=1)
        assert (cosine > 0.95).all()
    stimulus = torch.from_numpy(recording.stimulus("test"))[None]
    with torch.no_grad():
        rates, expected = found(stimulus)[0].numpy(), truth(stimulus)[0].numpy()
    assert (metrics.pearson(rates, expected) > 0.95).all()
    np.testing.assert_allclose(rates.mean(axis=0), expected.mean(axis=0), rtol=0.1)


def test_a_cell_that_likes_dark_has_its_polarity_in_time():
    recording = recorded(planted_model(polarity=-1.0), time=4000)
    found = fit_spatial_contrast({"a": recording}, averages=averages(recording))["a"]
    assert (found.spatial >= 0).all()
    assert ((found.temporal * planted_model().temporal).flatten(1).sum(dim=1) < -0.9).all()
    assert (found.slope > 0).all()


def test_rectified_subunits_give_a_weight_above_zero_and_linear_cells_none():
    chosen = [0, 1, 2, 3, 8, 9]  # ON and OFF cells of the simulated retina: transient, sustained, alpha
    recording = rnb.load_recordings("simulated")["simulated_1"]
    neurons = {name: values[chosen] for name, values in recording.neurons.items()}
    recording = replace(recording, responses=recording.responses[:, chosen], neurons=neurons)
    weight = fit_spatial_contrast({"simulated_1": recording})["simulated_1"].weight.detach().numpy()
    assert (weight[neurons["nonlinear"]] > 0.8).all()
    assert (np.abs(weight[~neurons["nonlinear"]]) < 0.25).all()


# ---- the formula


def test_outputs_depend_on_the_present_and_the_lag_before_it(fitted):
    model = fitted[1]["a"]
    stimulus = torch.randn(2, 2, 40, HEIGHT, WIDTH)
    changed = stimulus.clone()
    changed[:, :, 20] += 1
    with torch.no_grad():
        before, after = model(stimulus, "whatever"), model(changed)
    assert before.shape == (2, 40 - LAG, 3)
    differs = np.flatnonzero((before != after).any(dim=(2))[0].numpy()) + LAG
    assert (differs.min(), differs.max()) == (20, 20 + LAG)


# ---- filters from averages


def test_a_tilted_gaussian_is_found_in_an_average():
    y, x = np.indices((HEIGHT, WIDTH))
    along, across = (y - 4.2) * 0.8 + (x - 5.6) * 0.6, (x - 5.6) * 0.8 - (y - 4.2) * 0.6
    place = np.exp(-((along / 2.2) ** 2 + (across / 1.1) ** 2) / 2)
    course = np.array([0.1, -0.6, 0.2])
    average = np.einsum("c,k,hw->ckhw", [0.3, -1.0], course, place)
    spatial, temporal = space_and_time(average, contour=2.0)
    expected = place * (place >= np.exp(-2))
    np.testing.assert_allclose(spatial, expected / np.linalg.norm(expected), atol=1e-3)
    np.testing.assert_allclose(
        temporal, np.outer([0.3, -1], course) / np.linalg.norm(np.outer([0.3, -1], course)), atol=1e-3
    )


@pytest.mark.parametrize("value", [np.nan, np.inf, 0.0])
def test_a_neuron_without_an_average_is_predicted_at_its_mean(fitted, value):
    recording, models = fitted
    spoilt = averages(recording)
    spoilt["a"] = spoilt["a"].copy()
    spoilt["a"][1] = value
    found = fit_spatial_contrast({"a": recording}, averages=spoilt)["a"]
    assert not found.spatial[1].any()
    assert not found.temporal[1].any()
    stimulus = torch.from_numpy(recording.stimulus("train"))[None]
    with torch.no_grad():
        rates, others = found(stimulus)[0].numpy(), models(stimulus)[0].numpy()
    assert np.ptp(rates[:, 1]) < 1e-5
    np.testing.assert_allclose(rates[:, 1].mean(), recording.response("train")[LAG:, 1].mean(), rtol=0.02)
    assert (metrics.pearson(rates[:, [0, 2]], others[:, [0, 2]]) > 0.999).all()


# ---- saving, and bad input


def test_a_model_is_made_anew_from_its_config_and_weights(fitted):
    recording, models = fitted
    copy = type(models).from_config(json.loads(json.dumps(models.config)))
    copy.load_state_dict(models.state_dict())
    stimulus = torch.from_numpy(recording.stimulus("test"))[None]
    with torch.no_grad():
        torch.testing.assert_close(copy(stimulus, "a"), models(stimulus, "a"))


def test_what_does_not_fit_is_refused_with_a_sentence(fitted):
    recording, models = fitted
    with pytest.raises(UserError, match="session a has no spike-triggered averages"):
        fit_spatial_contrast({"a": recording}, averages={})
    with pytest.raises(UserError, match=r"averages of session a must be .* \(3, 2, lag, 9, 11\)"):
        fit_spatial_contrast({"a": recording}, averages={"a": np.zeros((3, 2, 9, 11, 9))})
    with pytest.raises(UserError, match="contour must be above 0"):
        fit_spatial_contrast({"a": recording}, averages=averages(recording), contour=0.0)
    with pytest.raises(UserError, match="filters take stimuli"):
        models(torch.zeros(1, 2, 30, WIDTH, HEIGHT), "a")
    with pytest.raises(UserError, match="more than 8 bins"):
        models(torch.zeros(1, 2, LAG, HEIGHT, WIDTH), "a")
