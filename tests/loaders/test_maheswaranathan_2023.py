import zipfile

import h5py
import numpy as np
import pytest
from golden_files import golden

from retina_nb.errors import UserError
from retina_nb.loaders import load_recordings
from retina_nb.loaders.batches import SharedBatches

TRAIN, TEST, SIZE = 360, 40, (5, 7)
CELLS = ["cell1", "cell2", "cell10"]
SETTINGS = {"n_validation_clips": 3, "clip_length": 30}


def write(path, *, trials=4, surplus=0, train=TRAIN, size=SIZE, by_kind=False):
    rng = np.random.default_rng(len(str(path)))
    path.parent.mkdir(parents=True, exist_ok=True)
    each = rng.gamma(0.5, 4.0, (trials, len(CELLS), TEST + surplus))
    with h5py.File(path, "w") as file:
        file["train/stimulus"] = rng.integers(0, 256, (train, *size), dtype=np.uint8)
        file["test/stimulus"] = rng.integers(0, 256, (TEST, *size), dtype=np.uint8)
        for n, kind in enumerate(("firing_rate_5ms", "firing_rate_10ms", "binned")):
            file[f"train/response/{kind}"] = rng.gamma(0.5, 4.0, (len(CELLS), train)) + n
            file[f"test/response/{kind}"] = each.mean(axis=0) + n
            if by_kind:
                file[f"test/repeats/{kind}"] = each + n
        for n, cell in enumerate(CELLS if not by_kind else ()):
            file[f"test/repeats/{cell}"] = each[:, n]
    return each


@pytest.fixture
def session(tmp_path):
    """The file of the one session of a folder."""
    return tmp_path / "neural_code_data" / "ganglion_cell_data" / "15-10-07" / "naturalscene.h5"


def load(tmp_path, **settings):
    return load_recordings("maheswaranathan_2023", data_dir=tmp_path, **SETTINGS | settings)


def test_a_session_is_its_training_stimulus_and_then_each_trial(session, tmp_path):
    trials = write(session)
    recording = load(tmp_path)["15-10-07"]
    with h5py.File(session) as file:
        train, test = file["train/stimulus"][()], file["test/stimulus"][()]
        np.testing.assert_array_equal(
            recording.responses[:TRAIN].T, file["train/response/firing_rate_10ms"][()].astype("f4")
        )
        average = file["test/response/firing_rate_10ms"][()].astype("f4")
    shown = recording.stimulus_at(np.arange(TRAIN)) * recording.movie.std + recording.movie.mean
    np.testing.assert_allclose(shown[0], train, atol=1e-3)
    np.testing.assert_allclose(recording.stimulus("test")[0] * train.std(ddof=1) + train.mean(), test, atol=1e-3)
    np.testing.assert_array_equal(recording.trials("test"), trials.swapaxes(1, 2).astype("f4"))
    np.testing.assert_array_equal(recording.response("test_average").T, average)
    assert recording.onsets.tolist() == [0, *(TRAIN + TEST * np.arange(5))]
    assert recording.neurons["cell"].tolist() == [1, 2, 10]
    assert (recording.rate, recording.pixel_um, recording.unit) == (100, 50, "spikes/s")
    assert recording.movie.frames.frames.dtype == np.uint8  # an hour fits in memory


def test_the_last_response_of_the_test_may_have_no_frame(session, tmp_path):
    trials = write(session, surplus=1)
    recording = load(tmp_path)["15-10-07"]
    np.testing.assert_array_equal(recording.trials("test"), trials[..., :-1].swapaxes(1, 2).astype("f4"))


def test_trials_may_be_kept_by_kind_of_response(session, tmp_path):
    trials = write(session, by_kind=True)
    recording = load(tmp_path, response="binned")["15-10-07"]
    np.testing.assert_array_equal(recording.trials("test"), (trials + 2).swapaxes(1, 2).astype("f4"))
    assert recording.unit == "spikes/bin"


def test_without_trials_there_is_the_average(session, tmp_path):
    write(session)
    with h5py.File(session, "r+") as file:
        del file["test/repeats"]
    recording = load(tmp_path)["15-10-07"]
    assert not recording.repeats
    assert recording.response("test").shape == (TEST, 3)


def test_blocks_of_ten_minutes_start_with_an_onset(session, tmp_path):
    write(session, train=119_802, size=(1, 2))
    recording = load(tmp_path)["15-10-07"]
    assert recording.onsets[:3].tolist() == [0, 59_901, 119_802]


def test_sessions_are_trained_on_as_any_other(session, tmp_path):
    write(session)
    batch = next(iter(SharedBatches(load(tmp_path), split="train", lag=10, chunk_size=20, batch_size=4)))
    assert batch.stimulus.shape == (4, 1, 30, *SIZE)
    assert batch.targets["15-10-07"].responses.shape == (4, 20, 3)


def test_archives_and_sessions_are_chosen(session, tmp_path):
    write(session)
    write(session.parents[1] / "15-11-21a" / "naturalscene.h5")
    write(session.parents[1] / "15-11-21a" / "whitenoise.h5")
    with zipfile.ZipFile(tmp_path / "packed.zip", "w") as archive:
        for path in (tmp_path / "neural_code_data").rglob("*.h5"):
            archive.write(path, path.relative_to(tmp_path))
            path.unlink()
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "packed.zip").rename(tmp_path / "elsewhere" / "neural_code_data.zip")
    assert list(load(tmp_path / "elsewhere")) == ["15-10-07", "15-11-21a"]
    assert list(load(tmp_path / "elsewhere", stimulus="whitenoise")) == ["15-11-21a"]
    assert list(load(tmp_path / "elsewhere", sessions=["15-11-21a"])) == ["15-11-21a"]


