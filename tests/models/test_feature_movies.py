from dataclasses import replace

import numpy as np
import pytest
import torch
from helpers import TINY, small_recording

import retina_nb as rnb
from retina_nb.cores import Core
from retina_nb.loaders.batches import SharedBatches
from retina_nb.models.feature_movies import feature_bytes, feature_movies
from retina_nb.readouts import Readout, SessionReadouts


class Delayed(Readout):
    """The means of two features over places, late by three bins."""

    lag = 3

    def forward(self, features):
        return features.mean(dim=(3, 4)).mT[:, : features.shape[2] - self.lag, :2]


@pytest.fixture(params=[False, True])
def twin(request):
    """With and without a core that depends on the session."""
    readout = SessionReadouts({"a": Delayed(), "b": Delayed()})
    core = rnb.build_twin("simulated_retina", {"a": small_recording()}, overrides=TINY).core
    if request.param:
        core = Louder(core)
    return rnb.build_twin(recordings={"a": small_recording()}, core=core, readout=readout).eval()


class Louder(Core):
    per_session, lag = True, 6

    def __init__(self, core):
        super().__init__()
        self.core = core

    def forward(self, x, session=None):
        return self.core(x * {"a": 1, "b": 2, None: 1}[session])


def batches(recordings, lag):
    return SharedBatches(recordings, split="train", lag=lag, chunk_size=23, batch_size=100)


def test_rates_from_features_are_those_from_the_stimulus_in_the_same_bins(twin):
    """With presentations that end, an eye that is mirrored and stretches of bins that are not used."""
    movie = small_recording().movie
    first = small_recording("a", neurons=2, movie=movie)
    split = first.split.copy()
    split[200:220] = ""
    first = replace(first, split=split, onsets=np.array([0, 101, 400]))
    recordings = {"a": first, "b": replace(first, session="b", mirrored=True)}
    features = feature_movies(twin, recordings)
    for session in recordings:
        (seen,) = batches({session: recordings[session]}, twin.lag)
        (made,) = batches({session: features[session]}, twin.readout.lag)
        one, other = seen.targets[session], made.targets[session]
        assert torch.equal(one.responses, other.responses)
        assert torch.equal(one.weights, other.weights)
        expected, found = twin(seen.stimulus, session), twin.read(made.stimulus, session)
        counts = one.weights > 0
        torch.testing.assert_close(found[counts], expected[counts])


def test_sessions_that_share_the_stimulus_share_features_unless_the_core_tells_them_apart(twin):
    movie = small_recording().movie
    recordings = {name: small_recording(name, neurons=2, movie=movie) for name in "ab"}
    features = feature_movies(twin, recordings)
    assert (features["a"].movie is features["b"].movie) is not twin.core.per_session
    sizes = {id(one.movie): one.movie.frames.nbytes for one in features.values()}
    assert feature_bytes(twin, recordings) == sum(sizes.values())
