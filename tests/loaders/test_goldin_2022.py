import h5py
import numpy as np
import pytest
from golden_files import golden

from retina_nb.errors import UserError
from retina_nb.loaders import load_recordings
from retina_nb.loaders.batches import SharedBatches

TRAIN, TEST, TRIALS, SIZE = 25, 6, 5, (5, 7)


def write(path, *, cells=("cell0", "cell2", "cell10"), repeats=True):
    rng = np.random.default_rng(0)
    counts = rng.poisson(1.3, (TRIALS, len(cells), TEST)).astype(np.float64)
    path.parent.mkdir(parents=True, exist_ok=True)
    with h5py.File(path, "w") as file:
        file["train/stimulus"] = rng.integers(0, 256, (TRAIN, *SIZE)).astype(np.float32)
        file["test/stimulus"] = rng.integers(0, 256, (TEST, *SIZE)).astype(np.float32)
        file["train/response/binned"] = rng.poisson(1.3, (len(cells), TRAIN))
        file["test/response/binned"] = counts.mean(axis=0)
        for n, cell in enumerate(cells if repeats else ()):
            file[f"test/repeats/{cell}"] = counts[:, n]
    return counts


def load(tmp_path, **settings):
    return load_recordings("goldin_2022", **{"data_dir": tmp_path, "n_validation_images": 5} | settings)


def test_a_bin_is_a_flashed_image_without_a_history(tmp_path):
    counts = write(tmp_path / "mouse_1.h5")
    recording = load(tmp_path)["mouse_1"]
    with h5py.File(tmp_path / "mouse_1.h5") as file:
        np.testing.assert_allclose(recording.responses[:TRAIN].T, file["train/response/binned"][()] / 0.3, rtol=1e-6)
        images = file["test/stimulus"][()]
    np.testing.assert_allclose(recording.trials("test"), counts.swapaxes(1, 2) / 0.3, rtol=1e-6)
    np.testing.assert_allclose(
        recording.stimulus("test")[0] * recording.movie.std + recording.movie.mean, images, atol=1e-3
    )
    assert recording.rate == pytest.approx(1 / 0.3)
    assert recording.unit == "spikes/s"
    np.testing.assert_array_equal(recording.onsets, np.arange(TRAIN + TRIALS * TEST))
    assert (recording.split == "validation").sum() == 5
    batch = next(iter(SharedBatches({"mouse_1": recording}, split="train", lag=0, chunk_size=50, batch_size=4)))
    assert batch.stimulus.shape == (4, 1, 1, *SIZE)


@pytest.mark.parametrize("name", ["cell{}", "cell_{}", "cell{:02d}"])
def test_cells_are_sorted_by_number(tmp_path, name):
    cells = [name.format(number) for number in (0, 2, 10)]
    counts = write(tmp_path / "mouse_1.h5", cells=cells)
    recording = load(tmp_path)["mouse_1"]
    assert recording.neurons["cell"].tolist() == [0, 2, 10]
    np.testing.assert_allclose(recording.trials("test"), counts.swapaxes(1, 2) / 0.3, rtol=1e-6)


def test_species_and_sessions_are_chosen(tmp_path):
    for name in ("mouse_2", "mouse_1", "axolotl_1"):
        write(tmp_path / "goldin_2022" / f"{name}.h5", repeats=name != "axolotl_1")
    assert list(load(tmp_path)) == ["mouse_1", "mouse_2"]
    assert list(load(tmp_path, sessions=["mouse_2"])) == ["mouse_2"]
    axolotl = load(tmp_path, species="axolotl")["axolotl_1"]
    assert not axolotl.repeats
    assert axolotl.response("test").shape == (TEST, 3)


def replace(key, change):
    def damage(path):
        with h5py.File(path, "r+") as file:
            values = file[key][()]
            del file[key]
            if (changed := change(values)) is not None:
                file[key] = changed

    return damage


@pytest.mark.parametrize(
    ("damage", "says"),
    [
        (lambda path: path.write_bytes(path.read_bytes()[:-99]), "damaged, incomplete"),
        (replace("train/response/binned", lambda _: None), "train/response/binned is missing"),
        (replace("train/stimulus", lambda x: x.astype("S3")), "must be floats or integers"),
        (replace("train/stimulus", lambda x: x * np.nan), "train/stimulus is nan"),
        (replace("test/stimulus", lambda x: x[:-1]), "has 6 bins, test/stimulus has 5 frames"),
        (replace("train/response/binned", np.transpose), r"\(neuron, bin 25\)"),
        (replace("train/response/binned", lambda x: x[:0]), "is empty"),
        (replace("test/repeats/cell2", lambda x: x + 1), "not the mean of test/repeats, first of all for neuron 1"),
        (replace("test/repeats/cell2", lambda _: None), "repeats of 2 cells"),
    ],
)
def test_a_damaged_file_is_named_with_its_key(tmp_path, damage, says):
    write(tmp_path / "mouse_1.h5")
    damage(tmp_path / "mouse_1.h5")
    with pytest.raises(UserError, match=says) as error:
        load(tmp_path)
    assert "mouse_1.h5" in str(error.value)


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"species": "mose"}, "did you mean 'mouse'"),
        ({"species": "axolotl"}, r"has no \*axolotl\*\.h5"),
        ({"sessions": ["mouse_2"]}, "unknown session of goldin_2022 'mouse_2': did you mean 'mouse_1'"),
        ({"n_validation_images": 640}, "25 frames, that are 25 clips of 1, and 640"),
        ({"data_dir": "/nowhere"}, "no folder /nowhere"),
    ],
)
def test_settings_that_are_not_possible_are_refused(tmp_path, settings, says):
    write(tmp_path / "mouse_1.h5")
    with pytest.raises(UserError, match=says):
        load(tmp_path, **settings)


@pytest.mark.parametrize("species", ["mouse", "axolotl"])
def test_arrays_are_those_of_openretina(tmp_path, species):
    files, expected, facts = golden("goldin_2022", tmp_path)
    recordings = load(files, species=species, n_validation_images=12)
    assert set(recordings) == {session for session in facts if species in session}
    for session, recording in recordings.items():
        theirs = {key.split("/", 1)[1]: value for key, value in expected.items() if key.startswith(f"{session}/")}
        train = theirs["responses_train"].shape[1]
        np.testing.assert_array_equal(recording.movie.frames[:, :train], theirs["movie_train"])
        np.testing.assert_array_equal(recording.stimulus("test"), theirs["movie_test/test"])
        assert (recording.movie.mean, recording.movie.std) == (facts[session]["norm_mean"], facts[session]["norm_std"])
        np.testing.assert_array_equal(recording.responses[:train].T, theirs["responses_train"].astype("f4"))
        np.testing.assert_allclose(recording.response("test").T, theirs["responses_test/test"], rtol=1e-6)
        assert ("by_trial/test" in theirs) == ("test" in recording.repeats)
        if "by_trial/test" in theirs:
            trials = theirs["by_trial/test"].astype("f4")
            np.testing.assert_array_equal(recording.trials("test"), trials.swapaxes(1, 2))
        images = recording.about["validation_images"][:8]
        assert (recording.split[images] == "validation").all()
        np.testing.assert_array_equal(
            recording.stimulus_at(images).swapaxes(0, 1)[:, :, None], theirs["val_batch/inputs"]
        )
        np.testing.assert_array_equal(recording.responses[images][:, None], theirs["val_batch/targets"])
