import json
from pathlib import Path

import h5py
import numpy as np
import pytest
import torch

from retina_nb import UserError, load_recordings
from retina_nb.loaders import on_disk
from retina_nb.loaders.splits import validation_clips

GOLDEN = Path(__file__).parents[1] / "golden" / "datasets" / "hdf5"
RATE = 30.0


@pytest.fixture
def folder(tmp_path):
    """Two sessions: they share the stimulus noise, bars is another one in b, and flash is only in b's own file."""
    rng = np.random.default_rng(0)
    (tmp_path / "stimuli").mkdir()
    for name, time in (("bars", 40), ("noise", 60), ("unused", 7)):
        np.save(tmp_path / "stimuli" / f"{name}.npy", rng.standard_normal((2, time, 5, 7)))
    for session, shown in (("a", ("bars", "noise")), ("b", ("bars", "flash", "noise"))):
        with h5py.File(tmp_path / f"{session}.h5", "w") as file:
            for name in shown:
                file[f"responses_{name}"] = rng.poisson(1.0, (3, {"bars": 40, "noise": 60, "flash": 11}[name]))
    with h5py.File(tmp_path / "b.h5", "a") as file:
        file["stimulus_bars"] = rng.standard_normal((2, 40, 5, 7))
        file["stimulus_flash"] = rng.integers(0, 255, (2, 11, 5, 7), np.uint8)
        file["session_info/celltype"] = [1, 2, 3]
        file["session_info/name"] = ["x", "y", "z"]
        file["session_info/eye"] = "left"
        file["session_info/rig/lamp"] = 0.5
    return tmp_path


def stimulus(folder, name):
    return np.load(folder / "stimuli" / f"{name}.npy").astype(np.float32)


def test_stimuli_follow_one_another_by_name_and_those_for_testing_last(folder):
    recordings = load_recordings(folder, rate=RATE, test_names=["bars"], clip_length=20, n_validation_clips=1)
    a, b = recordings["a"], recordings["b"]
    np.testing.assert_array_equal(a.stimulus_at(np.arange(60)), stimulus(folder, "noise"))
    np.testing.assert_array_equal(a.stimulus("bars"), stimulus(folder, "bars"))
    assert a.onsets.tolist() == [0, 60]
    assert b.onsets.tolist() == [0, 11, 71]
    assert (b.split[-40:] == "test").all()
    assert set(a.split[:60]) == {"train", "validation"}
    assert (a.split == "validation").sum() == 20
    with h5py.File(folder / "a.h5") as file:
        np.testing.assert_array_equal(a.responses[:60], file["responses_noise"][()].T)
        np.testing.assert_array_equal(a.trials("bars"), file["responses_bars"][()].T[None])


def test_a_session_may_have_stimuli_of_its_own(folder):
    b = load_recordings(folder, rate=RATE, test_names=["bars", "flash"], norm_mean=100.0, norm_std=50.0)["b"]
    with h5py.File(folder / "b.h5") as file:
        for name in ("bars", "flash"):
            expected = (file[f"stimulus_{name}"][()].astype(np.float32) - np.float32(100)) / np.float32(50)
            np.testing.assert_array_equal(b.stimulus(name), expected)


def test_sessions_share_one_movie_that_has_every_stimulus_once(folder):
    recordings = load_recordings(folder, rate=RATE)
    assert recordings["a"].movie is recordings["b"].movie
    assert len(recordings["a"].movie) == 40 + 60 + 40 + 11


def test_what_is_known_of_neurons_and_of_the_session(folder):
    a, b = load_recordings(folder, rate=RATE, channels=["green", "UV"], pixel_um=50.0, unit="spikes/s").values()
    assert b.neurons["celltype"].tolist() == [1, 2, 3]
    assert b.neurons["name"].tolist() == ["x", "y", "z"]
    assert b.about == {"eye": "left", "rig": {"lamp": 0.5}}
    assert (a.neurons, a.about) == ({}, {})
    assert (a.movie.channels, a.pixel_um, a.unit, a.rate) == (("green", "UV"), 50.0, "spikes/s", RATE)