def replace(key, change):
    def damage(path):
        with h5py.File(path, "r+") as file:
            values = file[key][()] if isinstance(file[key], h5py.Dataset) else None
            del file[key]
            if (changed := change(values)) is not None:
                file[key] = changed

    return damage


def put_nan(values):
    return np.where(np.arange(values.size).reshape(values.shape) == 3, np.nan, values)


@pytest.mark.parametrize(
    ("damage", "says"),
    [
        (lambda path: path.write_bytes(path.read_bytes()[:-999]), "damaged, incomplete"),
        (lambda path: path.write_bytes(b"no HDF5"), "not an HDF5 file"),
        (replace("train/stimulus", lambda _: None), "train/stimulus is missing, there is response"),
        (replace("train/response/firing_rate_10ms", lambda _: None), "firing_rate_10ms is missing, there is binned, f"),
        (replace("test", lambda _: None), "test.* is missing, there is train"),
        (replace("train/stimulus", lambda x: x[:, 0]), r"\(frame, height, width\), not uint8 \(360, 7\)"),
        (replace("train/stimulus", lambda x: x.astype(bool)), "must be floats or integers.* not bool"),
        (replace("train/stimulus", lambda x: x * 0), "train/stimulus is 0 in all pixels"),
        (replace("test/stimulus", lambda x: x[..., :3]), r"\(frame, height 5, width 7\), not uint8 \(40, 5, 3\)"),
        (replace("test/stimulus", lambda x: x[:0]), "test/stimulus is empty"),
        (replace("test/stimulus", lambda x: x[2:]), "has 40 bins, test/stimulus has 38 frames"),
        (replace("train/response/firing_rate_10ms", np.transpose), r"\(neuron, bin 360\), not float64 \(360, 3\)"),
        (replace("train/response/firing_rate_10ms", put_nan), r"firing_rate_10ms is nan at \(0, 3\)"),
        (replace("train/response/firing_rate_10ms", np.negative), "15-10-07.* negative"),
        (replace("test/response/firing_rate_10ms", lambda x: x[:2]), r"\(neuron 3, bin\)"),
        (replace("test/repeats/cell2", lambda _: None), "repeats of 2 cells, there are responses of 3"),
        (replace("test/repeats/cell2", lambda x: x[1:]), "different numbers of trials"),
        (replace("test/repeats/cell2", lambda x: x[:, 1:]), "cell2 has 39 bins, test/stimulus has 40 frames"),
        (replace("test/repeats/cell2", put_nan), r"cell2 is nan at \(0, 3\)"),
    ],
)
def test_a_damaged_file_is_named_with_its_key(session, tmp_path, damage, says):
    write(session)
    damage(session)
    with pytest.raises(UserError, match=says) as error:
        load(tmp_path)
    assert "15-10-07" in str(error.value)


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"stimulus": "naturalscenes"}, "did you mean 'naturalscene'"),
        ({"response": "binnned"}, "did you mean 'binned'"),
        ({"response": "firing_rate_20ms"}, "firing_rate_20ms is missing"),
        ({"sessions": ["15-11-21a"]}, "unknown session .*'15-11-21a'"),
        ({"n_validation_clips": 20}, "are 12 clips of 30"),
        ({"stimulus": "whitenoise"}, "has no file SESSION/whitenoise.h5"),
        ({"clips": 3}, "unknown setting"),
    ],
)
def test_settings_that_are_not_possible_are_refused(session, tmp_path, settings, says):
    write(session)
    with pytest.raises(UserError, match=says):
        load(tmp_path, **settings)


def test_a_folder_of_another_dataset_is_refused(tmp_path):
    write(tmp_path / "15-10-07.h5")
    with pytest.raises(UserError, match=r"has no neural_code_data\.zip"):
        load(tmp_path)


@pytest.mark.parametrize("stimulus", ["naturalscene", "whitenoise"])
def test_arrays_are_those_of_openretina(tmp_path, stimulus):
    files, expected, facts = golden("maheswaranathan_2023", tmp_path)
    recordings = load_recordings(
        "maheswaranathan_2023", data_dir=files, stimulus=stimulus, n_validation_clips=4, clip_length=30
    )
    assert set(recordings) == set(facts[stimulus])
    for session, recording in recordings.items():
        theirs = {
            key.split("/", 2)[2]: value for key, value in expected.items() if key.startswith(f"{stimulus}/{session}/")
        }
        train, bins = theirs["responses_train"].shape[1], len(recording.response("test"))
        np.testing.assert_array_equal(recording.movie.frames[:, :train], theirs["movie_train"])
        np.testing.assert_array_equal(recording.stimulus("test"), theirs["movie_test/test"])
        assert recording.movie.mean == facts[stimulus][session]["norm_mean"]
        assert recording.movie.std == facts[stimulus][session]["norm_std"]
        np.testing.assert_array_equal(recording.responses[:train].T, theirs["responses_train"].astype("f4"))
        average = theirs["responses_test/test"][:, :bins].astype("f4")  # without the bin that has no frame
        np.testing.assert_array_equal(recording.response("test_average").T, average)
        trials = theirs["by_trial/test"][..., :bins].astype("f4")
        np.testing.assert_array_equal(recording.trials("test"), trials.swapaxes(1, 2))
        if "val_batch/inputs" in theirs:
            clips = recording.about["validation_clips"][:, None] * 30 + np.arange(30)
            assert (recording.split[clips] == "validation").all()
            np.testing.assert_array_equal(recording.stimulus_at(clips).swapaxes(0, 1), theirs["val_batch/inputs"])
            np.testing.assert_array_equal(recording.responses[clips], theirs["val_batch/targets"])
