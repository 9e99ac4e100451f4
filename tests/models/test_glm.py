"""The GLM against a coupled population whose every coupling is planted."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch

from retina_nb import Movie, Recording, UserError, metrics
from retina_nb.models.glm import GLM, coupling_significance, fit_glm
from retina_nb.models.linear_nonlinear import LinearNonlinear
from retina_nb.models.single_cell import SessionModels

RATE, HEIGHT, WIDTH, NEURONS, HISTORY = 30.0, 5, 7, 6, 6
AFTER = np.arange(HISTORY)  # bins after a spike, less one
REFRACTORY = -2.5 * np.exp(-AFTER) + 0.3 * np.exp(-((AFTER - 3) ** 2) / 2)


def planted_population(nonlinearity="exp", seed=0, time=12_000):
    """A recording of neurons that see the screen and each other, and what a spike adds to the drive
    (neuron, source, bin after): refractory, five excitatory and five inhibitory couplings."""
    rate = {"exp": lambda drive: np.exp(drive - 1.2), "softplus": lambda drive: 0.5 * np.log1p(np.exp(2 * drive))}
    random = np.random.default_rng(seed)
    movie = Movie(random.standard_normal((1, time, HEIGHT, WIDTH)).astype(np.float32))
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    course = np.exp(-((np.arange(12) - 3) ** 2) / 3) - 0.5 * np.exp(-((np.arange(12) - 6) ** 2) / 6)
    drive = np.empty((time, NEURONS))
    for neuron in range(NEURONS):
        place = np.exp(-((y - random.uniform(1, 3)) ** 2 + (x - random.uniform(1, 5)) ** 2) / 2)
        trace = np.convolve((movie.frames[0] * place).sum(axis=(1, 2)), course)[:time]
        drive[:, neuron] = 0.75 * trace / trace.std()
    coupling = np.zeros((NEURONS, NEURONS, HISTORY))
    coupling[range(NEURONS), range(NEURONS)] = REFRACTORY
    pairs = random.permutation([(a, b) for a in range(NEURONS) for b in range(NEURONS) if a != b])[:10]
    for number, (neuron, source) in enumerate(pairs):
        coupling[neuron, source] = (0.6, -0.9)[number % 2] * np.exp(-AFTER / 1.5)
    spikes = np.zeros((HISTORY + time, NEURONS))
    for now in range(time):
        fed = np.einsum("tj,ijt->i", spikes[now : now + HISTORY][::-1], coupling)
        spikes[HISTORY + now] = random.poisson(rate[nonlinearity](drive[now] + fed).clip(max=8))
    split = np.repeat(["train", "validation", "test"], [time - 1500, 900, 600])
    return Recording("a", movie, spikes[HISTORY:], RATE, split=split, pixel_um=50.0), coupling


@pytest.fixture(scope="module", params=[("exp", 0), ("softplus", 1)], ids=["exp", "softplus"])
def fitted(request):
    nonlinearity, seed = request.param
    recording, coupling = planted_population(nonlinearity, seed)
    return recording, coupling, fit_glm({"a": recording}, nonlinearity=nonlinearity)["a"]


def shown(recording, split="test"):
    return torch.from_numpy(recording.stimulus(split))[None]


def small_glm(coupling, offset=-1.0, nonlinearity="exp"):
    """Two neurons that see one pixel, at once."""
    stimulus = LinearNonlinear(
        torch.ones(2, 1, 1),
        torch.full((2, 1, 1, 1, 1), 0.5),
        torch.full((2,), offset),
        torch.ones(2),
        torch.zeros(2),
        nonlinearity=nonlinearity,
    )
    return GLM(stimulus, torch.tensor(coupling), torch.full((2,), 9.0))


# ---- against the truth


def test_planted_couplings_are_found_with_their_signs_and_no_others(fitted):
    recording, planted, model = fitted
    size, significance = planted.sum(axis=2), coupling_significance(model, recording)
    others = ~np.eye(NEURONS, dtype=bool)
    coupled = others & (size != 0)
    assert np.mean((np.sign(significance) == np.sign(size))[coupled] & (np.abs(significance[coupled]) > 3)) >= 0.95
    chance = significance[others & (size == 0)]
    assert (np.abs(chance) < 3.5).all()
    assert 0.5 < chance.std() < 1.5


def test_the_refractory_history_is_recovered(fitted):
    _, _, model = fitted
    for neuron in range(NEURONS):
        found = model.coupling[neuron, neuron].detach().flip(0)[:HISTORY]
        assert np.corrcoef(found, REFRACTORY)[0, 1] > 0.98


def test_simulated_spikes_are_like_the_recorded_ones(fitted):
    recording, _, model = fitted
    spikes = model.simulate(shown(recording, "train")[0], seed=1)[0].numpy()
    recorded = recording.response("train")[model.lag :]
    np.testing.assert_allclose(spikes.mean(axis=0), recorded.mean(axis=0), rtol=0.15)

    def after_a_spike(counts):  # how much likelier a spike is in the bin after one: refractoriness and couplings
        fired = counts > 0
        return (fired[:-1, :, None] & fired[1:, None]).mean(axis=0) / np.outer(*[fired.mean(axis=0)] * 2)

    np.testing.assert_allclose(after_a_spike(spikes), after_a_spike(recorded), rtol=0.2, atol=0.15)


def test_spikes_that_were_recorded_tell_more_than_the_stimulus_alone(fitted):
    recording, _, model = fitted
    spikes = torch.from_numpy(recording.response("test"))
    with torch.no_grad():
        predictions = model(shown(recording)), model(shown(recording), spikes=spikes[None])
    alone, forced = (metrics.bits_per_spike(spikes[None, model.lag :].numpy(), rate[0].numpy()) for rate in predictions)
    assert (forced > alone).all()
    assert np.median(forced - alone) > 0.1


# ---- what a GLM does


def test_a_rate_counts_the_spikes_before_it_by_the_coupling():
    model = small_glm([[[0.0, -1.0], [0.5, 0.25]], [[0.0, 0.0], [0.0, 0.0]]])
    stimulus, spikes = torch.zeros(1, 1, 6, 1, 1), torch.zeros(1, 6, 2)
    spikes[0, 2] = torch.tensor([2.0, 1.0])
    with torch.no_grad():
        rates = model(stimulus, spikes=spikes)[0]
    assert model.lag == 2
    # The bin itself; the next one, which the last weight is for; and the one after it.
    expected = torch.tensor([-1.0, -1 - 2 * 1.0 + 0.25, -1 + 0.5, -1.0]).exp()
    torch.testing.assert_close(rates[:, 0], expected)
    torch.testing.assert_close(rates[:, 1], torch.full((4,), -1.0).exp())


def test_the_prediction_is_the_mean_over_simulated_trials(fitted):
    recording, _, model = fitted
    stimulus = shown(recording)[:, :, :300]
    with torch.no_grad():
        rates, again = model(stimulus)[0], model(stimulus, "whatever")[0]
    torch.testing.assert_close(rates, again, rtol=0, atol=0)
    spikes = model.simulate(stimulus[0], trials=600, seed=5)
    assert spikes.shape == (600, 300 - model.lag, NEURONS)
    assert (metrics.pearson(rates.numpy(), spikes.mean(dim=0).numpy()) > 0.85).all()
    np.testing.assert_allclose(rates.mean(dim=0), spikes.mean(dim=(0, 1)), rtol=0.1)


def test_what_comes_later_changes_nothing(fitted):
    recording, _, model = fitted
    stimulus, spikes = shown(recording)[:, :, :120], torch.from_numpy(recording.response("test"))[None, :120]
    later, fired = stimulus.clone(), spikes.clone()
    later[:, :, 90:] = 3
    fired[:, 89:] = 2
    with torch.no_grad():
        torch.testing.assert_close(model(later)[:, : 90 - model.lag], model(stimulus)[:, : 90 - model.lag])
        before, after = model(stimulus, spikes=spikes), model(stimulus, spikes=fired)
    differs = np.flatnonzero((before != after).any(dim=2)[0].numpy()) + model.lag
    assert differs.min() == 90


def test_excitation_that_runs_away_stops_at_the_ceiling():
    model = small_glm([[[1.5], [1.5]], [[1.5], [1.5]]], offset=0.0)
    with torch.no_grad():
        rates = model(torch.ones(1, 1, 60, 1, 1))
    assert rates.max() == 9
    assert torch.isfinite(rates).all()


def test_a_neuron_may_hear_itself_alone():
    recording, _ = planted_population(time=4000)
    coupling = fit_glm({"a": recording}, coupled=False)["a"].coupling.detach()
    heard = coupling.abs().sum(dim=2) > 0
    torch.testing.assert_close(heard, torch.eye(NEURONS, dtype=torch.bool))


def test_sessions_that_saw_the_same_are_not_coupled():
    first, _ = planted_population(time=4000)
    second = replace(first, session="b", responses=first.responses[:, :4])
    models = fit_glm({"a": first, "b": second})
    assert [models[session].coupling.shape for session in "ab"] == [(6, 6, 9), (4, 4, 9)]
    assert np.abs(coupling_significance(models["a"], first)).max() > 3
    stimulus = shown(first)[:, :, :100]
    with torch.no_grad():
        together = models(stimulus)
    assert together.shape == (1, 100 - models.lag, 10)


def test_a_glm_is_made_anew_from_its_config_and_weights(fitted):
    recording, _, model = fitted
    models = SessionModels({"a": model})
    copy = SessionModels.from_config(json.loads(json.dumps(models.config)))
    copy.load_state_dict(models.state_dict())
    with torch.no_grad():
        torch.testing.assert_close(copy(shown(recording), "a"), model(shown(recording)), rtol=0, atol=0)
    assert model.about == {**model.about, "rate_hz": RATE, "pixel_um": 50.0}


# ---- bad input


def test_what_a_glm_cannot_use_is_refused_with_a_sentence(fitted):
    recording, _, model = fitted
    with pytest.raises(UserError, match="session a: a GLM needs spike counts"):
        fit_glm({"a": replace(recording, responses=recording.responses / 2)})
    with pytest.raises(UserError, match="unknown nonlinearity"):
        fit_glm({"a": recording}, nonlinearity="relu")
    with pytest.raises(UserError, match=rf"more than {model.lag} bins of stimulus, this one has {model.lag}"):
        model(torch.zeros(1, 1, model.lag, HEIGHT, WIDTH))
    with pytest.raises(UserError, match=r"spikes must be \(batch, time, neuron\) \(1, 50, 6\)"):
        model(torch.zeros(1, 1, 50, HEIGHT, WIDTH), spikes=torch.zeros(1, 49, 6))
