import hashlib
import re
from itertools import islice

import h5py
import numpy as np
import pytest
from scipy.io import savemat

from retina_nb.errors import UserError
from retina_nb.loaders import liu_2017, ran1
from retina_nb.loaders.download import RemoteFile, cache_dir
from retina_nb.loaders.liu_2017 import SUBSET, load, running_noise

LAG, TRIALS = 4, 3


def published(path):
    content = path.read_bytes()
    return RemoteFile(path.name, "http://127.0.0.1:9/none", len(content), hashlib.sha256(content).hexdigest())


def screen(seed, frames):
    """(frame, y, x) noise of -1 and 1, unpacked without any of the loader's code."""
    bits = np.unpackbits(ran1.packed_bits(ran1.start(seed), frames * 30000)[0])
    return (2 * bits.view(np.int8) - 1).reshape(frames, 200, 150).swapaxes(1, 2)


@pytest.fixture(scope="module")
def planted_files(tmp_path_factory):
    """A dataset of three trials whose cells fire 4 bins after their 3 x 3 stixels are bright (or dark) enough."""
    folder = tmp_path_factory.mktemp("planted")
    rng = np.random.default_rng(0)
    centers = np.stack([rng.integers(1, 199, 78), rng.integers(1, 149, 78)], axis=1)
    polarity = rng.choice([-1, 1], 78)
    noise = screen(-10000, TRIALS * 1500)
    drive = np.stack([noise[:, y - 1 : y + 2, x - 1 : x + 2].sum(axis=(1, 2)) for x, y in centers]) * polarity[:, None]
    running = (drive.reshape(78, TRIALS, 1500).swapaxes(1, 2) >= 5).astype(np.uint8)
    running = np.concatenate([np.zeros((78, LAG, TRIALS), np.uint8), running[:, :-LAG]], axis=1)
    frozen = rng.integers(0, 8, (78, 300, TRIALS)).astype(np.uint8)
    savemat(folder / "cell_data_01_NC.mat", {"spk1": running, "spk2": frozen})
    with h5py.File(folder / "stim_frz.h5", "w") as file:
        file["stim_frz"] = screen(-20000, 300).transpose(2, 1, 0)
    return folder, centers, polarity, noise, running, frozen


@pytest.fixture
def planted(planted_files, monkeypatch):
    """The planted dataset in the place of the published one."""
    folder, *truth = planted_files
    monkeypatch.setenv("RETINA_NB_CACHE", str(folder / "cache"))
    monkeypatch.setattr(liu_2017, "TRIALS", TRIALS)
    monkeypatch.setattr(liu_2017, "_SPIKES", published(folder / "cell_data_01_NC.mat"))
    monkeypatch.setattr(liu_2017, "_FROZEN_NOISE", published(folder / "stim_frz.h5"))
    return {"data_dir": folder}, *truth


def test_windows_are_found_around_the_receptive_fields(planted):
    settings, centers, polarity, *_ = planted
    recordings = load(**settings, size=8, trials=3)
    assert list(recordings) == [f"cell_{cell}" for cell in range(78)]
    found = {name: np.array([r.neurons[name][0] for r in recordings.values()]) for name in recordings["cell_0"].neurons}
    np.testing.assert_array_equal(found["cell"], np.arange(78))
    np.testing.assert_array_equal(found["polarity"], polarity)
    np.testing.assert_allclose(found["corner_x"], np.clip(centers[:, 0] - 4, 0, 192), atol=1)
    np.testing.assert_allclose(found["corner_y"], np.clip(centers[:, 1] - 4, 0, 142), atol=1)
    again = load(**settings, cells=[5, 2], size=8, trials=3)
    assert [again[f"cell_{cell}"].neurons["corner_x"][0] for cell in (5, 2)] == list(found["corner_x"][[5, 2]])


@pytest.mark.parametrize("trials", [2, 3])
def test_the_timeline_shows_what_was_on_the_screen(planted, trials):
    settings, *_, noise, _, _ = planted
    corners = [[0, 0], [195, 145], [101, 37]]
    recordings = load(**settings, cells=[3, 0, 77], corners=corners, size=5, trials=trials)
    frozen = screen(-20000, 300)
    shown = [part for k in range(trials) for part in (noise[1500 * k :][:1500], frozen)]
    shown = np.concatenate(shown + [frozen] * (TRIALS - trials))
    for recording, (x, y) in zip(recordings.values(), corners, strict=True):
        assert recording.movie.frame_shape == (1, 5, 5)
        stimulus = recording.stimulus_at(np.arange(len(recording)))
        np.testing.assert_array_equal(stimulus[0], shown[:, y : y + 5, x : x + 5])


