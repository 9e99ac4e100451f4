import numpy as np
import pytest
import torch
from helpers import TINY, small_recording

import retina_nb as rnb
from retina_nb.models import activations
from retina_nb.models.activations import collect_activations, replaced_activations


@pytest.fixture(scope="module")
def twin():
    recordings = {name: small_recording(name, neurons=n) for name, n in (("a", 3), ("b", 2))}
    return rnb.build_twin("simulated_retina", recordings, overrides=TINY)


@pytest.fixture(scope="module")
def stimuli():
    rng = torch.Generator().manual_seed(0)
    return [torch.randn(2, 2, bins, 7, 9, generator=rng) for bins in (20, 11)]


def test_a_layers_activations_are_those_it_had(twin, stimuli, monkeypatch):
    """All of them if there is room, in the order of time, also where long stimuli are shown in parts."""
    features = [twin.eval().features(one).detach().movedim(1, -1) for one in stimuli]
    found = collect_activations(twin.train(), "core", stimuli)
    torch.testing.assert_close(found, torch.cat([one.reshape(-1, 3) for one in features]))
    assert twin.training
    rates = torch.cat([twin.eval()(one[:1], "b")[0].detach() for one in stimuli])
    monkeypatch.setattr(activations, "_BLOCK", 4)
    single = [one[:1] for one in stimuli]
    torch.testing.assert_close(collect_activations(twin, "readout.readouts.b", single, session="b"), rates)
    torch.testing.assert_close(collect_activations(twin, "", single, session="b"), rates)


def test_a_sample_of_activations_is_drawn_evenly_by_the_seed(twin, stimuli):
    every = collect_activations(twin, "core", stimuli)
    some = collect_activations(twin, "core", stimuli, samples=200, seed=1)
    assert some.shape == (200, 3)
    places = (every[None] == some[:, None]).all(dim=-1).float().argmax(dim=1)
    torch.testing.assert_close(every[places], some)
    assert len(places.unique()) == 200
    # A fair sample of 200 places has a mean within 5 standard errors of the middle.
    assert abs(places.float().mean() / len(every) - 0.5) < 5 / np.sqrt(12 * 200)
    assert torch.equal(collect_activations(twin, "core", stimuli, samples=200, seed=1), some)
    assert not torch.equal(collect_activations(twin, "core", stimuli, samples=200, seed=2), some)


def test_activations_are_replaced_while_it_lasts(twin, stimuli):
    stimulus = stimuli[0]
    before = twin.eval()(stimulus)
    with replaced_activations(twin, "core", lambda rows: rows.clone()):
        torch.testing.assert_close(twin(stimulus), before)
    with replaced_activations(twin, "core", lambda rows: rows * torch.tensor([1.0, 0.0, 0.0])):
        lesioned = twin(stimulus)
    with replaced_activations(twin, "readout.readouts.a", lambda rates: 2 * rates):
        torch.testing.assert_close(twin(stimulus, "a"), 2 * before[..., :3])
    features = twin.features(stimulus)
    features[:, 1:] = 0
    torch.testing.assert_close(lesioned, twin.read(features))
    torch.testing.assert_close(twin(stimulus), before)


def test_layers_and_stimuli_that_do_not_fit_are_refused_in_a_sentence(twin, stimuli):
    with pytest.raises(rnb.UserError, match="unknown layer 'cor': did you mean 'core'"):
        collect_activations(twin, "cor", stimuli)
    with (
        pytest.raises(rnb.UserError, match="unknown layer 'cor'"),
        replaced_activations(twin, "cor", lambda rows: rows),
    ):
        pass
    with pytest.raises(rnb.UserError, match=r"layer 'readout\.readouts\.a' was not reached"):
        collect_activations(twin, "readout.readouts.a", stimuli, session="b")
    with pytest.raises(rnb.UserError, match="in a list if there is one"):
        collect_activations(twin, "core", iter(stimuli[0]))
