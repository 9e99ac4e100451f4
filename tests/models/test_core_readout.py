import copy

import numpy as np
import pytest
import torch
from helpers import TINY, small_recording
from torch import nn

import retina_nb as rnb
from retina_nb.cores import Core
from retina_nb.models import CoreReadout
from retina_nb.models.building import start_readouts
from retina_nb.models.locate import locate_receptive_fields
from retina_nb.readouts import Readout, SessionReadouts

PRESET = "hoefling_2024_low_res"


@pytest.fixture
def twin():
    return rnb.build_twin(PRESET, {"a": small_recording()}, overrides=TINY).eval()


def changed(recording, *, movie=None, **fields):
    """The recording, but for some fields of it or its movie."""
    kept = {name: getattr(recording, name) for name in recording.__dataclass_fields__}
    seen = {name: getattr(recording.movie, name) for name in ("frames", "mean", "std", "channels")}
    return rnb.Recording(**kept | {"movie": rnb.Movie(**seen | (movie or {}))} | fields)


# ---- what it takes


@pytest.mark.parametrize(
    ("shape", "message"),
    [
        ((2, 20, 7, 9), r"must be \(batch, channel, time, height, width\)"),
        ((1, 3, 20, 7, 9), r"axis 1 \(channel\) is 3 not 2$"),
        ((1, 2, 20, 8, 9), r"axis 3 \(height\) is 8 not 7$"),
        ((1, 2, 20, 7, 8), r"axis 4 \(width\) is 8 not 9$"),
        ((1, 2, 20, 9, 7), r"axis 3 \(height\) is 9 not 7 and axis 4 \(width\) is 7 not 9$"),
        ((1, 2, 6, 7, 9), r"too short: axis 2 \(time\) is 6, the twin needs more than 6 bins"),
        ((0, 2, 20, 7, 9), r"empty along axis 0 \(batch\)"),
    ],
)
def test_a_stimulus_that_does_not_fit_is_refused_in_a_sentence_that_names_the_axis(twin, shape, message):
    with pytest.raises(rnb.UserError, match=message):
        twin(torch.zeros(shape))


def test_an_unknown_session_lists_the_known(twin):
    with pytest.raises(rnb.UserError, match="unknown session of the twin 'b': known are a"):
        twin(torch.zeros(1, 2, 20, 7, 9), "b")


def test_predictions_do_not_depend_on_the_rest_of_the_batch_or_the_chunk(twin):
    stimulus = torch.randn(3, 2, 30, 7, 9)
    whole = twin(stimulus)
    torch.testing.assert_close(twin(stimulus[1:2])[0], whole[1])
    torch.testing.assert_close(twin(stimulus[:, :, 10:]), whole[:, 10:])


def test_a_twin_can_be_copied_after_a_forward_with_gradients(twin):
    stimulus = torch.randn(1, 2, 12, 7, 9)
    rate = twin.train()(stimulus)
    copied = copy.deepcopy(twin).eval()
    rate.sum().backward()
    torch.testing.assert_close(copied(stimulus), twin.eval()(stimulus))


# ---- cores and readouts of other kinds


class PerSession(Core):
    """Scales the stimulus by what the session says."""

    per_session, lag = True, 0

    def __init__(self, scales):
        super().__init__()
        self.scales = scales

    def forward(self, x, session=None):
        return self.scales.get(session, 0) * x


class Delayed(Readout):
    """The mean over channels and places, late by some bins."""

    def __init__(self, lag):
        super().__init__()
        self.lag = lag

    def forward(self, features):
        return features.mean(dim=(1, 3, 4))[:, : features.shape[2] - self.lag, None]


def test_a_core_that_depends_on_the_session_gets_its_name_and_every_session_its_own_pass():
    readouts = SessionReadouts({"b": Delayed(0), "a": Delayed(0)})
    twin = CoreReadout(PerSession({"a": 1.0, "b": 3.0}), readouts)
    stimulus = torch.randn(2, 1, 6, 5, 7)
    mean = stimulus.mean(dim=(1, 3, 4))[..., None]
    torch.testing.assert_close(twin(stimulus, "b"), 3 * mean)
    torch.testing.assert_close(twin(stimulus), torch.cat([mean, 3 * mean], dim=-1))
    with pytest.raises(rnb.UserError, match="unknown session of the twin 'c'"):
        twin(stimulus, "c")