def test_normalisation_is_that_of_torch_in_float32_and_can_be_undone(folder):
    movie = load_recordings(folder, rate=RATE, norm_mean=0.1, norm_std=3.7)["a"].movie
    tensor = torch.tensor(np.load(folder / "stimuli" / "bars.npy"), dtype=torch.float32)
    np.testing.assert_array_equal(movie.frames[:, :40], ((tensor - 0.1) / 3.7).numpy())
    np.testing.assert_allclose(movie.frames[:, :40] * movie.std + movie.mean, tensor, rtol=1e-5, atol=1e-5)


def test_grey_levels_that_are_not_normalised_stay_bytes(folder):
    (folder / "a.h5").unlink()
    with h5py.File(folder / "b.h5", "a") as file:
        del file["responses_bars"], file["responses_noise"]
    assert load_recordings(folder, rate=RATE)["b"].movie.frames.dtype == np.uint8


def test_by_default_a_tenth_of_the_clips_is_for_validation(folder):
    a, b = load_recordings(folder, rate=RATE, clip_length=5).values()
    assert ((a.split == "validation").sum(), (b.split == "validation").sum()) == (10, 15)


def test_a_file_alone_and_chosen_sessions(folder):
    both = load_recordings(folder, rate=RATE)
    assert list(load_recordings(folder, rate=RATE, sessions=["b"])) == ["b"]
    (alone,) = load_recordings(folder / "b.h5", rate=RATE).values()
    np.testing.assert_array_equal(alone.stimulus_at(np.arange(111)), both["b"].stimulus_at(np.arange(111)))


@pytest.mark.parametrize("settings", [{}, {"norm_mean": 0.1, "norm_std": 3.7}])
def test_stimuli_that_do_not_fit_into_memory_stay_in_their_files(folder, monkeypatch, settings):
    expected = load_recordings(folder, rate=RATE, **settings)
    monkeypatch.setattr(on_disk, "IN_MEMORY", 1000)
    found = load_recordings(folder, rate=RATE, **settings)
    for name, recording in found.items():
        assert not isinstance(recording.movie.frames, np.ndarray)
        every = np.arange(len(recording))
        np.testing.assert_array_equal(recording.stimulus_at(every), expected[name].stimulus_at(every))
        some = np.array([[60, 3, 3], [59, 99, 0]])
        np.testing.assert_array_equal(recording.stimulus_at(some), expected[name].stimulus_at(some))
        assert recording.stimulus_at(every).dtype == np.float32


# ---- against openretina


@pytest.fixture
def golden():
    facts, spec = (json.loads((GOLDEN / f"{name}.json").read_text()) for name in ("expected", "spec"))
    return dict(np.load(GOLDEN / "expected.npz")), facts, spec["spec"]


def test_golden_arrays_of_openretina_are_equalled_to_the_bit(golden):
    expected, facts, spec = golden
    clips = spec["dataloader"]
    settings = {
        "n_validation_clips": clips["num_val_clips"],
        "clip_length": clips["clip_length"],
        "seed": clips["seed"],
    }
    settings |= {name: spec[name] for name in ("test_names", "norm_mean", "norm_std")}
    recordings = load_recordings(GOLDEN / "files" / "recordings", rate=RATE, **settings)
    assert set(recordings) == set(facts)
    for name, recording in recordings.items():
        bins = np.flatnonzero(recording.split != "test")
        np.testing.assert_array_equal(recording.stimulus_at(bins), expected[f"{name}/movie_train"])
        train = expected[f"{name}/responses_train"].astype(np.float32)
        np.testing.assert_array_equal(recording.responses[bins].T, train)
        for test in recording.repeats:
            np.testing.assert_array_equal(recording.stimulus(test), expected[f"{name}/movie_test/{test}"])
            responses = expected[f"{name}/responses_test/{test}"].astype(np.float32)
            np.testing.assert_array_equal(recording.response(test).T, responses)
        assert set(recording.repeats) == {
            key.split("/")[-1] for key in expected if key.startswith(f"{name}/movie_test")
        }
        drawn = validation_clips(len(bins), 25, 3, 42)[:, None] * 25 + np.arange(25)
        assert set(drawn.ravel()) == set(np.flatnonzero(recording.split == "validation"))
        stimuli = recording.stimulus_at(drawn).swapaxes(0, 1)
        np.testing.assert_array_equal(stimuli, expected[f"{name}/val_batch/inputs"])
        targets = expected[f"{name}/val_batch/targets"].astype(np.float32)
        np.testing.assert_array_equal(recording.responses[drawn], targets)
        assert recording.neurons["celltypes"].tolist() == facts[name]["session_kwargs"]["celltypes"]
        assert (recording.movie.mean, recording.movie.std) == (facts[name]["norm_mean"], facts[name]["norm_std"])
    assert recordings["session_2"].about == {"eye": "left"}


