"""The subunit model against planted subunits: each of them on fine pixels, their pool on the simulated retina."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch

import retina_nb as rnb
from retina_nb import Movie, Recording, UserError
from retina_nb.models.linear_nonlinear import fit_linear_nonlinear
from retina_nb.models.subunit_fits import fit_subunits
from retina_nb.models.subunits import gaussians, pooled, through_time

RATE, HEIGHT, WIDTH = 30.0, 17, 19
SPREAD = 1.2
COURSE = np.exp(-((np.arange(10) - 3) ** 2) / 3) - 0.5 * np.exp(-((np.arange(10) - 6) ** 2) / 6)


def planted_cell(seed=0, time=6000):
    """A recording of one cell that pools seven rectified subunits, their places (y, x) and weights."""
    random = np.random.default_rng(seed)
    movie = random.standard_normal((1, time, HEIGHT, WIDTH)).astype(np.float32)
    angles = np.arange(6) * np.pi / 3 + 0.3
    ring = 5 * np.stack([np.sin(angles), np.cos(angles)], axis=1)
    places = np.concatenate([np.zeros((1, 2)), ring]) + [8.3, 9.2]
    weights = random.uniform(0.6, 1, 7)
    y, x = np.indices((HEIGHT, WIDTH))
    drive = np.zeros(time)
    for (at_y, at_x), weight in zip(places, weights, strict=True):
        bump = np.exp(-((y - at_y) ** 2 + (x - at_x) ** 2) / (2 * SPREAD**2))
        trace = np.convolve((movie[0] * bump).sum(axis=(1, 2)), COURSE)[:time]
        drive += weight * np.maximum(trace, 0)
    rate = np.log1p(np.exp(3 * (drive - drive.mean()) / drive.std() - 1.5))
    responses = random.poisson(0.4 * rate / rate.mean())[:, None]
    split = np.repeat(["train", "validation"], [time - 1000, 1000])
    return Recording("a", Movie(movie), responses, RATE, split=split, pixel_um=10.0), places, weights


@pytest.fixture(scope="module")
def fine():
    recording, places, weights = planted_cell()
    return fit_subunits({"a": recording}, spacing_um=10, radius_um=80, history=0.4)["a"], places, weights


@pytest.fixture(scope="module")
def retina():
    """Four cells of the simulated retina, ON, ON-OFF, ON and suppressed by contrast, and models of them."""
    chosen = [0, 4, 8, 11]
    recording = rnb.load_recordings("simulated")["simulated_1"]
    neurons = {name: values[chosen] for name, values in recording.neurons.items()}
    recording = replace(recording, responses=recording.responses[:, chosen], neurons=neurons)
    subunits = rnb.load_truth().subunits("simulated_1")
    truth = [subunits[subunits["neuron"] == cell] for cell in chosen]
    return recording, truth, fit_subunits({"simulated_1": recording})["simulated_1"]


# ---- against the truth


def test_each_planted_subunit_is_found_with_its_weight(fine):
    model, places, weights = fine
    found, pooling = model.subunit_places[0].numpy(), model.pooling[0].detach().numpy()
    distance = np.linalg.norm(found[:, None] - places, axis=2)
    near = distance.argmin(axis=1)
    assert pooling[distance.min(axis=1) < 1.5].sum() > 0.9 * pooling.sum()
    mass = np.array([pooling[near == unit].sum() for unit in range(7)])
    middle = np.stack([pooling[near == unit] @ found[near == unit] for unit in range(7)]) / mass[:, None]
    assert (np.linalg.norm(middle - places, axis=1) < 0.5).all()
    assert np.corrcoef(mass, weights)[0, 1] > 0.8


def test_their_shape_in_space_and_time_is_the_planted_one(fine):
    model, _, _ = fine
    middle = model.subunit_places[0].sub(torch.tensor([8.0, 9.0])).norm(dim=1).argmin()
    (at_y, at_x) = model.subunit_places[0, middle]
    y, x = np.indices((HEIGHT, WIDTH))
    planted = np.exp(-((y - at_y.item()) ** 2 + (x - at_x.item()) ** 2) / (2 * SPREAD**2))
    found = model.subunit_filters(0)[middle, 0].detach().numpy()
    assert (found * planted).sum() / np.linalg.norm(found) / np.linalg.norm(planted) > 0.95
    course = np.pad(COURSE, (0, model.lag + 1 - len(COURSE)))[::-1]
    assert model.temporal[0].detach().numpy() @ course / np.linalg.norm(course) > 0.97


def test_the_pool_of_simulated_cells_is_found_where_their_subunits_are(retina):
    recording, truth, model = retina
    for neuron, units in enumerate(truth):
        if recording.neurons["type"][neuron].startswith("ON-OFF DS"):
            continue  # inhibition from one side, which the model has not, moves their pool
        spread = torch.tensor([units["spread"].iloc[0]], dtype=torch.float32)
        places = (torch.tensor(units[["y", "x"]].to_numpy(), dtype=torch.float32), model.subunit_places[neuron])
        weights = (torch.tensor(units["weight"].to_numpy(), dtype=torch.float32), model.pooling[neuron].detach())
        planted, found = (
            (gaussians(place, spread, recording.movie.frame_shape[1:])[:, 0] * weight[:, None, None]).sum(dim=0)
            for place, weight in zip(places, weights, strict=True)
        )
        assert np.corrcoef(planted.flatten(), found.flatten())[0, 1] > 0.93
        centers = [
            (weight[:, None] * place).sum(dim=0) / weight.sum() for place, weight in zip(places, weights, strict=True)
        ]
        assert (centers[0] - centers[1]).norm() < 0.5


def test_cells_of_both_polarities_and_silenced_ones_are_told_from_the_others(retina):
    recording, _, model = retina
    kinds = recording.neurons["type"]
    both = np.array([kind.startswith("ON-OFF") or kind.startswith("suppressed") for kind in kinds])
    other = model.other_polarity.detach().numpy()
    assert (other[both] > 0.7).all()
    assert (other[~both] < 0.2).all()
    np.testing.assert_array_equal(model.sign < 0, [kind.startswith("suppressed") for kind in kinds])


def test_rectified_cells_are_predicted_better_than_by_a_linear_filter(retina):
    recording, _, model = retina
    scores = [
        rnb.evaluate(one, {"simulated_1": recording}, baseline=None)["cc_norm"]
        for one in (model, fit_linear_nonlinear({"simulated_1": recording}))
    ]
    selective = np.array([kind.startswith("ON-OFF DS") for kind in recording.neurons["type"]])
    assert (scores[0][~selective] > 0.8).all()
    assert (scores[0] > scores[1]).all()
    assert np.median(scores[0] - scores[1]) > 0.1


# ---- what a subunit model does


def test_rates_are_those_of_the_formula(retina):
    recording, _, model = retina
    stimulus = torch.from_numpy(recording.stimulus("test"))[None, :, :40]
    with torch.no_grad():
        rates = model(stimulus, "whatever")
        for neuron in (0, 3):
            filters = torch.einsum("schw,k->sckhw", model.subunit_filters(neuron), model.temporal[neuron])
            seen = torch.nn.functional.conv3d(stimulus, filters)[0, :, :, 0, 0]
            drive = model.pooling[neuron] @ (seen.relu() + model.other_polarity[neuron] * (-seen).relu())
            bent = torch.nn.functional.softplus(model.sign[neuron] * drive + model.offset[neuron])
            expected = model.gain[neuron] * bent + model.base[neuron]
            torch.testing.assert_close(rates[0, :, neuron], expected, rtol=1e-3, atol=1e-4)
    assert rates.shape == (1, 40 - model.lag, 4)


def test_a_recording_without_pixel_size_has_subunits_a_pixel_apart():
    recording, _, _ = planted_cell(time=1600)
    unknown = replace(recording, pixel_um=float("nan"))
    model = fit_subunits({"a": unknown}, radius_um=100, history=0.2)["a"]
    np.testing.assert_array_equal(np.unique(model.places), np.arange(-2, 3))


@pytest.mark.parametrize("time", [5, 64, 70, 200])
def test_filtering_through_time_is_a_convolution(time):
    traces, temporal = torch.randn(3, time), torch.randn(5)
    expected = torch.nn.functional.conv1d(traces[:, None], temporal[None, None])[:, 0]
    torch.testing.assert_close(through_time(traces, temporal), expected, rtol=1e-4, atol=1e-5)


def test_the_other_polarity_counts_as_much_as_it_says():
    seen = torch.tensor([[1.0, -1.0, 0.5], [-2.0, 2.0, 0.0]])
    pool = pooled(seen, torch.tensor([1.0, 0.5]), torch.tensor(0.25))
    torch.testing.assert_close(pool, torch.tensor([1 + 0.25, 0.25 + 1.0, 0.5]))


def test_gradients_reach_the_stimulus(retina):
    recording, _, model = retina
    stimulus = torch.from_numpy(recording.stimulus("test"))[None, :, :30].requires_grad_()
    model(stimulus).sum().backward()
    assert torch.isfinite(stimulus.grad).all()
    assert stimulus.grad.abs().max() > 0


# ---- saving, and bad input


def test_a_model_is_made_anew_from_its_config_and_weights(retina):
    recording, _, model = retina
    copy = type(model).from_config(json.loads(json.dumps(model.config)))
    copy.load_state_dict(model.state_dict())
    stimulus = torch.from_numpy(recording.stimulus("test"))[None, :, :60]
    with torch.no_grad():
        torch.testing.assert_close(copy(stimulus), model(stimulus), rtol=0, atol=0)


def test_a_silent_neuron_is_predicted_silent():
    recording, _, _ = planted_cell(time=1600)
    silent = replace(recording, responses=np.zeros_like(recording.responses))
    model = fit_subunits({"a": silent}, spacing_um=20, radius_um=40, history=0.3)["a"]
    with torch.no_grad():
        rates = model(torch.from_numpy(recording.stimulus("validation"))[None])
    assert (rates < 1e-4).all()


def test_what_does_not_fit_is_refused_with_a_sentence(retina):
    recording, _, model = retina
    with pytest.raises(UserError, match="0 < spacing <= radius, not 0 and 225"):
        fit_subunits({"a": recording}, spacing_um=0)
    with pytest.raises(UserError, match="not 50 and 20"):
        fit_subunits({"a": recording}, radius_um=20)
    with pytest.raises(UserError, match="filters take stimuli"):
        model(torch.zeros(1, 2, 30, 16, 18))
    with pytest.raises(UserError, match="more than 21 bins"):
        model(torch.zeros(1, 2, 21, 18, 16))
