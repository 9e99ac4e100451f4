import json
import zipfile
from pathlib import Path

import h5py
import numpy as np
import pytest

from retina_nb.errors import UserError
from retina_nb.loaders import load_recordings, ran1
from retina_nb.loaders.karamanlis_2024 import load, wanted
from retina_nb.loaders.karamanlis_2024.statistics import statistics
from retina_nb.loaders.splits import validation_clips

GOLDEN = Path(__file__).parents[1] / "golden" / "datasets" / "karamanlis_2024"
BLOCKS, LENGTH, TRIALS, TEST, NEURONS = 3, 20, 2, 12, 4
SIZE = (6, 8)
CLIPS = {"clip_length": 5, "n_validation_clips": 2}
FILM = {"size": SIZE} | CLIPS
NAME = "20220301_60MEA_mouse_left_s1"


@pytest.fixture(autouse=True)
def _own_cache(monkeypatch, tmp_path_factory):
    monkeypatch.setenv("RETINA_NB_CACHE", str(tmp_path_factory.mktemp("cache")))


def write_mat(path, content):
    """A MATLAB 7.3 file: HDF5 behind a block of text."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with h5py.File(path, "w", userblock_size=512) as file:
        for key, value in content.items():
            if value is not None:
                file[key] = value
    with open(path, "r+b") as file:
        file.write(b"MATLAB 7.3 MAT-file".ljust(116) + b"\0" * 8 + b"\x00\x02IM")


def write_film(folder, stimulus="fixationmovie", **changes):
    rng = np.random.default_rng(0)

    def gaze(*bins):
        return np.stack([rng.integers(1, 4, bins), rng.integers(0, 40, bins), rng.integers(0, 30, bins)], axis=-1) * 1.0

    content = {
        "runningImages": rng.integers(0, 256, (3, 500, 700)).astype(np.uint8),
        "frozenImages": rng.integers(0, 256, (3, 450, 650)).astype(np.uint8),
        "runningfixations": gaze(BLOCKS, LENGTH),
        "frozenfixations": gaze(TEST),
        "runningbin": rng.poisson(0.5, (BLOCKS, LENGTH, NEURONS)).astype(np.float64),
        "frozenbin": rng.poisson(0.5, (TRIALS, TEST, NEURONS)).astype(np.float64),
    } | changes
    write_mat(folder / f"20220301_{stimulus}_data.mat", content)
    return content


def write_experiment(folder):
    path = folder / "expdata.mat"
    write_mat(path, {
        "projector/refreshrate": [[60.0]], "projector/pixelsize": [[2.5e-6]],
        "units": np.arange(4 * NEURONS).reshape(4, NEURONS) * 1.0, "cellclus_id": [[2.0, 0.0, 1.0, 2.0]],
    })  # fmt: skip
    with h5py.File(path, "r+") as file:
        for n, name in enumerate(("ON parasol", "OFF midget")):
            file[f"#refs#/{n}"] = np.array([[ord(letter)] for letter in name], dtype=np.uint16)
        references = [[file["#refs#/0"].ref, file["#refs#/1"].ref]]
        file.create_dataset("typelabels", data=references, dtype=h5py.ref_dtype)


def write_noise(folder, **changes):
    rng = np.random.default_rng(1)
    content = {
        "runningbin": rng.poisson(0.5, (BLOCKS, LENGTH, NEURONS)) * 1.0,
        "frozenbin": rng.poisson(0.5, (BLOCKS, TEST, NEURONS)) * 1.0,
    }
    parameters = {"Nx": 9, "Ny": 7, "seed": -1000, "secondseed": -2000, "Nblinks": 2, "stixelwidth": 10,
                  "stixelheight": 10, "RunningFrames": LENGTH, "FrozenFrames": TEST}  # fmt: skip
    content |= {f"stimPara/{key}": [[float(value)]] for key, value in parameters.items()} | changes
    write_mat(folder / "x_frozencheckerflicker_data.mat", content)
    return content


def write_flashes(folder, **changes):
    rng = np.random.default_rng(2)
    n, artificial = 24, 4
    order = np.concatenate([rng.permutation(n) for _ in range(5)]) + 1.0
    content = {
        "imageEnsemble": rng.integers(0, 256, (n, 300, 200)).astype(np.uint8),
        "presentOrder": order[:, None],
        "isartificial": (np.arange(n) < artificial)[None].astype(np.uint8),
        "trialCounts": rng.poisson(2, (len(order), NEURONS)) * 1.0,
        "rawdata/stimPara/trialduration": [[75.0]],
        "rawdata/stimPara/backgroundIntensity": [[0.5]],
    } | changes
    write_mat(folder / "imagesequence_data.mat", content)
    return content


def running(recording):
    return np.flatnonzero(np.isin(recording.split, ("train", "validation")))


def test_the_film_has_blocks_and_trials_of_spike_counts(tmp_path):
    content = write_film(tmp_path / NAME)
    recording = load(data_dir=tmp_path, **FILM)[NAME]
    np.testing.assert_array_equal(recording.responses[running(recording)], content["runningbin"].reshape(-1, NEURONS))
    np.testing.assert_array_equal(recording.trials(), content["frozenbin"])
    np.testing.assert_array_equal(recording.onsets, [0, 20, 32, 52, 64])
    labels = np.where(np.isin(np.arange(60) // 5, validation_clips(60, 5, 2, 42)), "validation", "train")
    np.testing.assert_array_equal(recording.split[running(recording)], labels)
    assert recording.rate == 75
    assert recording.pixel_um == 750
    assert np.isnan(load(data_dir=tmp_path, **FILM | {"size": (6, 7)})[NAME].pixel_um)


def test_the_film_is_zscored_and_can_be_undone(tmp_path):
    write_film(tmp_path / NAME)
    recording = load(data_dir=tmp_path, **FILM)[NAME]
    shown = recording.stimulus_at(running(recording)).astype(np.float64)
    np.testing.assert_allclose([shown.mean(), shown.std(ddof=1)], [0, 1], atol=1e-6)
    levels = shown * recording.movie.std + recording.movie.mean
    assert levels.min() >= -1e-3
    assert 100 < levels.max() < 256
    again = load(data_dir=tmp_path, **FILM)[NAME]  # its statistics come from the cache
    assert (again.movie.mean, again.movie.std) == (recording.movie.mean, recording.movie.std)


def test_statistics_of_a_film_in_parts_are_those_of_the_whole():
    movie = np.random.default_rng(3).gamma(2, 40, (1, 300, 5, 7)).astype(np.float32)
    order = np.random.default_rng(4).integers(0, 290, 1000)
    found = statistics(movie, order, where="it", whole=0)
    shown = movie[:, order].astype(np.float64)
    np.testing.assert_array_equal(found, np.float32([shown.mean(), shown.std(ddof=1)]))
    np.testing.assert_allclose(statistics(movie, order, where="it"), found, rtol=1e-6)


@pytest.mark.parametrize("whole", [0, 10**6])
def test_a_film_of_one_grey_level_is_an_error(whole):
    with pytest.raises(UserError, match=r"it is 0\.1 in all pixels"):
        statistics(np.full((1, 9, 3, 4), 0.1, dtype=np.float32), np.arange(9), where="it", whole=whole)


def test_any_stimulus_is_read_in_the_layout_of_the_film(tmp_path):
    write_film(tmp_path / NAME)
    write_film(tmp_path / NAME, "gratingflicker")
    film, other = (
        load(data_dir=tmp_path, stimulus=stimulus, **FILM)[NAME] for stimulus in ("fixationmovie", "gratingflicker")
    )
    np.testing.assert_array_equal(film.stimulus(), other.stimulus())


def test_the_experiment_tells_screen_and_cells(tmp_path):
    write_film(tmp_path / NAME)
    write_experiment(tmp_path / NAME)
    recording = load(data_dir=tmp_path, **FILM)[NAME]
    assert recording.rate == 60
    assert recording.pixel_um == 250
    assert recording.neurons["type"].tolist() == ["OFF midget", "unclassified", "ON parasol", "OFF midget"]
    assert recording.neurons["unit"].tolist() == [0, 1, 2, 3]


def test_a_zip_is_read_as_its_folder_and_left_as_it_is(tmp_path):
    write_film(tmp_path / "plain" / NAME)
    write_experiment(tmp_path / "plain" / NAME)
    zipped = tmp_path / "zipped"
    zipped.mkdir()
    with zipfile.ZipFile(zipped / f"{NAME}.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        for path in (tmp_path / "plain" / NAME).iterdir():
            archive.write(path, f"{NAME}/{path.name}")
            archive.write(path, f"__MACOSX/{NAME}/._{path.name}")
    before = (zipped / f"{NAME}.zip").read_bytes()
    expected = load(data_dir=tmp_path / "plain", **FILM)[NAME]
    for data_dir in (zipped, zipped / f"{NAME}.zip", zipped):
        recording = load(data_dir=data_dir, **FILM)[NAME]
        np.testing.assert_array_equal(recording.stimulus("test"), expected.stimulus("test"))
        assert recording.neurons["type"].tolist() == expected.neurons["type"].tolist()
    assert [path.name for path in zipped.iterdir()] == [f"{NAME}.zip"]
    assert (zipped / f"{NAME}.zip").read_bytes() == before


def test_sessions_are_chosen_by_species_stimulus_and_name(tmp_path):
    for name in ("a_mouse_1", "a_mouse_2", "a_marmoset_1"):
        write_film(tmp_path / name)
    write_noise(tmp_path / "a_mouse_2")
    assert list(load(data_dir=tmp_path, **FILM)) == ["a_mouse_1", "a_mouse_2"]
    marmoset = load(data_dir=tmp_path, species="marmoset", **FILM)
    assert {name: one.rate for name, one in marmoset.items()} == {"a_marmoset_1": 85}
    assert list(load(data_dir=tmp_path, sessions=["a_mouse_2"], **FILM)) == ["a_mouse_2"]
    assert list(load(data_dir=tmp_path, stimulus="frozencheckerflicker", **CLIPS)) == ["a_mouse_2"]
    assert list(load(data_dir=tmp_path / "a_mouse_1", **FILM)) == ["a_mouse_1"]
    assert wanted(species="marmoset") == ["sessions/*marmoset*"]
    assert wanted(sessions=["a_mouse_2"]) == ["sessions/a_mouse_2*"]


def test_white_noise_is_made_again_from_its_seeds(tmp_path):
    content = write_noise(tmp_path / NAME)
    recording = load(data_dir=tmp_path, stimulus="frozencheckerflicker", **CLIPS)[NAME]

    def frames(seed, n):
        bits = np.unpackbits(ran1.packed_bits(ran1.start(seed), n * 9 * 7)[0], count=n * 9 * 7)
        return 2.0 * bits.reshape(n, 9, 7).swapaxes(1, 2) - 1  # y runs fastest

    expected = frames(-1000, BLOCKS * LENGTH)
    np.testing.assert_array_equal(recording.stimulus_at(running(recording))[0], expected)
    np.testing.assert_array_equal(recording.stimulus("test")[0], frames(-2000, TEST))
    scattered = np.array([[57, 3], [49, 51]])
    np.testing.assert_array_equal(recording.movie.frames[0, scattered], expected[scattered])
    np.testing.assert_array_equal(recording.trials(), content["frozenbin"])
    assert recording.rate == 37.5
    assert recording.pixel_um == 75
    assert recording.onsets.tolist() == [0]  # blocks and trials followed one another without a break
    again = load(data_dir=tmp_path, stimulus="frozencheckerflicker", **CLIPS)[NAME]  # its states come from the cache
    np.testing.assert_array_equal(again.movie.frames[0, scattered], expected[scattered])


def test_a_flash_is_a_bin(tmp_path):
    content = write_flashes(tmp_path / NAME)
    recording = load(data_dir=tmp_path, stimulus="imagesequence", size=SIZE)[NAME]
    np.testing.assert_array_equal(recording.responses, content["trialCounts"])
    order = content["presentOrder"].ravel().astype(int) - 1
    np.testing.assert_array_equal(recording.frames, order)
    assert recording.rate == 1
    assert len(recording.onsets) == len(order)
    for label, images in (("", 4), ("test", 2), ("validation", 2), ("train", 16)):
        assert len(set(order[recording.split == label])) == images
    assert set(order[recording.split == ""]) == {0, 1, 2, 3}
    assert recording.trials().shape == (5, 2, NEURONS)
    levels = recording.movie.frames[0] * recording.movie.std + recording.movie.mean
    np.testing.assert_allclose(levels[:, 0, 0], 127.5, rtol=1e-5)  # the background
    inside = content["imageEnsemble"][5, 50:150, 0:100].mean()  # 300 x 200 pixels are 3 x 2 of 100
    np.testing.assert_allclose(levels[5, 2:4, 2:6].mean(), content["imageEnsemble"][5].mean(), rtol=0.05)
    assert inside > 0


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"species": "rat"}, "species of karamanlis_2024 'rat'"),
        ({"stimulus": "fixation"}, "did you mean 'fixationmovie'"),
        ({"species": "marmoset"}, "no folder or zip of a session with 'marmoset'"),
        ({"sessions": ["20220301_60MEA_mouse_left_s2"]}, f"did you mean '{NAME}'"),
        ({"stimulus": "imagesequence"}, "no mouse session in .* has a file .*imagesequence_data.mat"),
        ({"stimulus": "imagesequence", "sessions": [NAME]}, f"session {NAME} has no file .*imagesequence_data.mat"),
        ({"stimulus": "gratingflicker"}, "flickering gratings cannot be loaded"),
        ({"size": (60,)}, "size must be a height and a width"),
        ({"size": (0, 80)}, "size must be a height and a width"),
        ({"n_validation_clips": 13}, "13 are to be for validation"),
        ({"clip_length": 0}, "clip_length must be a whole number of at least 1"),
    ],
    ids=repr,
)
def test_a_setting_that_is_not_possible_is_an_error(tmp_path, settings, words):
    write_film(tmp_path / NAME)
    write_mat(tmp_path / NAME / "gratingflicker_data.mat", {"stiminfo": np.zeros((3, 5))})
    with pytest.raises(UserError, match=words):
        load(data_dir=tmp_path, **FILM | settings)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"frozenbin": None}, "/frozenbin is missing, there is frozenImages"),
        ({"runningImages": None}, "/runningImages is missing"),
        ({"runningbin": np.zeros((BLOCKS, LENGTH))}, "/runningbin must be .*block, time, neuron"),
        ({"runningbin": np.zeros((BLOCKS, LENGTH, 0))}, "/runningbin is empty"),
        ({"frozenbin": np.zeros((TRIALS, TEST, NEURONS + 1))}, "/frozenbin must be .*neuron 4"),
        ({"runningbin": np.full((BLOCKS, LENGTH, NEURONS), np.nan)}, r"/runningbin is nan at \(0, 0, 0\)"),
        ({"runningbin": np.full((BLOCKS, LENGTH, NEURONS), -1.0)}, f"session {NAME}: responses .* negative"),
        ({"runningImages": np.array([b"text"])}, "/runningImages must be"),
        ({"runningfixations": np.ones((BLOCKS, 3, LENGTH))}, "/runningfixations must be"),
        ({"runningfixations": np.full((BLOCKS, LENGTH, 3), 1.5)}, r"/runningfixations shows image 1\.5"),
        (
            {"runningfixations": np.zeros((BLOCKS, LENGTH, 3))},
            "/runningfixations shows image 0, there are images 1 to 3",
        ),
        ({"frozenfixations": np.full((TEST, 3), 4.0)}, "/frozenfixations shows image 4"),
        ({"frozenfixations": np.full((TEST, 3), 1e300)}, r"/frozenfixations has a number 1e\+300"),
        ({"runningImages": np.zeros((3, 900, 900), np.uint8)}, f"session {NAME}: .*in all pixels"),
    ],
    ids=lambda value: str(value)[:40],
)
def test_a_damaged_film_is_one_sentence_that_names_file_and_key(tmp_path, changes, words):
    write_film(tmp_path / NAME, **changes)
    with pytest.raises(UserError, match=words) as error:
        load(data_dir=tmp_path, **FILM)
    assert "20220301_fixationmovie_data.mat" in str(error.value) or NAME in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"stimPara/Nx": [[0.0]]}, "stimPara describes no checkerboard"),
        ({"stimPara/Nx": [[1e12]]}, "stimPara/Nx must be a whole number"),
        ({"stimPara/Ny": [[61.0]]}, "stimPara describes no checkerboard"),
        ({"stimPara/seed": [[5.0]]}, "stimPara/seed is 5, a seed is negative"),
        ({"stimPara/seed": None}, "stimPara/seed is missing"),
        ({"stimPara/Nblinks": [[0.5]]}, "stimPara/Nblinks must be a whole number"),
        ({"stimPara/FrozenFrames": [[5.0]]}, "stimPara/FrozenFrames is 5, but the responses have 12 bins"),
    ],
)
def test_damaged_noise_is_one_sentence(tmp_path, changes, words):
    write_noise(tmp_path / NAME, **changes)
    with pytest.raises(UserError, match=words):
        load(data_dir=tmp_path, stimulus="frozencheckerflicker", **CLIPS)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"presentOrder": np.ones((7, 1))}, "presentOrder has 7 flashes, trialCounts has 120"),
        ({"presentOrder": np.full((120, 1), 25.0)}, "must be of images 1 to 24"),
        ({"presentOrder": np.full((120, 1), 1.5)}, "must be of images 1 to 24"),
        ({"isartificial": np.zeros((1, 5))}, "must be of images 1 to 24"),
        ({"rawdata/stimPara/trialduration": [[0.0]]}, "trialduration must be positive"),
        ({"imageEnsemble": None}, "imageEnsemble is missing"),
    ],
)
def test_damaged_flashes_are_one_sentence(tmp_path, changes, words):
    write_flashes(tmp_path / NAME, **changes)
    with pytest.raises(UserError, match=words):
        load(data_dir=tmp_path, stimulus="imagesequence", size=SIZE)


def test_files_that_cannot_be_read_are_one_sentence(tmp_path):
    write_film(tmp_path / NAME)
    file = tmp_path / NAME / "20220301_fixationmovie_data.mat"
    content = file.read_bytes()
    for damaged in (content[:3000], content[: len(content) // 2], b"", b"no HDF5"):
        file.write_bytes(damaged)
        with pytest.raises(UserError, match=r"20220301_fixationmovie_data\.mat"):
            load(data_dir=tmp_path, **FILM)
    (tmp_path / NAME / "again_fixationmovie_data.mat").write_bytes(content)
    with pytest.raises(UserError, match="has 2 files of one stimulus"):
        load(data_dir=tmp_path, **FILM)


def test_zips_that_cannot_be_read_are_one_sentence(tmp_path):
    path = tmp_path / f"{NAME}.zip"
    path.write_bytes(b"no zip")
    with pytest.raises(UserError, match=f"cannot read .*{NAME}.zip"):
        load(data_dir=tmp_path, **FILM)
    write_film(tmp_path / "plain")
    with zipfile.ZipFile(path, "w") as archive:
        archive.write(tmp_path / "plain" / "20220301_fixationmovie_data.mat", "../../x_fixationmovie_data.mat")
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 255
    path.write_bytes(content)
    with pytest.raises(UserError, match=f"cannot unpack .* from .*{NAME}.zip"):
        load(data_dir=path, **FILM)
    assert not list(tmp_path.parent.glob("x_fixationmovie_data.mat"))


def test_a_screen_that_makes_no_sense_is_an_error_but_types_are_not_needed(tmp_path):
    write_film(tmp_path / NAME)
    write_experiment(tmp_path / NAME)
    path = tmp_path / NAME / "expdata.mat"
    with h5py.File(path, "r+") as file:
        file["cellclus_id"][...] = -3
    assert set(load(data_dir=tmp_path, **FILM)[NAME].neurons) == {"unit"}
    with h5py.File(path, "r+") as file:
        file["projector/refreshrate"][...] = -3
    with pytest.raises(UserError, match=r"expdata\.mat: /projector/refreshrate must be positive, it is -3"):
        load(data_dir=tmp_path, **FILM)


@pytest.fixture(scope="module")
def golden():
    facts = json.loads((GOLDEN / "expected.json").read_text())
    settings = json.loads((GOLDEN / "spec.json").read_text())["spec"]
    return dict(np.load(GOLDEN / "expected.npz")), facts, settings


def load_golden(settings, species, **more):
    clips = settings["dataloader"]
    return load_recordings(
        "karamanlis_2024",
        data_dir=GOLDEN / "files",
        species=species,
        size=settings["downsampled_size"],
        clip_length=clips["clip_length"],
        n_validation_clips=clips["num_val_clips"],
        seed=clips["seed"],
        **more,
    )


@pytest.mark.parametrize("species", ["mouse", "marmoset"])
def test_golden_arrays_of_openretina_are_equalled_to_the_bit_with_its_edges(golden, species):
    expected, facts, settings = golden
    recordings = load_golden(settings, species, openretina_edges=True)
    assert set(recordings) == {name for name in settings["sessions"] if species in name}
    for name, recording in recordings.items():
        bins = running(recording)
        np.testing.assert_array_equal(recording.stimulus_at(bins), expected[f"{name}/movie_train"])
        np.testing.assert_array_equal(recording.stimulus("test"), expected[f"{name}/movie_test/test"])
        np.testing.assert_array_equal(recording.responses[bins].T, expected[f"{name}/responses_train"])
        np.testing.assert_array_equal(recording.trials().swapaxes(1, 2), expected[f"{name}/by_trial/test"])
        np.testing.assert_allclose(recording.response("test").T, expected[f"{name}/responses_test/test"], rtol=1e-6)
        assert recording.movie.mean == facts[name]["norm_mean"]
        assert recording.movie.std == facts[name]["norm_std"]
        clips = validation_clips(len(bins), 15, 3, 42)  # openretina's batch has them as they were drawn
        drawn = bins[clips[:, None] * 15 + np.arange(15)]
        assert (recording.split[drawn] == "validation").all()
        assert (recording.split == "validation").sum() == drawn.size
        np.testing.assert_array_equal(recording.stimulus_at(drawn).swapaxes(0, 1), expected[f"{name}/val_batch/inputs"])
        np.testing.assert_array_equal(recording.responses[drawn], expected[f"{name}/val_batch/targets"])


def test_golden_movies_differ_from_the_truth_only_where_openretina_slips(golden):
    """Away from the row and the column just before an image, what it draws is what the authors' code draws."""
    expected, _, settings = golden
    (file,) = (GOLDEN / "files" / "sessions" / NAME).glob("*.mat")
    recording = load_golden(settings, "mouse")[NAME]
    found = recording.stimulus("test")[0] * recording.movie.std + recording.movie.mean
    with h5py.File(file) as content:
        _, x, y = content["frozenfixations"][:].T
    height, width = settings["downsampled_size"]
    # Bilinear antialiasing looks as far as the distance between two of the smaller pixels.
    rows = np.abs((np.arange(height) + 0.5) * 600 / height - (300 - y[:, None] - 0.5)) < 600 / height
    columns = np.abs((np.arange(width) + 0.5) * 800 / width - (400 - x[:, None] - 0.5)) < 800 / width
    slipped = rows[:, :, None] | columns[:, None, :]
    openretina = expected[f"{NAME}/raw_movie_test"][0]
    np.testing.assert_allclose(found[~slipped], openretina[~slipped], atol=1e-4)
    assert np.abs(found - openretina)[slipped].max() > 1
    assert slipped.mean() < 0.4
