import json

import numpy as np
import pytest
import torch
from helpers import TINY, small_recording

import retina_nb as rnb
from retina_nb.models.ensemble import Ensemble

PRESET = "simulated_retina"


def twin(seed=0, sessions="ab", overrides=()):
    recordings = {name: small_recording(name, neurons=2 + number) for number, name in enumerate(sessions)}
    return rnb.build_twin(PRESET, recordings, overrides=[*TINY, *overrides], seed=seed).eval()


@pytest.fixture(scope="module")
def stimulus():
    return torch.randn(2, 2, 20, 7, 9, generator=torch.Generator().manual_seed(0))


def test_mean_and_spread_are_those_of_the_members(stimulus):
    twins = [twin(seed) for seed in range(3)]
    ensemble = Ensemble(twins)
    for session in ("a", "b", None):
        rates = np.stack([one(stimulus, session).detach().numpy() for one in twins])
        np.testing.assert_allclose(ensemble(stimulus, session).detach(), rates.mean(axis=0), rtol=1e-5)
        np.testing.assert_allclose(ensemble.spread(stimulus, session).detach(), rates.std(axis=0, ddof=1), atol=1e-6)
    assert ensemble.sessions == ["a", "b"]


def test_members_of_different_lags_are_aligned_at_the_end(stimulus):
    """A twin beside itself with a longer history says the same at the same time."""
    short, long = twin(), twin(overrides=["core.temporal_kernel_sizes=[9,5]"])
    ensemble = Ensemble([short, long])
    assert (short.lag, long.lag, ensemble.lag, ensemble.lookahead) == (6, 12, 12, 0)
    rates = ensemble.rates(stimulus, "a")
    assert rates.shape == (2, 2, 8, 2)
    torch.testing.assert_close(rates[0], short(stimulus, "a")[:, 6:])
    torch.testing.assert_close(rates[1], long(stimulus, "a"))
    torch.testing.assert_close(ensemble(stimulus[:, :, 5:], "a"), ensemble(stimulus, "a")[:, 5:])


def test_the_error_of_the_mean_is_at_most_the_mean_error_of_the_members():
    recordings = {"a": small_recording(time=800)}
    twins = [rnb.build_twin(PRESET, recordings, overrides=TINY, seed=seed) for seed in range(3)]
    for seed, one in enumerate(twins):
        rnb.fit(one, recordings, seed=seed, max_epochs=2, batch_size=8, chunk_size=40, accelerator="cpu")
    ensemble = Ensemble(twins)
    recording = recordings["a"]
    response = recording.response("test")[ensemble.lag :]

    def error(model):
        return ((rnb.predict(model, recording.stimulus("test"), "a") - response) ** 2).mean()

    assert error(ensemble) <= np.mean([error(one) for one in twins])
    scores = rnb.evaluate(ensemble, recordings, baseline=None)
    single = np.mean([rnb.evaluate(one, recordings, baseline=None)["correlation"].mean() for one in twins])
    assert len(scores) == 3
    assert scores["correlation"].mean() > single


def test_the_configuration_of_an_ensemble_is_what_it_takes_to_build_it_again(stimulus):
    ensemble = Ensemble([twin(), twin(overrides=["core.temporal_kernel_sizes=[9,5]"])])
    again = Ensemble.from_config(json.loads(json.dumps(ensemble.config)))
    again.load_state_dict(ensemble.state_dict())
    torch.testing.assert_close(again.eval()(stimulus), ensemble(stimulus))


@pytest.mark.parametrize(
    ("members", "message"),
    [
        ([{}], "two twins or more, not 1"),
        ([{}, {"sessions": "a"}], r"twin 1 of the ensemble has sessions \['a'\], twin 0 has \['a', 'b'\]"),
    ],
)
def test_twins_that_do_not_go_together_are_refused_in_a_sentence(members, message):
    with pytest.raises(rnb.UserError, match=message):
        Ensemble([twin(**member) for member in members])


def test_twins_of_other_neurons_under_the_same_names_are_refused():
    other = twin()
    other.about = other.about | {"neurons": {"a": 9, "b": 3}}
    with pytest.raises(rnb.UserError, match="has neurons"):
        Ensemble([twin(), other])


def test_stimuli_and_sessions_that_do_not_fit_are_refused_in_a_sentence(stimulus):
    ensemble = Ensemble([twin(), twin(overrides=["core.temporal_kernel_sizes=[9,5]"])])
    with pytest.raises(rnb.UserError, match="unknown session of the twin 'c'"):
        ensemble(stimulus, "c")
    with pytest.raises(rnb.UserError, match="needs more than 12 bins of stimulus, this one has 10"):
        ensemble(stimulus[:, :, :10])
    with pytest.raises(rnb.UserError, match=r"axis 1 \(channel\) is 1 not 2"):
        ensemble(stimulus[:, :1])
    with pytest.raises(rnb.UserError, match="must be"):
        ensemble(stimulus[0])
