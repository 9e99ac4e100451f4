import io
import os
import subprocess
import sys
import zipfile

import numpy as np
import pytest
import torch
from disks import small_disk
from scipy.stats import pearsonr, spearmanr

import retina_nb as rnb
from retina_nb.loaders.simulated import load, load_truth
from retina_nb.loaders.simulated.cells import CELL_TYPES
from retina_nb.metrics import explainable_variance_ratio

SMALL = {"sessions": 2, "orders": 1, "cells_per_session": 12, "clips": 6, "test_clips": 2, "repeats": 3}


@pytest.fixture(scope="module")
def default():
    return rnb.load_recordings("simulated"), rnb.load_truth()


def test_the_default_is_as_noisy_as_real_recordings(default):
    ratios = np.concatenate([explainable_variance_ratio(recording.trials()) for recording in default[0].values()])
    assert 0.25 <= np.median(ratios) <= 0.6
    assert all(recording.trials().shape[0] == 10 for recording in default[0].values())


def test_at_least_half_of_the_default_cells_are_nonlinear(default):
    assert default[1].neurons()["nonlinear"].mean() >= 0.5
    assert default[1].neurons()["type"].nunique() == 12


def test_sessions_share_one_movie_in_different_orders(default):
    one, two, three, _ = default[0].values()
    assert one.movie is two.movie is three.movie
    np.testing.assert_array_equal(one.frames, three.frames)
    assert (one.frames != two.frames).any()
    np.testing.assert_array_equal(np.sort(one.frames), np.sort(two.frames))


def test_no_frame_is_in_two_splits(default):
    for recording in default[0].values():
        shown = [set(recording.frames[recording.split == label]) for label in ("train", "validation", "test")]
        assert not shown[0] & shown[1]
        assert not (shown[0] | shown[1]) & shown[2]


def test_trials_scatter_around_the_truth_as_it_says(default):
    recordings, truth = default
    recording = recordings["simulated_1"]
    expected = truth(torch.from_numpy(recording.stimulus("test"))[None], recording.session)[0]
    trials = torch.from_numpy(recording.trials()[:, truth.lag :])
    z = (trials.mean(dim=0) - expected) / (truth.noise_variance(expected, recording.session) / 10 + 1e-3).sqrt()
    assert z.mean().abs() < 0.05
    assert 0.8 < z.std() < 1.2
    found = [pearsonr(a, b)[0] for a, b in zip(expected.T, trials.mean(dim=0).T, strict=True)]
    np.testing.assert_allclose(found, truth.cc_max(expected, recording.session, 10), atol=0.08)


def test_a_seed_fixes_everything_and_another_changes_it():
    one, two, other = load(**SMALL), load(**SMALL), load(**SMALL, seed=1)
    for session in one:
        np.testing.assert_array_equal(one[session].responses, two[session].responses)
        np.testing.assert_array_equal(one[session].movie.frames, two[session].movie.frames)
        assert (one[session].responses.shape != other[session].responses.shape) or (
            one[session].responses != other[session].responses
        ).any()


def test_the_cache_gives_what_was_simulated(monkeypatch, tmp_path):
    monkeypatch.setenv("RETINA_NB_CACHE", str(tmp_path))
    fresh = load(**SMALL)
    (stored,) = tmp_path.rglob("*.npz")
    before = stored.stat().st_mtime_ns
    cached = load(**SMALL)
    assert stored.stat().st_mtime_ns == before
    for session in fresh:
        np.testing.assert_array_equal(fresh[session].responses, cached[session].responses)


def zipped(**members: bytes) -> bytes:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        for name, member in members.items():
            archive.writestr(name, member)
    return content.getvalue()


def archived(**arrays: np.ndarray) -> bytes:
    content = io.BytesIO()
    np.savez(content, allow_pickle=False, **arrays)
    return content.getvalue()


