"""A preview is what the models say, and what was recorded."""

import numpy as np
import pytest
import torch

import retina_nb as rnb
from retina_nb import UserError, stimuli
from retina_nb.analyses.preview import preview, preview_recorded
from retina_nb.analyses.subjects import subject
from retina_nb.stimuli.menu import parameters_of, stimulus_by_name, stimulus_names


@pytest.fixture(scope="module")
def truth():
    return rnb.load_truth(sessions=1, cells_per_session=12, size=(13, 15))


@pytest.fixture(scope="module")
def recording():
    return rnb.load_recordings("simulated", sessions=1, cells_per_session=12, size=(13, 15))["simulated_1"]


def test_a_preview_has_a_response_for_each_frame(truth):
    shown = stimuli.flash(stimuli.Screen.of(truth))
    seen = preview(truth, shown, session="simulated_1", neuron=3, truth=truth)
    stimulus = torch.from_numpy(shown.frames)[None]
    before = stimulus[:, :, :1].expand(-1, -1, truth.lag, -1, -1)
    expected = truth(torch.cat([before, stimulus], dim=2), "simulated_1")[0, :, 3] * 30
    assert np.allclose(seen.rates["twin"], expected, atol=1e-5)
    assert np.array_equal(seen.rates["twin"], seen.rates["truth"])
    assert seen.agreement("truth") == pytest.approx(1)
    assert seen.seconds[[0, -1]] == pytest.approx([0, 3 - 1 / 30])


@pytest.mark.parametrize("name", stimulus_names())
def test_a_twin_is_asked_the_short_way_what_it_says_the_long_way(name):
    twin = rnb.load_twin("simulated")
    needed = {"spot": {"diameter": 300.0}, "annulus": {"inner": 200.0, "outer": 700.0}}.get(name, {})
    needed |= {"direction": 30.0} if "direction" in parameters_of(name) else {}
    needed |= {"wavelength": 300.0} if "wavelength" in parameters_of(name) else {}
    shown = stimulus_by_name(name, stimuli.Screen.of(twin), **needed)
    seen = preview(twin, shown, session="simulated_2", neuron=7)
    expected = subject(twin, session="simulated_2", neurons=7).show(shown.frames[None])[0, :, 0] * 30
    assert np.abs(seen.rates["twin"] - expected).max() < 1e-4 * expected.max()


def test_no_agreement_is_told_where_nothing_changes(truth):
    grey = stimuli.flash(stimuli.Screen.of(truth), contrast=0.0)
    assert np.isnan(preview(truth, grey, session="simulated_1", neuron=3, truth=truth).agreement("truth"))


def test_what_was_recorded_is_beside_what_was_shown(truth, recording):
    seen = preview_recorded(truth, recording, neuron=2, start=1.0, seconds=2.0, truth=truth)
    name = next(iter(recording.repeats))
    part = slice(truth.lag + 30, truth.lag + 90)
    assert np.array_equal(seen.frames, recording.stimulus_at(recording.repeats[name][0][part]))
    assert np.allclose(seen.rates["recorded"], recording.response(name)[part, 2] * 30, atol=1e-4)
    whole = truth(torch.from_numpy(recording.stimulus_at(recording.repeats[name][0]))[None], "simulated_1")
    assert np.allclose(seen.rates["twin"], whole[0, 30:90, 2] * 30, atol=1e-3), "with the history that it had"
    table = seen.to_dataframe()
    assert list(table) == ["session", "neuron", "seconds", "twin", "truth", "recorded"]
    assert len(table) == 60


def test_what_is_not_there_is_refused(truth, recording):
    with pytest.raises(UserError, match=r"is known for \d+\.\d s, not for 1000 s"):
        preview_recorded(truth, recording, neuron=2, start=996.0)
    with pytest.raises(UserError, match="there is no neuron 12"):
        preview_recorded(truth, recording, neuron=12)