def test_spikes_follow_the_frames_that_caused_them(planted):
    settings, centers, polarity, *_ = planted
    for cell in (4, 31):
        corner = np.clip(centers[cell] - 3, 0, (193, 143))
        recording = load(**settings, cells=[cell], corners=[corner.tolist()], size=7, trials=2)[f"cell_{cell}"]
        x, y = centers[cell] - corner
        seen = recording.stimulus_at(np.arange(len(recording)))[0, :, y - 1 : y + 2, x - 1 : x + 2]
        caused = polarity[cell] * seen.sum(axis=(1, 2)) >= 5
        running = np.isin(recording.split, ["train", "validation"])
        for start in (0, 1800):  # the planted spikes do not know what was shown before a trial
            running[start : start + LAG] = False
        bins = np.flatnonzero(running)
        np.testing.assert_array_equal(recording.responses[bins, 0], caused[bins - LAG])


@pytest.mark.parametrize("trials", [2, 3])
def test_labels_onsets_and_repeats(planted, trials):
    settings, *_, running, frozen = planted
    recording = load(**settings, cells=[9], corners=[[7, 5]], trials=trials, validation_fraction=0.2)["cell_9"]
    assert len(recording) == trials * 1500 + TRIALS * 300
    assert (recording.split[:19] == "").all()  # not counted
    assert (recording.split == "train").sum() == trials * 1200 - 19
    np.testing.assert_array_equal(
        recording.bins("validation"), np.add.outer(np.arange(trials) * 1800, 1200 + np.arange(300)).ravel()
    )
    np.testing.assert_array_equal(recording.response("train").ravel()[: 1200 - 19], running[9, 19:1200, 0])
    np.testing.assert_array_equal(recording.response("validation").ravel(), running[9, 1200:, :trials].T.ravel())
    np.testing.assert_array_equal(recording.trials("test")[..., 0], frozen[9].T)
    # Trials follow one another; only those that come without their running noise have no history.
    np.testing.assert_array_equal(recording.onsets, [0, *recording.repeats["test"][trials:, 0]])
    assert (recording.rate, recording.pixel_um, recording.unit) == (30.0, 30.0, "spikes/bin")


def test_no_validation(planted):
    settings, *_ = planted
    recording = load(**settings, cells=[9], corners=[[7, 5]], trials=1, validation_fraction=0.0)["cell_9"]
    assert (recording.split == "train").sum() == 1500 - 19


def test_recordings_share_what_they_have_in_common(planted):
    settings, *_ = planted
    recordings = list(load(**settings, cells=[1, 2], corners=[[0, 0], [9, 9]], trials=2).values())
    for name in ("frames", "split"):
        assert np.shares_memory(getattr(recordings[0], name), getattr(recordings[1], name))
    assert recordings[0].movie.frames.bits.nbytes == (2 * 1500 + 300) * 16 * 16 / 8


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"cells": [3, 78]}, "there is no cell 78, the cells are numbered from 0 to 77"),
        ({"cells": [-1]}, "there is no cell -1"),
        ({"cells": [4, 5, 4]}, "cell 4 is twice"),
        ({"cells": []}, "cells must be a list of cell numbers, not []"),
        ({"corners": [[1, 2]]}, "one [x, y] for each of the 78 cells"),
        ({"cells": [1, 2], "corners": [[1, 2]]}, "one [x, y] for each of the 2 cells"),
        ({"cells": [1, 2], "corners": [[1, 2], [3]]}, "one [x, y] for each of the 2 cells"),
        ({"cells": [1], "corners": [[185, 0]]}, "16 x 16 stixels at x=185, y=0 sticks out of the 200 x 150"),
        ({"cells": [1], "corners": [[0, 135]]}, "at x=0, y=135 sticks out"),
        ({"cells": [1], "corners": [[-1, 0]]}, "at x=-1, y=0 sticks out"),
        ({"size": 0}, "size must be a whole number between 1 and 150, not 0"),
        ({"size": 151}, "size must be a whole number between 1 and 150, not 151"),
        ({"trials": 0}, "trials must be a whole number between 1 and 3, not 0"),
        ({"trials": 4}, "trials must be a whole number between 1 and 3, not 4"),
        ({"validation_fraction": 1.0}, "validation_fraction must be at least 0 and below 1, not 1.0"),
        ({"validation_fraction": float("nan")}, "not nan"),
    ],
)
def test_settings_that_are_not_possible(planted, settings, message):
    with pytest.raises(UserError, match=re.escape(message)):
        load(**({"trials": 1} | settings))