@pytest.mark.parametrize(
    "damaged",
    [
        lambda whole: whole[:1000],
        lambda whole: whole[: len(whole) // 2],
        lambda whole: b"",
        lambda whole: b"<html>",
        lambda whole: zipped(),
        lambda whole: zipped(readme=b"text"),
        lambda whole: archived(movie=np.zeros(3)),
        lambda whole: archived(**dict(np.load(io.BytesIO(whole))) | {"movie": np.zeros((2, 3, 4, 5))}),
        lambda whole: whole[:-200] + bytes(200),
        lambda whole: whole[:5000] + bytes([whole[5000] ^ 255]) + whole[5001:],
    ],
    ids=["start", "half", "empty", "page", "no members", "no arrays", "other arrays", "other shape", "end", "flipped"],
)
def test_a_damaged_cache_is_simulated_again(monkeypatch, tmp_path, damaged):
    monkeypatch.setenv("RETINA_NB_CACHE", str(tmp_path))
    fresh = load(**SMALL)
    (stored,) = tmp_path.rglob("*.npz")
    whole = stored.read_bytes()
    stored.write_bytes(damaged(whole))
    again = load(**SMALL)
    np.testing.assert_array_equal(fresh["simulated_1"].responses, again["simulated_1"].responses)
    assert dict(np.load(stored)).keys() == dict(np.load(io.BytesIO(whole))).keys()
    assert [path.name for path in stored.parent.iterdir()] == [stored.name]


def test_without_room_in_the_cache_recordings_are_simulated_all_the_same(monkeypatch, tmp_path):
    with small_disk(tmp_path, 2**20) as disk:
        monkeypatch.setenv("RETINA_NB_CACHE", str(disk / "cache"))
        with pytest.warns(UserWarning, match=r"is not kept in the cache: cannot write .*simulated: No space .*CACHE"):
            found = load(**SMALL, seed=2)
        assert not [path for path in disk.rglob("*") if path.is_file()]
    assert len(found) == 2


def test_a_cache_that_cannot_be_written_is_one_warning(monkeypatch, tmp_path):
    (tmp_path / "file").write_text("a file where the folder should be")
    monkeypatch.setenv("RETINA_NB_CACHE", str(tmp_path / "file" / "cache"))
    with pytest.warns(UserWarning, match=r"is not kept in the cache: cannot write .*; set RETINA_NB_CACHE"):
        assert len(load(**SMALL, seed=2)) == 2


AT_ONCE = """
import sys, warnings
from pathlib import Path
from retina_nb.loaders import simulated

def run(model, settings, usual=simulated._run):
    (Path(sys.argv[1]) / f"made by {sys.argv[2]}").touch()
    return usual(model, settings)

simulated._run = run
print(len(simulated.load(sessions=1, orders=1, cells_per_session=4, clips=6, test_clips=1, repeats=1, seed=7)))
"""


def test_processes_that_want_the_same_at_once_simulate_it_once(tmp_path):
    environment = os.environ | {"RETINA_NB_CACHE": str(tmp_path / "cache")}
    commands = [[sys.executable, "-c", AT_ONCE, tmp_path, str(number)] for number in range(3)]
    running = [subprocess.Popen(one, env=environment, stdout=subprocess.PIPE, text=True) for one in commands]
    assert [one.communicate()[0].strip() for one in running] == ["1"] * 3
    assert len(list(tmp_path.glob("made by *"))) == 1
    assert [path.suffix for path in (tmp_path / "cache" / "simulated").iterdir()] == [".npz"]


def test_truth_is_causal_and_has_the_lag_it_declares():
    truth = load_truth(**SMALL)
    stimulus = torch.randn(1, 2, truth.lag + 20, 18, 16)
    before = truth(stimulus)
    assert before.shape == (1, 20, 24)
    changed = stimulus.clone()
    changed[:, :, truth.lag + 10 :] = 5
    after = truth(changed)
    torch.testing.assert_close(after[:, :10], before[:, :10])
    assert (after[:, 10:] != before[:, 10:]).any()


def test_some_neurons_alone_respond_as_among_all():
    truth = load_truth(**SMALL | {"size": (13, 15)})
    stimulus = torch.randn(2, 2, truth.lag + 6, 13, 15)
    for session in (None, "simulated_2"):
        together = truth(stimulus, session)
        for neurons in ([1], [9, 4], [7, 2, 7]):
            alone = truth(stimulus, session, torch.tensor(neurons))
            np.testing.assert_allclose(alone, together[..., neurons], rtol=1e-4, atol=1e-6)


def test_latency_is_the_planted_one():
    truth = load_truth(**SMALL)
    field = truth.receptive_field()
    cells = truth.neurons()
    peak = field.abs().amax(dim=(1, 3, 4)).argmax(dim=1)
    latency = (field.shape[2] - 1 - peak) / truth.rate
    np.testing.assert_allclose(latency, cells["latency"], atol=0.5 / truth.rate)


def test_receptive_field_peaks_at_the_planted_centre_with_the_planted_polarity():
    truth = load_truth(**SMALL)
    cells = truth.neurons()
    peak = truth.receptive_field().abs().amax(dim=(1, 2))
    y, x = np.unravel_index(peak.flatten(1).argmax(dim=1).numpy(), peak.shape[1:])
    assert np.median(np.hypot(y - cells["y"], x - cells["x"])) < 0.7
    field = truth.receptive_field().sum(dim=(3, 4))[:, 0]
    signs = torch.gather(field, 1, field.abs().argmax(dim=1, keepdim=True))[:, 0].sign()
    one_sided = cells["polarity"].to_numpy() != 0
    np.testing.assert_array_equal(signs[one_sided], cells["polarity"][one_sided])


def test_the_subunits_of_a_cell_add_up_to_its_receptive_field():
    truth = load_truth(**SMALL)
    for session in truth.sessions:
        cells, subunits = truth.neurons(session), truth.subunits(session)
        rectified = [CELL_TYPES[kind].subunit_um is not None for kind in cells["type"]]
        np.testing.assert_array_equal(np.unique(subunits["neuron"]), np.flatnonzero(rectified))
        np.testing.assert_allclose(subunits.groupby("neuron")["weight"].sum(), 1)
        fields = truth.receptive_field(session).abs().amax(dim=2).sum(dim=1).numpy()
        y, x = np.indices(fields.shape[1:])[..., None]
        for neuron, units in subunits.groupby("neuron"):
            at_y, at_x, spread, weight = units[["y", "x", "spread", "weight"]].to_numpy().T
            bump = np.exp(-((y - at_y) ** 2 + (x - at_x) ** 2) / (2 * spread**2)) @ weight
            assert np.corrcoef(bump.ravel(), fields[neuron].ravel())[0, 1] > 0.9


def test_direction_selective_cells_prefer_the_planted_direction():
    from retina_nb.stimuli import Screen, moving_bar

    truth = load_truth()
    screen = Screen.of(truth)
    cells = truth.neurons()
    responses = []
    directions = np.arange(0, 360, 45)
    for direction in directions:
        bar = moving_bar(
            screen, direction=float(direction), speed=900, length=250, width=None, duration=4, contrast=1.5
        ).frames
        rest = np.zeros((2, truth.lag, 18, 16), np.float32)
        responses.append(truth(torch.from_numpy(np.concatenate([rest, bar], axis=1))[None])[0].sum(dim=0))
    vector = torch.stack(responses).T.numpy() @ np.exp(1j * np.deg2rad(directions))
    selective = cells["direction"].notna().to_numpy()
    error = np.angle(vector[selective] / np.exp(1j * np.deg2rad(cells["direction"][selective].to_numpy())), deg=True)
    assert np.abs(error).max() < 20
    index = np.abs(vector) / torch.stack(responses).sum(dim=0).numpy()
    assert np.median(index[selective]) > 2 * np.median(index[~selective])


def test_gaussian_noise_has_the_mean_and_variance_the_truth_says():
    truth = load_truth(**SMALL, noise="gaussian")
    recording = load(**SMALL, noise="gaussian")["simulated_1"]
    expected = truth(torch.from_numpy(recording.stimulus("test"))[None], recording.session)[0]
    noise = torch.Generator().manual_seed(0)
    trials = torch.stack([truth.respond(expected, recording.session, noise) for _ in range(400)])
    torch.testing.assert_close(trials.mean(dim=0).mean(dim=0), expected.mean(dim=0), rtol=0.03, atol=0.003)
    variance = truth.noise_variance(expected, recording.session).mean(dim=0)
    torch.testing.assert_close(trials.var(dim=0).mean(dim=0), variance, rtol=0.1, atol=1e-4)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"clips": 3}, "clips must be at least 6"),
        ({"repeats": 0}, "repeats must be at least 1"),
        ({"size": (5, 16)}, "at least 11 x 11"),
        ({"noise": "pink"}, "known are gaussian, poisson"),
        ({"clipps": 30}, "did you mean 'clips'"),
    ],
)
def test_bad_settings_are_refused_in_a_sentence(settings, message):
    with pytest.raises(rnb.UserError, match=message):
        rnb.load_recordings("simulated", **settings)
    with pytest.raises(rnb.UserError, match=message):
        rnb.load_truth(**settings)