def test_a_core_that_depends_on_the_session_is_told_which_there_are(twin):
    class Gains(Core):
        per_session = True

        def __init__(self, core):
            super().__init__()
            self.core, self.lag, self.gains = core, core.lag, {"a": 3.0}

        def forward(self, x, session=None):
            return self.core(x * self.gains[session])

        def set_sessions(self, sessions):
            self.gains = {session: self.gains.get(session, 1.0) for session in sessions}

    twin.core = Gains(twin.core)
    twin.add_sessions({"c": small_recording("c"), "b": small_recording("b")})
    assert twin.core.gains == {"a": 3.0, "b": 1.0, "c": 1.0}
    assert twin(torch.zeros(1, 2, 20, 7, 9)).shape == (1, 14, 9)
    twin.remove_sessions(["b"])
    assert twin.core.gains == {"a": 3.0, "c": 1.0}


def test_sessions_with_speeds_of_their_own_come_and_go(tmp_path):
    """A new one starts at speed 1, the others keep theirs, in the twin and in its file."""
    recordings = {name: small_recording(name, neurons=2) for name in ("a", "c")}
    twin = rnb.build_twin("simulated_retina", recordings, overrides=[*TINY, "core.session_speeds=true"])
    twin.core.log_speeds.data = torch.tensor([0.3, -0.2])
    stimulus = torch.randn(1, 2, 20, 7, 9)
    before = twin.eval()(stimulus)
    twin.add_sessions({"b": small_recording("b", neurons=3)})
    torch.testing.assert_close(twin.core.log_speeds.data, torch.tensor([0.3, 0.0, -0.2]))
    torch.testing.assert_close(twin(stimulus, "c"), before[..., 2:])
    again = rnb.load_twin(twin.save(tmp_path / "twin.safetensors"))
    torch.testing.assert_close(again(stimulus), twin(stimulus))
    twin.remove_sessions(["a"])
    torch.testing.assert_close(twin(stimulus, "c"), before[..., 2:])
    twin.remove_sessions(["b", "c"])
    twin.add_sessions({"d": recordings["c"]})
    assert twin(stimulus, "d").shape == (1, 14, 2)


def test_the_lag_is_that_of_core_and_readout():
    twin = CoreReadout(PerSession({"a": 1.0}), SessionReadouts({"a": Delayed(2)}))
    assert (twin.lag, twin.lookahead) == (2, 0)
    stimulus = torch.randn(1, 1, 6, 5, 7)
    torch.testing.assert_close(twin(stimulus, "a")[..., 0], stimulus.mean(dim=(1, 3, 4))[:, :4])
    # A readout that loses less is aligned with the one that loses most.
    twin.readout.add("b", Delayed(1))
    assert twin.lag == 2
    assert twin(stimulus, "b").shape == (1, 4, 1)


# ---- starting from the data


def test_the_first_rates_are_the_mean_rates_of_the_recordings():
    recordings = {name: small_recording(name, neurons=n, seed=n) for name, n in (("a", 3), ("b", 2))}
    twin = rnb.build_twin(PRESET, recordings, overrides=TINY).eval()
    for session, recording in recordings.items():
        expected = recording.response("train").mean(axis=0)
        first = rnb.predict(twin, recording.stimulus("train"), session).mean(axis=0)
        np.testing.assert_allclose(first, expected, rtol=0.5)
        nn.init.zeros_(twin.session_readout(session).features)
        silent = rnb.predict(twin, recording.stimulus("train"), session)
        np.testing.assert_allclose(silent, np.broadcast_to(expected, silent.shape), rtol=1e-4)


def test_places_are_handed_over_in_pixels_of_the_feature_movie_from_its_centre():
    """A core that halves the resolution halves the offsets."""

    class Noting(Readout):
        def initialize(self, mean_rate, position):
            self.position = position

    readout, recording = Noting(), small_recording()
    twin = CoreReadout(PerSession({}), SessionReadouts({"a": readout}))
    for stride in (1, 2):
        twin.core.stride = stride
        start_readouts(twin, {"a": recording})
        np.testing.assert_allclose(readout.position, (locate_receptive_fields(recording) - [3, 4]) / stride)


# ---- freezing


def test_a_frozen_core_has_no_gradients_and_keeps_its_statistics_and_features_in_training(twin):
    stimulus = torch.randn(2, 2, 12, 7, 9)
    expected, statistics = twin.features(stimulus), copy.deepcopy(twin.core.state_dict())
    twin.freeze_core()
    twin.train()
    assert twin.readout.training
    torch.testing.assert_close(twin.features(stimulus), expected)
    twin(stimulus).sum().backward()
    assert all(parameter.grad is None for parameter in twin.core.parameters())
    assert all(parameter.grad is not None for parameter in twin.readout.parameters())
    for name, value in twin.core.state_dict().items():
        assert torch.equal(value, statistics[name]), name
    twin.freeze_core(False)
    assert twin.core.training
    twin(stimulus).sum().backward()
    assert all(parameter.grad is not None for parameter in twin.core.parameters())