def test_a_missing_folder(planted, tmp_path):
    with pytest.raises(UserError, match="there is no folder"):
        load(data_dir=tmp_path / "nowhere", trials=1)


def test_a_missing_file(planted, tmp_path):
    with pytest.raises(UserError, match=r"has no file cell_data_01_NC\.mat"):
        load(data_dir=tmp_path, trials=1)


@pytest.mark.parametrize("name", ["cell_data_01_NC.mat", "stim_frz.h5"])
@pytest.mark.parametrize("damage", ["truncated", "changed"])
def test_a_damaged_file(planted, tmp_path, name, damage):
    settings, *_ = planted
    for other in ("cell_data_01_NC.mat", "stim_frz.h5"):
        (tmp_path / other).write_bytes((settings["data_dir"] / other).read_bytes())
    content = (tmp_path / name).read_bytes()
    (tmp_path / name).write_bytes(content[:-1] if damage == "truncated" else content[:-1] + bytes([content[-1] ^ 1]))
    with pytest.raises(UserError, match=f"{name} has .* instead of"):
        load(data_dir=tmp_path, trials=1)


@pytest.fixture
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("RETINA_NB_CACHE", str(tmp_path / "cache"))


@pytest.mark.usefixtures("own_cache")
def test_running_noise_goes_on_where_the_cache_ends():
    first = next(running_noise(1))
    trials = list(running_noise(3))
    whole, _ = ran1.packed_bits(ran1.start(-10000), 3 * 1500 * 30000)
    np.testing.assert_array_equal(np.stack(trials).ravel(), whole)
    np.testing.assert_array_equal(first, trials[0])
    assert len(list(cache_dir().rglob("*.*"))) == 3


@pytest.mark.usefixtures("own_cache")
@pytest.mark.parametrize(
    "damage",
    [lambda whole: whole[:-1000], lambda whole: b"", lambda whole: b"?" + whole[1:]],
    ids=["truncated", "empty", "changed"],
)
def test_damaged_running_noise_is_made_again(damage):
    first, second = running_noise(2)
    path = cache_dir() / "liu_2017" / "running_001.npy"
    whole = path.read_bytes()
    path.write_bytes(damage(whole))
    np.testing.assert_array_equal(list(running_noise(2)), [first, second])
    assert path.read_bytes() == whole


@pytest.mark.usefixtures("own_cache")
def test_a_cache_that_cannot_be_written():
    cache_dir().write_text("a file where the folder should be")
    with pytest.raises(UserError, match="cannot write"):
        next(running_noise(1))


@pytest.mark.usefixtures("own_cache")
def test_a_full_disk(monkeypatch):
    def no_space(*args):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(liu_2017.np, "save", no_space)
    with pytest.raises(UserError, match="No space left on device; set RETINA_NB_CACHE"):
        next(running_noise(1))
    assert not list(cache_dir().rglob("*.*"))


def test_the_frozen_noise_is_the_regenerated_stream(shared_data):
    left, right = load(data_dir=shared_data, cells=[0, 1], corners=[[0, 0], [50, 0]], size=150, trials=1).values()
    frozen = screen(-20000, 300)
    np.testing.assert_array_equal(left.stimulus("test")[0], frozen[:, :, :150])
    np.testing.assert_array_equal(right.stimulus("test")[0], frozen[:, :, 50:])