def test_truth_refuses_stimuli_that_do_not_fit():
    truth = load_truth(**SMALL)
    for shape in ((1, 1, 40, 18, 16), (1, 2, 20, 18, 16), (1, 2, 40, 16, 18)):
        with pytest.raises(rnb.UserError, match=r"\(batch, 2, time > 28, 18, 16\)"):
            truth(torch.zeros(shape))
    with pytest.raises(rnb.UserError, match="known are simulated_1, simulated_2"):
        truth(torch.zeros(1, 2, 40, 18, 16), "simulated_9")


def test_subunits_add_up_to_what_drives_their_cells():
    """Without gain control the rate is a rising function of the weighted sum of a cell's subunits."""
    truth = load_truth(**SMALL)
    session = truth.sessions[1]
    stimulus = torch.randn(1, 2, 200, 18, 16, generator=torch.Generator().manual_seed(0))
    table, kinds = truth.subunits(session), truth.neurons(session)["type"].map(CELL_TYPES)
    traces, rates = truth.subunit_traces(stimulus, session)[0].numpy(), truth(stimulus, session)[0].numpy()
    assert len(traces) == len(table)
    assert (traces >= 0).all()
    plain = [neuron for neuron in table["neuron"].unique() if not kinds[neuron].gain_control]
    assert len(plain) >= 4
    for neuron in plain:
        own = table["neuron"] == neuron
        drive = (table["weight"][own].to_numpy() @ traces[own])[-len(rates) :]
        order = spearmanr(drive, rates[:, neuron]).statistic
        assert order * (-1 if kinds[neuron].suppressed else 1) > 0.999