# ---- sessions that come and go


def test_added_sessions_start_from_their_data_and_leave_the_others_alone(twin):
    stimulus = torch.randn(1, 2, 20, 7, 9)
    before = twin(stimulus)
    new = {"c": small_recording("c", neurons=4, seed=1), "b": small_recording("b", neurons=2, seed=2)}
    twin.add_sessions(new)
    assert twin.sessions == ["a", "b", "c"]
    assert twin.about["neurons"] == {"a": 3, "c": 4, "b": 2}
    torch.testing.assert_close(twin(stimulus, "a"), before)
    fresh = rnb.build_twin(PRESET, new, overrides=TINY)
    for session in new:
        torch.testing.assert_close(twin.session_readout(session).position, fresh.session_readout(session).position)
        torch.testing.assert_close(twin.session_readout(session).bias, fresh.session_readout(session).bias)
    twin.remove_sessions(["a", "c"])
    assert (twin.sessions, twin.about["neurons"]) == (["b"], {"b": 2})
    assert twin(stimulus).shape == (1, 14, 2)


def test_added_sessions_are_saved_with_the_twin(twin, tmp_path):
    twin.add_sessions({"b": small_recording("b", neurons=2)})
    loaded = rnb.load_twin(twin.eval().save(tmp_path / "twin.safetensors"))
    stimulus = torch.randn(1, 2, 20, 7, 9)
    torch.testing.assert_close(loaded(stimulus), twin(stimulus))


def test_the_seed_alone_decides_how_added_sessions_start(twin):
    copied = copy.deepcopy(twin)
    twin.add_sessions({"b": small_recording("b")})
    torch.manual_seed(7)
    copied.add_sessions({"b": small_recording("b")})
    torch.testing.assert_close(twin.session_readout("b").features, copied.session_readout("b").features)


@pytest.mark.parametrize(
    ("difference", "message"),
    [
        ({"rate": 15.0}, r"it has a rate \(Hz\) of 15.0 instead of 30.0"),
        ({"pixel_um": 30.0}, r"it has pixels \(µm\) of 30.0 instead of 50.0"),
        ({"movie": {"channels": ("UV", "green")}}, r"it has the channels \['UV', 'green'\] instead of"),
        ({"movie": {"mean": 0.4}}, "it has a stimulus normalised by a mean of 0.4 instead of 0.0"),
        ({"movie": {"std": 2.0}}, "it has a stimulus normalised by a standard deviation of 2.0 instead of 1.0"),
        ({"movie": {"frames": np.zeros((2, 400, 9, 7), np.float32)}}, r"\(2, 9, 7\) instead of \(2, 7, 9\)"),
        ({"rate": 15.0, "pixel_um": 30.0}, "of 15.0 instead of 30.0, pixels"),
    ],
)
def test_a_session_that_differs_from_the_twins_is_refused_and_changes_nothing(difference, message):
    recording = changed(small_recording(), movie={"channels": ("green", "UV")})
    twin = rnb.build_twin(PRESET, {"a": recording}, overrides=TINY)
    new = {"b": changed(recording, session="b"), "c": changed(recording, session="c", **difference)}
    with pytest.raises(rnb.UserError, match=f"session c is not like those of the twin, .*{message}"):
        twin.add_sessions(new)
    assert twin.sessions == ["a"]


def test_what_is_not_known_of_a_session_is_not_compared(twin):
    twin.add_sessions({"b": changed(small_recording("b"), pixel_um=float("nan"))})
    assert twin.sessions == ["a", "b"]


def test_sessions_that_exist_or_do_not_are_refused_in_a_sentence(twin):
    with pytest.raises(rnb.UserError, match="has a session a already"):
        twin.add_sessions({"b": small_recording("b"), "a": small_recording("a")})
    with pytest.raises(rnb.UserError, match="unknown session of the twin 'b': known are a"):
        twin.remove_sessions(["a", "b"])
    assert twin.sessions == ["a"]
    twin.remove_sessions(["a"])
    with pytest.raises(rnb.UserError, match="no sessions: give it some with add_sessions"):
        twin(torch.zeros(1, 2, 20, 7, 9))


def test_a_twin_of_parts_made_by_hand_says_how_to_add_sessions():
    twin = CoreReadout(PerSession({}), SessionReadouts({"a": Delayed(0)}))
    with pytest.raises(rnb.UserError, match=r"twin.readout.add\(session, readout\)"):
        twin.add_sessions({"b": small_recording("b")})