def test_receptive_fields_of_the_salamander(shared_data):
    recordings = load(data_dir=shared_data, cells=list(SUBSET), trials=20)
    assert [r.neurons["polarity"][0] for r in recordings.values()] == [-1] * 8 + [1] * 4
    corners = np.array([(r.neurons["corner_x"][0], r.neurons["corner_y"][0]) for r in recordings.values()])
    # Cell 51 has a second receptive field, which is the stronger one in our STA.
    assert (np.abs(corners - list(SUBSET.values())).max(axis=1) <= 1).sum() == 11
    for recording in islice(recordings.values(), 8):
        bins = recording.bins("train")[20:]
        counts = recording.responses[bins, 0]
        sta = (
            np.stack([np.tensordot(counts, recording.stimulus_at(bins - lag)[0], 1) for lag in range(12)])
            / counts.sum()
        )
        lag, y, x = np.unravel_index(np.abs(sta).argmax(), sta.shape)
        assert 3 <= lag <= 5  # about 133 ms
        assert max(abs(y - 8), abs(x - 8)) <= 3
        # biphasic, and within a few stixels of the peak
        assert sta[lag, y, x] < 0 < sta[lag + 3 :, y, x].max()
        far = np.hypot(*np.ogrid[-y : 16 - y, -x : 16 - x]) > 7
        assert sta[lag][far].std() < 0.25 * abs(sta[lag, y, x])


def damaged(folder, name, monkeypatch, attribute, change):
    """A file of the planted dataset in another state, which is taken for the published one."""
    change(folder / name)
    monkeypatch.setattr(liu_2017, attribute, published(folder / name))


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda path: path.write_bytes(path.read_bytes()[:5000]), "damaged, incomplete or not a MATLAB file"),
        (lambda path: path.write_bytes(b""), r"not a MATLAB file of version 5 to 7 \(it is empty\)"),
        (lambda path: path.write_text("<!doctype html>"), "it is a web page"),
        (lambda path: savemat(path, {"spk1": np.zeros((78, 1500, 3), np.uint8)}), "spk2 is missing"),
        (lambda path: savemat(path, {"spk1": np.zeros((2, 2)), "spk2": np.zeros((2, 2))}), r"spk1 must be numbers"),
        (lambda path: savemat(path, {"spk1": {"a": 1}, "spk2": 1}), "spk1 must be numbers"),
        (lambda path: savemat(path, {"spk1": np.array([{}, 1], object), "spk2": 1}), "spk1 must be numbers"),
    ],
)
def test_spikes_that_are_damaged_or_of_another_kind_are_one_sentence(planted, tmp_path, monkeypatch, change, says):
    folder = planted[0]["data_dir"]
    for path in folder.iterdir():
        if path.is_file():
            (tmp_path / path.name).write_bytes(path.read_bytes())
    damaged(tmp_path, "cell_data_01_NC.mat", monkeypatch, "_SPIKES", change)
    with pytest.raises(UserError, match=says) as error:
        load(data_dir=tmp_path, cells=[0], trials=1, corners=[[0, 0]])
    assert "\n" not in str(error.value)


def test_frozen_noise_of_another_shape_is_one_sentence(planted, tmp_path, monkeypatch):
    folder = planted[0]["data_dir"]
    for path in folder.iterdir():
        if path.is_file():
            (tmp_path / path.name).write_bytes(path.read_bytes())

    def change(path):
        with h5py.File(path, "w") as file:
            file["stim_frz"] = np.zeros((300, 150, 200), np.int8)

    damaged(tmp_path, "stim_frz.h5", monkeypatch, "_FROZEN_NOISE", change)
    with pytest.raises(UserError, match=r"stim_frz must be .*x 200, y 150, frame 300"):
        load(data_dir=tmp_path, cells=[0], trials=1, corners=[[0, 0]])


def test_validation_leaves_something_for_training(planted):
    with pytest.raises(UserError, match="leaves none of the 1500 frames"):
        load(**planted[0], trials=1, validation_fraction=0.9999)


@pytest.mark.parametrize("content", [b"", b"PK\x05\x06" + bytes(18), b"\x93NUMPY\x01\x00v\x00{", None])
def test_a_damaged_cache_is_made_again(planted, tmp_path, monkeypatch, content):
    monkeypatch.setenv("RETINA_NB_CACHE", str(tmp_path))
    whole = load(**planted[0], cells=[3], trials=2)["cell_3"]
    cached = sorted((tmp_path / "liu_2017").glob("*.npy"))
    assert len(cached) == 3
    for path in cached:
        if content is None:
            np.save(path, np.zeros(3))
        else:
            path.write_bytes(content)
    again = load(**planted[0], cells=[3], trials=2)["cell_3"]
    np.testing.assert_array_equal(again.movie.frames[:], whole.movie.frames[:])
    assert again.neurons["corner_x"] == whole.neurons["corner_x"]
