"""Seeds are the library's own: whatever it draws, the user's random states stay as they were."""

import numpy as np
import pytest
import torch
from helpers import TINY, small_recording

import retina_nb as rnb
from retina_nb.analyses.most_exciting import most_exciting_inputs
from retina_nb.analyses.receptive_fields import spike_triggered_averages
from retina_nb.models.glm import fit_glm
from retina_nb.models.sparse_autoencoder import fit_sparse_autoencoder
from retina_nb.seeding import seed_torch, seeded

RECORDING = small_recording(time=400)


def build():
    return rnb.build_twin("simulated_retina", RECORDING, overrides=[*TINY, "core.dropout=0.2"])


@pytest.fixture(scope="module")
def twin():
    return build()


DRAWING = {
    "build_twin": lambda twin: build(),
    "fit": lambda twin: rnb.fit(build(), RECORDING, max_epochs=1, accelerator="cpu"),
    "add_sessions": lambda twin: build().add_sessions({"b": small_recording("b")}),
    "load_twin": lambda twin: rnb.load_twin("simulated"),
    "evaluate": lambda twin: rnb.evaluate(twin, RECORDING, baseline=None),
    "glm": lambda twin: fit_glm({"a": RECORDING})["a"].simulate(torch.zeros(2, 40, 7, 9)),
    "sparse_autoencoder": lambda twin: fit_sparse_autoencoder(torch.eye(8), 4, top_k=2, steps=20),
    "most_exciting_inputs": lambda twin: most_exciting_inputs(twin, session="a", neurons=[0], steps=2),
    "averages": lambda twin: spike_triggered_averages(RECORDING),
    "load_recordings": lambda twin: rnb.load_recordings(
        "simulated", sessions=1, cells_per_session=2, clips=6, test_clips=1, repeats=2
    ),
}


@pytest.mark.parametrize("name", DRAWING)
def test_random_states_stay_as_they_were(name, twin):
    torch.manual_seed(1)
    np.random.seed(1)
    before = torch.get_rng_state(), np.random.get_state()[1]
    DRAWING[name](twin)
    assert torch.equal(torch.get_rng_state(), before[0])
    assert (np.random.get_state()[1] == before[1]).all()


@pytest.mark.parametrize("readout", ["gaussian_mask", "point_gaussian"])
def test_an_untrained_twin_predicts_the_same_each_time(readout):
    overrides = [*TINY, "core.dropout=0.2", f"readout={readout}"]
    twin = rnb.build_twin("simulated_retina", RECORDING, overrides=overrides)
    twin.add_sessions({"b": small_recording("b", neurons=2)})
    before = {name: value.clone() for name, value in twin.state_dict().items()}
    for session in "ab":
        first, again = (rnb.predict(twin, RECORDING.stimulus("validation"), session) for _ in range(2))
        assert (first == again).all()
    assert all(torch.equal(value, before[name]) for name, value in twin.state_dict().items())


def test_draws_follow_from_the_seed_also_after_an_error():
    torch.manual_seed(3)
    expected = torch.rand(2)
    torch.manual_seed(1)
    before = torch.get_rng_state()
    with pytest.raises(ZeroDivisionError), seeded(3):  # noqa: PT012
        assert torch.equal(torch.rand(2), expected)
        seed_torch(3)
        assert torch.equal(torch.rand(2), expected)
        raise ZeroDivisionError
    assert torch.equal(torch.get_rng_state(), before)