# ---- bad input


def put(file, key, value):
    if key in file:
        del file[key]
    file[key] = value


@pytest.mark.parametrize(
    ("damage", "problem"),
    [
        (lambda file: put(file, "responses_noise", np.ones((60, 3))), r"a\.h5: /responses_noise .* axes|3 bins.*axes"),
        (
            lambda file: put(file, "responses_noise", np.ones((3, 59))),
            r"a\.h5: responses_noise has 59 bins, .* 60 frames",
        ),
        (
            lambda file: put(file, "responses_noise", np.ones((4, 60))),
            r"a\.h5: responses_noise has 4 neurons, .* has 3",
        ),
        (
            lambda file: put(file, "responses_noise", np.ones(60)),
            r"a\.h5: /responses_noise must be .* \(neuron, time\)",
        ),
        (lambda file: put(file, "responses_noise", np.ones((0, 60))), r"a\.h5: /responses_noise is empty"),
        (lambda file: put(file, "responses_noise", "x"), r"a\.h5: /responses_noise must be"),
        (
            lambda file: put(file, "responses_noise", np.full((3, 60), np.nan)),
            r"a\.h5: /responses_noise is nan at \(0, 0\)",
        ),
        (lambda file: put(file, "responses_noise", -np.ones((3, 60))), "session a: responses of neuron 0 are negative"),
        (
            lambda file: put(file, "responses_none", np.ones((3, 60))),
            r"a\.h5 has responses_none, but neither .*none\.npy",
        ),
        (lambda file: put(file, "stimulus_noise", np.ones((2, 60, 5))), r"a\.h5: /stimulus_noise must be"),
        (lambda file: put(file, "stimulus_noise", np.ones((2, 60, 7, 5))), "same channels, height and width"),
        (lambda file: put(file, "stimulus_noise", np.full((2, 60, 5, 7), np.inf)), r"a\.h5: stimulus_noise has pixels"),
        (lambda file: put(file, "session_info", 3), r"a\.h5: /session_info must be a group"),
        (
            lambda file: [file.pop(key) for key in list(file)],
            r"a\.h5 is HDF5, but not in a known layout: it has nothing",
        ),
    ],
)
def test_what_does_not_fit_is_named(folder, damage, problem):
    with h5py.File(folder / "a.h5", "a") as file:
        damage(file)
    with pytest.raises(UserError, match=problem) as error:
        load_recordings(folder, rate=RATE)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"", r"cannot read .*noise\.npy: it is damaged"),
        (b"\x93NUMPY\x01\x00", r"cannot read .*noise\.npy: it is damaged"),
        (np.ones((2, 60, 5)), r"noise\.npy must be numbers \(channel, time, height, width\), not float64 \(2, 60, 5\)"),
        (np.full((2, 60, 5, 7), "x"), r"noise\.npy must be numbers"),
        (np.ones((2, 0, 5, 7)), r"noise\.npy is empty"),
        (np.full((2, 60, 5, 7), np.nan), r"noise\.npy has pixels that are not finite"),
        (np.array([{}]), r"cannot read .*noise\.npy"),
    ],
)
def test_a_bad_stimulus_is_named(folder, content, problem):
    path = folder / "stimuli" / "noise.npy"
    if isinstance(content, bytes):
        path.write_bytes(content)
    else:
        np.save(path, content)
    with pytest.raises(UserError, match=problem):
        load_recordings(folder, rate=RATE)


def test_a_truncated_file_and_one_of_another_kind(folder):
    content = (folder / "a.h5").read_bytes()
    for wrong in (content[: len(content) // 2], b"not HDF5"):
        (folder / "a.h5").write_bytes(wrong)
        with pytest.raises(UserError, match=r"a\.h5: it is damaged, incomplete or not an HDF5 file"):
            load_recordings(folder, rate=RATE)


@pytest.mark.parametrize(
    ("settings", "problem"),
    [
        ({"rate": None}, "does not tell how many frames a second it has; give rate="),
        ({"rate": 0.0}, "session a: rate must be a number from 0.001"),
        ({"test_names": ["nose"]}, "unknown stimulus of .*: did you mean 'noise'"),
        ({"norm_std": 0.0}, "norm_std one above 0"),
        ({"norm_mean": float("nan")}, "norm_mean must be a number"),
        (
            {"n_validation_clips": 9},
            r"what .*a\.h5 has for training has 100 frames, that are 1 clips of 100, and 9 are to be",
        ),
        ({"clip_length": 0}, "clip_length must be a whole number of at least 1"),
        ({"sessions": ["c"]}, "unknown session of"),
        ({"sessions": "a"}, r"sessions must be a list of names, write \['a'\]"),
        ({"channels": ["green"]}, "2 channels has 1 channel names"),
        ({"rat": 3}, "unknown setting of HDF5 files 'rat': did you mean 'rate'"),
    ],
)
def test_settings_that_are_not_possible(folder, settings, problem):
    with pytest.raises(UserError, match=problem):
        load_recordings(folder, **{"rate": RATE} | settings)


def test_responses_are_not_lost_by_a_misspelt_key(folder):
    with h5py.File(folder / "a.h5", "a") as file:
        file.move("responses_bars", "response_bars")
    with pytest.raises(UserError, match=r"a\.h5 has response_bars, but no responses_bars to the stimulus bars"):
        load_recordings(folder, rate=RATE)


def test_what_else_is_in_a_file_does_not_matter(folder):
    with h5py.File(folder / "a.h5", "a") as file:
        file["quality_bars"], file["date"] = [1.0, 2.0, 3.0], "2026-05-17"
    assert load_recordings(folder, rate=RATE)["a"].n_neurons == 3


def test_two_files_of_one_session_and_folders_without_recordings(folder, tmp_path):
    (folder / "a.hdf5").write_bytes((folder / "a.h5").read_bytes())
    with pytest.raises(UserError, match=r"two files of session a, a\.h5 and a\.hdf5"):
        load_recordings(folder, rate=RATE)
    with pytest.raises(UserError, match="has no file of recordings"):
        load_recordings(folder / "stimuli", rate=RATE)
    with pytest.raises(UserError, match="no file or folder"):
        load_recordings(folder / "none", rate=RATE)


@pytest.mark.parametrize("file", ["b.h5", "stimuli/noise.npy"])
def test_flipped_bytes_never_give_another_error(folder, file):
    rng = np.random.default_rng(0)
    content = (folder / file).read_bytes()
    for _ in range(100):
        damaged = bytearray(content)
        damaged[rng.integers(128 if file.endswith("npy") else len(content))] ^= 1 << rng.integers(8)
        (folder / file).write_bytes(damaged)
        try:
            load_recordings(folder, rate=RATE, test_names=["noise"])
        except UserError as error:
            assert str(error).count("\n") == 0  # noqa: PT017


def matlab(path, stimulus, responses):
    """A file as MATLAB writes it: all axes in reverse."""
    with h5py.File(path, "w") as file:
        file["stimulus_noise"], file["responses_noise"] = stimulus.T, responses.T


@pytest.mark.parametrize(
    ("stimulus", "neurons"), [((2, 1000, 18, 16), 5), ((1, 300, 12, 12), 40), ((2, 100, 18, 16), 16)]
)
def test_axes_in_reverse_are_told(tmp_path, stimulus, neurons):
    rng = np.random.default_rng(0)
    frames, responses = rng.random(stimulus), rng.poisson(1, (neurons, stimulus[1])).astype(float)
    matlab(tmp_path / "m.h5", frames, responses)
    with pytest.raises(UserError, match=r"have their axes in reverse, .* as MATLAB writes arrays; permute them"):
        load_recordings(tmp_path / "m.h5", rate=RATE)


def test_of_several_stimuli_in_reverse_the_axes_are_told(tmp_path):
    rng = np.random.default_rng(0)
    with h5py.File(tmp_path / "m.h5", "w") as file:
        for name, time in (("a", 100), ("b", 200)):
            file[f"stimulus_{name}"] = rng.random((2, time, 5, 7)).T
            file[f"responses_{name}"] = rng.random((3, time)).T
    with pytest.raises(UserError, match="axes in reverse"):
        load_recordings(tmp_path / "m.h5", rate=RATE)


def test_as_many_neurons_as_rows_of_pixels_are_no_reverse(tmp_path):
    rng = np.random.default_rng(0)
    with h5py.File(tmp_path / "m.h5", "w") as file:
        file["stimulus_noise"], file["responses_noise"] = rng.random((1, 300, 9, 7)), rng.random((9, 300))
    assert load_recordings(tmp_path / "m.h5", rate=RATE)["m"].n_neurons == 9


def test_session_info_that_is_not_data_is_one_sentence(folder):
    for put, problem in (
        (lambda info: info.__setitem__("more", info), "holds itself"),
        (lambda info: info.__setitem__("more", np.array([info.ref], h5py.ref_dtype)), "has references to other things"),
        (
            lambda info: info.__setitem__("more", np.array([info["celltype"].regionref[:1]], h5py.regionref_dtype)),
            "has references to other things",
        ),
        (lambda info: info.create_group("x/" * 100), "too deep"),
    ):
        with h5py.File(folder / "a.h5", "a") as file:
            info = file.require_group("session_info")
            info.require_dataset("celltype", (3,), "i4")
            put(info)
        with pytest.raises(UserError, match=problem) as error:
            load_recordings(folder, rate=RATE)
        assert "\n" not in str(error.value)
        with h5py.File(folder / "a.h5", "a") as file:
            del file["session_info"]


def test_text_of_matlab_is_text(folder):
    with h5py.File(folder / "a.h5", "a") as file:
        info = file.require_group("session_info")
        info["eye"] = np.array([[ord(letter)] for letter in "left"], np.uint16)
        info["eye"].attrs["MATLAB_class"] = np.bytes_("char")
    assert load_recordings(folder, rate=RATE)["a"].about["eye"] == "left"


def test_a_stimulus_that_claims_gigabytes_is_one_sentence(folder):
    with h5py.File(folder / "a.h5", "a") as file:
        file.create_dataset("stimulus_noise", (2, 10**9, 5, 7), "f4", chunks=(1, 100, 5, 7))
    with pytest.raises(UserError, match=r"stimulus_noise claims .* GB"):
        load_recordings(folder, rate=RATE)


def test_a_folder_without_files_of_recordings_tells_what_it_has(tmp_path):
    (tmp_path / "old.mat").write_bytes(b"x")
    with pytest.raises(UserError, match=r"it has old\.mat; give the path of a file"):
        load_recordings(tmp_path, rate=RATE)


def test_frames_of_another_byte_order_are_read_in_that_of_the_machine(tmp_path):
    frames = np.random.default_rng(0).integers(0, 255, (2, 60, 5, 7))
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["stimulus_noise"], file["responses_noise"] = frames.astype(">i2"), np.ones((3, 60), ">f4")
    movie = load_recordings(tmp_path / "a.h5", rate=RATE)["a"].movie
    assert movie.frames.dtype.isnative
    np.testing.assert_array_equal(movie.frames, frames)
