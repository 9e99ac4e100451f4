import json
import pickle
from pathlib import Path

import numpy as np
import pytest

from retina_nb.errors import UserError
from retina_nb.loaders import load_recordings
from retina_nb.loaders.sridhar_2025 import load, wanted
from retina_nb.loaders.sridhar_2025.natural_movie import BOTH_SEEDS, FIXATIONS, TEST_LINES, read_fixations
from retina_nb.loaders.sridhar_2025.retinas import trial_split

TIME, TRIALS, TEST_TIME, TEST_TRIALS = 30, 20, 40, 20
VIEW, PADDING, CROP = (6, 10), 3, (1, 0, 2, 3)  # height before width; 5 x 5 pixels are left
WIDTH, HEIGHT, IMAGES = 21, 17, 4
SETTINGS = {"view": VIEW, "padding": PADDING, "crop": CROP, "excluded_cells": {"01": [1], "02": []}}
NOISE = {"stimulus": "whitenoise", "crop": CROP, "excluded_cells": {"01": [1], "04": []}}
GOLDEN = Path(__file__).parents[1] / "golden" / "datasets"


def write_responses(path, cells, seeds=True, trials=TRIALS, **changes):
    rng = np.random.default_rng(cells)
    content = {
        "train_responses": rng.poisson(0.5, (cells, TIME, trials)).astype(np.float64),
        "test_responses": rng.poisson(0.5, (cells, TEST_TIME, TEST_TRIALS)).astype(np.float64),
    }
    if seeds:
        content |= {"seeds": [2022, 2023], "trial_separation": {2022: list(range(10)), 2023: list(range(10, 20))}}
    content |= changes
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(pickle.dumps({key: value for key, value in content.items() if value is not None}))
    return content


def write_stas(folder, retina, cells, size):
    """STAs that vary most at row 1 + cell and column 3 + cell."""
    folder.mkdir(exist_ok=True)
    for cell in range(cells):
        sta = np.zeros((4, *size), dtype=np.float32)
        sta[2, 1 + cell, 3 + cell] = -5
        np.save(folder / f"cell_data_{retina}_WN_stas_cell_{cell}.npy", sta)


def write_fixations(path, lines, seed):
    rng = np.random.default_rng(seed)
    table = np.column_stack(
        [
            rng.integers(0, IMAGES, lines),
            rng.integers(2, WIDTH - VIEW[1] // 2 - PADDING + 1, lines),
            rng.integers(0, HEIGHT - VIEW[0] // 2 - PADDING + 1, lines),
            rng.integers(0, 2, lines),
        ]
    )
    path.parent.mkdir(exist_ok=True)
    path.write_text("".join(f"{image}.0 {n} 0 {x}.0 {y}.0 {flag}\n" for n, (image, x, y, flag) in enumerate(table)))
    return table


def write_film(root):
    """A small dataset in the published layout, and what it was made from."""
    truth = {name: write_responses(root / f"responses/cell_responses_{name}_fixation_movie.pkl", n, name == "01")
             for name, n in (("01", 4), ("02", 2))}  # fmt: skip
    lines = TEST_LINES + TIME * TRIALS
    truth["01"]["lines"] = write_fixations(root / "fixations" / BOTH_SEEDS, lines, 1)
    truth["02"]["lines"] = write_fixations(root / "fixations" / FIXATIONS["02"], lines, 2)
    images = np.random.default_rng(3).integers(0, 256, (IMAGES, WIDTH, HEIGHT)).astype(np.uint8)
    (root / "stimuli_padded_4").mkdir()
    for n, image in enumerate(images):
        np.save(root / "stimuli_padded_4" / f"{n:05d}_img_{n + 100}.npy", image)
    for name, n in (("01", 4), ("02", 2)):
        write_stas(root / "stas", name, n, VIEW)
    return truth, images


def write_noise(root):
    truth = {name: write_responses(root / f"responses/cell_responses_{name}_wn.pkl", n, seeds=False, trials=10)
             for name, n in (("01", 3), ("04", 2))}  # fmt: skip
    rng = np.random.default_rng(4)
    for name, sequence in (("01", 1), ("04", 2)):
        noise = rng.choice(np.array([-1, 1], dtype=np.int8), (10, *VIEW, TIME + 2))  # more frames than bins
        for trial, frames in enumerate(noise):
            folder = root / f"non_repeating_stimuli_{sequence}" / f"trial_{trial:03d}"
            folder.mkdir(parents=True)
            np.save(folder / "all_images.npy", frames)
        frozen = rng.choice(np.array([-1, 1], dtype=np.int8), (*VIEW, TEST_TIME))
        (root / f"repeating_stimuli_{sequence}").mkdir()
        np.save(root / f"repeating_stimuli_{sequence}" / "all_images.npy", frozen)
        truth[name] |= {"noise": noise, "frozen": frozen}
        write_stas(root / "stas", name, 3, VIEW)
    return truth


@pytest.fixture(scope="module")
def film(tmp_path_factory):
    root = tmp_path_factory.mktemp("film") / "natural_movie"
    truth, images = write_film(root)
    before = sorted(path for path in root.rglob("*"))
    recordings = load(data_dir=root.parent, **SETTINGS)
    assert sorted(path for path in root.rglob("*")) == before  # nothing is written beside the user's files
    return recordings, truth, images


@pytest.fixture(scope="module")
def noise(tmp_path_factory):
    root = tmp_path_factory.mktemp("noise") / "whitenoise"
    truth = write_noise(root)
    return load(data_dir=root, **NOISE), truth


def seen_by_hand(image, x, y, flag):
    """Pixel by pixel, from the description of the published files."""
    view = np.empty(VIEW, dtype=np.float32)
    for row in range(VIEW[0]):
        for column in range(VIEW[1]):
            level = image[x + PADDING - VIEW[1] // 2 + column, y + PADDING - VIEW[0] // 2 + row]
            view[row if flag else VIEW[0] - 1 - row, column] = np.float16(level / 255)
    return view[CROP[0] : VIEW[0] - CROP[1], CROP[2] : VIEW[1] - CROP[3]]


@pytest.mark.parametrize("name", ["01", "02"])
def test_each_bin_shows_what_its_line_of_the_retinas_own_fixations_says(film, name):
    recordings, truth, images = film
    recording, lines = recordings[name], truth[name]["lines"]
    running = np.flatnonzero(recording.split != "test").reshape(TRIALS, TIME)
    for trial in (0, 7, TRIALS - 1):
        for bin_ in (0, 11, TIME - 1):
            image, x, y, flag = lines[TEST_LINES + TIME * trial + bin_]
            found = recording.stimulus_at(running[trial, [bin_]])[0, 0]
            np.testing.assert_array_equal(found, seen_by_hand(images[image], x, y, flag))
    for bin_ in (0, TEST_TIME - 1):
        image, x, y, flag = lines[bin_]
        np.testing.assert_array_equal(recording.stimulus("test")[0, bin_], seen_by_hand(images[image], x, y, flag))


def test_responses_are_those_of_the_cells_that_are_kept(film):
    recordings, truth, _ = film
    recording = recordings["01"]
    np.testing.assert_array_equal(recording.neurons["cell"], [0, 2, 3])
    running = recording.responses[recording.split != "test"].reshape(TRIALS, TIME, 3)
    np.testing.assert_array_equal(running, truth["01"]["train_responses"][[0, 2, 3]].transpose(2, 1, 0))
    # its later test trials showed something else
    np.testing.assert_array_equal(
        recording.trials(), truth["01"]["test_responses"][[0, 2, 3], :, :10].transpose(2, 1, 0)
    )
    assert recordings["02"].trials().shape == (TEST_TRIALS, TEST_TIME, 2)
    assert recording.rate == 85
    assert recording.pixel_um == 30


def test_every_trial_starts_a_presentation_and_is_of_one_split(film):
    recording = film[0]["01"]
    assert len(recording.onsets) == TRIALS + 10
    for start, end in zip(recording.onsets, [*recording.onsets[1:], len(recording)], strict=True):
        assert len(set(recording.split[start:end])) == 1
    assert (recording.split == "train").sum() == 16 * TIME


def test_stas_peak_in_pixels_of_the_movie(film, noise):
    upside_down, upright = film[0]["01"].neurons, noise[0]["04"].neurons
    np.testing.assert_array_equal(upside_down["sta_row"], VIEW[0] - 1 - (1 + np.array([0, 2, 3])) - CROP[0])
    np.testing.assert_array_equal(upright["sta_row"], 1 + np.arange(2) - CROP[0])
    np.testing.assert_array_equal(upright["sta_column"], 3 + np.arange(2) - CROP[2])


def test_trials_of_one_seed_keep_their_own_lines(film, tmp_path):
    write_film(tmp_path / "natural_movie")
    recording = load(data_dir=tmp_path, retinas=["01"], stimulus_seed=2023, locations=False, **SETTINGS)["01"]
    everything = film[0]["01"]
    running, all_running = (np.flatnonzero(one.split != "test").reshape(-1, TIME) for one in (recording, everything))
    np.testing.assert_array_equal(
        recording.stimulus_at(running.ravel()), everything.stimulus_at(all_running[10:].ravel())
    )
    assert "sta_row" not in recording.neurons


def test_trials_of_a_test_movie_that_is_not_published_are_left_out(film, tmp_path, caplog):
    write_film(tmp_path)
    settings = SETTINGS | {"locations": False, "retinas": ["01"]}
    later = load(data_dir=tmp_path, stimulus_seed=2023, **settings)["01"]
    assert "retina 01 saw with seed 2023 are left out" in caplog.text
    assert later.repeats == {}
    assert "test" not in later.split
    first = load(data_dir=tmp_path, stimulus_seed=2022, **settings)["01"]
    np.testing.assert_array_equal(first.trials(), film[0]["01"].trials())
    separation = {2022: list(range(10)), 2023: list(range(8, 20))}
    write_responses(
        tmp_path / "responses/cell_responses_01_fixation_movie.pkl", 4, seeds=True, trial_separation=separation
    )
    mixed = load(data_dir=tmp_path, stimulus_seed=2023, **settings)["01"]
    np.testing.assert_array_equal(mixed.trials(), film[0]["01"].trials()[8:])


@pytest.mark.parametrize("trials", [[0, 1, 1], [-1, 2], [[0, 1]], [], [0.5]])
def test_a_list_of_trials_that_is_none_is_refused(tmp_path, trials):
    write_film(tmp_path)
    write_responses(
        tmp_path / "responses/cell_responses_01_fixation_movie.pkl", 4, trial_separation={2022: trials, 2023: [3]}
    )
    with pytest.raises(UserError, match=r"trial_separation\[2022\] must be a list of distinct trials"):
        load(data_dir=tmp_path, stimulus_seed=2022, locations=False, retinas=["01"], **SETTINGS)


def test_retinas_share_the_movie_of_the_same_fixations(tmp_path):
    write_film(tmp_path)
    (tmp_path / "responses/cell_responses_02_fixation_movie.pkl").rename(
        tmp_path / "responses/cell_responses_03_fixation_movie.pkl"
    )
    recordings = load(data_dir=tmp_path, locations=False, **SETTINGS | {"excluded_cells": {}})
    assert recordings["01"].movie is recordings["03"].movie


@pytest.mark.parametrize(("name", "cells"), [("01", [0, 2]), ("04", [0, 1])])
def test_each_bin_shows_a_frame_of_its_retinas_own_noise(noise, name, cells):
    recordings, truth = noise
    recording, frames = recordings[name], truth[name]["noise"][..., :TIME]
    inner = np.s_[..., CROP[0] : VIEW[0] - CROP[1], CROP[2] : VIEW[1] - CROP[3]]
    running = np.flatnonzero(recording.split != "test").reshape(10, TIME)
    np.testing.assert_array_equal(recording.stimulus_at(running)[0], frames.transpose(0, 3, 1, 2)[inner])
    np.testing.assert_array_equal(recording.stimulus("test")[0], truth[name]["frozen"].transpose(2, 0, 1)[inner])
    np.testing.assert_array_equal(recording.trials(), truth[name]["test_responses"][cells].transpose(2, 1, 0))
    scattered = np.array([[running[9, 29], running[0, 0]], [running[4, 7], running[0, 29]]])
    np.testing.assert_array_equal(recording.stimulus_at(scattered)[0, 0, 0], frames[9, ..., 29][inner])


@pytest.mark.parametrize("n", [9, 10, 11, 20, 21])
def test_trials_that_share_a_part_of_the_film_are_of_one_split(n):
    for seed in range(20):
        labels = trial_split(np.arange(n), 0.8, seed)
        assert (labels == "train").sum() == int(n * 0.8)
        assert n < 10 or labels[0] == labels[9]
        assert n < 20 or labels[10] == labels[19]


def test_trials_that_share_a_part_of_the_film_are_found_by_their_published_numbers():
    for seed in range(20):
        labels = trial_split(np.array([19, 3, 10, 9, 4, 0]), 0.5, seed)
        assert labels[0] == labels[2]
        assert labels[3] == labels[5]


def test_the_split_of_the_published_retina_01_is_that_of_openretina():
    assert set(np.flatnonzero(trial_split(np.arange(21), 0.8, 1000) == "validation")) == {12, 18, 20, 2, 4}


def test_the_split_leaves_global_random_numbers_alone():
    np.random.seed(5)
    expected = np.random.random()
    np.random.seed(5)
    trial_split(np.arange(20), 0.8, 1000)
    assert np.random.random() == expected


def test_it_is_listed_and_says_what_it_needs():
    assert wanted() == [
        f"marmoset/natural_movie/{part}*" for part in ("responses", "fixations", "stimuli_padded_4", "stas")
    ]
    assert wanted(stimulus="whitenoise", locations=False) == [
        f"marmoset/whitenoise/{part}*" for part in ("responses", "non_repeating_stimuli_", "repeating_stimuli_")
    ]


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"stimulus": "whitenoise "}, "did you mean 'whitenoise'"),
        ({"retinas": ["1"]}, "retina of .* '1'.*known are 01, 02"),
        ({"excluded_cells": {"1": [0]}}, "retina of .* '1'"),
        ({"excluded_cells": {"01": [4]}}, "no cell 4 to exclude, the cells are 0 to 3"),
        ({"excluded_cells": {"02": [0, 1]}}, "_02_.*all 2 cells are excluded"),
        ({"excluded_cells": None}, "there is no cell .* to exclude"),
        ({"crop": (3, 3, 0, 0)}, "nothing is left of a view"),
        ({"crop": (1, 2, 3)}, "crop must be 4 whole numbers"),
        ({"view": (0, 10)}, "view must be 2 whole numbers of at least 1"),
        ({"view": (6, 30)}, "line 1: a view of 6 x 30 pixels .* does not fit"),
        ({"padding": 30}, "does not fit"),
        ({"train_fraction": 0.0}, "train_fraction must be above 0"),
        ({"seed": -1}, "the seed be at least 0"),
        ({"stimulus_seed": 2024}, "stimulus seed of .* '2024'.*known are 2022, 2023"),
    ],
    ids=repr,
)
def test_a_setting_that_is_not_possible_is_an_error(film, tmp_path, settings, words):
    write_film(tmp_path)
    with pytest.raises(UserError, match=words):
        load(data_dir=tmp_path, **SETTINGS | settings)


def broken(root, what):
    responses = root / "responses/cell_responses_01_fixation_movie.pkl"
    fixations, image = root / "fixations" / BOTH_SEEDS, root / "stimuli_padded_4/00002_img_102.npy"
    rng = np.random.default_rng(0)
    match what:
        case "truncated pickle":
            responses.write_bytes(responses.read_bytes()[:-500])
        case "pickle of code":
            responses.write_bytes(pickle.dumps(Path("x")))
        case "not a dictionary":
            responses.write_bytes(pickle.dumps([1, 2]))
        case "missing key":
            write_responses(responses, 4, train_responses=None)
        case "wrong shape":
            write_responses(responses, 4, train_responses=np.zeros((TIME, TRIALS)))
        case "axes swapped":
            write_responses(responses, 4, train_responses=np.zeros((TIME, 4, TRIALS)))
        case "wrong dtype":
            write_responses(responses, 4, test_responses=np.array([["a"]]))
        case "NaN":
            write_responses(responses, 4, test_responses=np.full((4, TEST_TIME, 3), np.nan))
        case "negative":
            write_responses(responses, 4, test_responses=np.full((4, TEST_TIME, TEST_TRIALS), -1.0))
        case "empty":
            write_responses(responses, 4, train_responses=np.zeros((0, TIME, TRIALS)))
        case "bad trials":
            write_responses(responses, 4, trial_separation={2022: [0, 25]})
        case "no fixations":
            fixations.unlink()
        case "empty fixations":
            fixations.write_text("")
        case "text in fixations":
            fixations.write_text(fixations.read_text().replace("0", "o", 1))
        case "bytes in fixations":
            fixations.write_bytes(rng.bytes(1000))
        case "NaN in fixations":
            fixations.write_text("nan 0 0 3.0 3.0 1\n" + fixations.read_text())
        case "lost word in fixations":
            fixations.write_text(fixations.read_text().partition(" ")[2])
        case "too few fixations":
            fixations.write_text("".join(fixations.read_text().splitlines(keepends=True)[:-1]))
        case "unknown image":
            fixations.write_text("9.0 0 0 3.0 3.0 1\n" + fixations.read_text())
        case "no images":
            for path in image.parent.iterdir():
                path.unlink()
        case "no folder of images":
            image.parent.rename(root / "other")
        case "no STA":
            (root / "stas/cell_data_02_WN_stas_cell_1.npy").unlink()
        case "truncated STA":
            path = root / "stas/cell_data_02_WN_stas_cell_1.npy"
            path.write_bytes(path.read_bytes()[:100])
        case "wrong dataset":
            responses.parent.rename(root / "sessions")


@pytest.mark.parametrize(
    ("what", "words"),
    [
        ("truncated pickle", "01_fixation_movie.pkl.*damaged"),
        ("pickle of code", "01_fixation_movie.pkl asks for pathlib"),
        ("not a dictionary", "must hold a dictionary, it holds list"),
        ("missing key", "01_fixation_movie.pkl: train_responses is missing, there is test_responses"),
        ("wrong shape", r"01_fixation_movie.pkl: train_responses must be \(cell, time, trial\)"),
        ("axes swapped", "train_responses must be .* of the cells of test_responses"),
        ("wrong dtype", "test_responses must be numbers"),
        ("NaN", "test_responses of cell 0 has numbers that are not finite"),
        ("negative", "session 01: responses of neuron 0 are negative"),
        ("empty", "train_responses must be numbers"),
        ("no fixations", f"cannot read .*{BOTH_SEEDS}|{BOTH_SEEDS} not found"),
        ("empty fixations", f"{BOTH_SEEDS} is not a list of fixations"),
        ("text in fixations", f"{BOTH_SEEDS} is not a list of fixations"),
        ("bytes in fixations", f"{BOTH_SEEDS} is not a list of fixations"),
        ("NaN in fixations", f"{BOTH_SEEDS} has no usable numbers in line 1"),
        ("lost word in fixations", f"{BOTH_SEEDS} is not a list of fixations .its lines have from 5 to 6 columns"),
        ("too few fixations", f"{BOTH_SEEDS} has 5699 lines, the responses of retina 01 need 5700"),
        ("unknown image", f"{BOTH_SEEDS}, line 1: .* image 9 does not fit: there are 4 images"),
        ("no images", "stimuli_padded_4 has no images"),
        ("no folder of images", "cannot read the folder .*stimuli_padded_4"),
        ("no STA", "cannot read .*02_WN_stas_cell_1.npy"),
        ("truncated STA", "02_WN_stas_cell_1.npy.* is damaged"),
    ],
)
def test_a_film_that_is_damaged_is_one_sentence(tmp_path, what, words):
    write_film(tmp_path)
    broken(tmp_path, what)
    with pytest.raises(UserError, match=words) as error:
        load(data_dir=tmp_path, **SETTINGS)
    assert "\n" not in str(error.value)


def test_a_trial_that_is_not_there_is_an_error(tmp_path):
    write_film(tmp_path)
    broken(tmp_path, "bad trials")
    with pytest.raises(UserError, match="trial_separation has trial 25, train_responses 20 trials"):
        load(data_dir=tmp_path, stimulus_seed=2022, **SETTINGS)


@pytest.mark.parametrize("content", [b"", b"\x93NUMPY", "half", np.zeros((3, 3)), np.array(["text"] * 4)], ids=str)
def test_a_damaged_image_is_an_error_where_it_is_looked_at(tmp_path, content):
    write_film(tmp_path)
    recording = load(data_dir=tmp_path, **SETTINGS)["01"]
    image = tmp_path / "stimuli_padded_4/00002_img_102.npy"
    if isinstance(content, np.ndarray):
        np.save(image, content)
    else:
        image.write_bytes(image.read_bytes()[:200] if content == "half" else content)
    with pytest.raises(UserError, match="00002_img_102"):
        recording.stimulus("test")


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (lambda root: (root / "non_repeating_stimuli_1/trial_003/all_images.npy").write_bytes(b"x" * 50), "trial_003"),
        (lambda root: np.save(root / "repeating_stimuli_2/all_images.npy", np.zeros((2, 2, 40))), "has frames of"),
        (lambda root: np.save(root / "repeating_stimuli_1/all_images.npy", np.zeros((*VIEW, 7))), "7 frozen ones"),
        (
            lambda root: (root / "non_repeating_stimuli_2").rename(root / "x"),
            "non_repeating_stimuli_2 has no trial_000",
        ),
        (lambda root: (root / "non_repeating_stimuli_2/trial_009").rename(root / "x"), "has 9 trials.* need 10"),
        (lambda root: (root / "repeating_stimuli_1/all_images.npy").unlink(), "cannot read .*repeating_stimuli_1"),
    ],
)
def test_noise_that_is_damaged_is_one_sentence(tmp_path, damage, words):
    write_noise(tmp_path)
    damage(tmp_path)
    with pytest.raises(UserError, match=words):
        load(data_dir=tmp_path, **NOISE)


def golden(kind):
    folder = GOLDEN / kind
    facts = json.loads((folder / "expected.json").read_text())
    spec = json.loads((folder / "spec.json").read_text())["spec"]
    return folder / "files", np.load(folder / "expected.npz"), facts, spec


@pytest.mark.parametrize("stimulus", ["natural_movie", "whitenoise"])
def test_golden_arrays_of_openretina_are_equalled_to_the_bit(stimulus):
    files, expected, facts, spec = golden(f"sridhar_2025_{stimulus}")
    settings = spec["loader"]
    if stimulus == "natural_movie":
        sizes = {"view": [settings["img_h"], settings["img_w"]], "padding": settings["padding"]}
    else:
        sizes = {}
    recordings = load_recordings(
        "sridhar_2025",
        data_dir=files,
        stimulus=stimulus,
        excluded_cells=settings["excluded_cells"],
        crop=settings["big_crops"]["01"],
        **sizes,
    )
    assert set(recordings) == set(spec["retinas"])
    for name, recording in recordings.items():
        check_retina(recording, {key[3:]: expected[key] for key in expected if key[:3] == f"{name}/"}, facts[name])


def check_retina(recording, expected, facts):
    overhead, length = facts["frame_overhead"], facts["time_chunk_size_with_overhead"]
    running = np.flatnonzero(recording.split != "test").reshape(facts["session_kwargs"]["num_trials"], -1)
    chunks = (running.shape[1] - overhead) // (length - overhead)

    def sample(trials, item):
        """Bins of an item of openretina's dataset: the overhead is history, the others are targets."""
        start = item % chunks * (length - overhead)
        return running[trials[item // chunks], start : start + length]

    for split in ("train", "validation"):
        trials = np.flatnonzero(recording.split[running[:, 0]] == split)
        assert sorted(facts[f"{split}_trials"]) == trials.tolist()
    for key in (key for key in expected if key.endswith("/inputs") and key.startswith("train_sample")):
        bins = sample(facts["train_trials"], int(key.split("/")[0].removeprefix("train_sample_")))
        np.testing.assert_array_equal(recording.stimulus_at(bins), expected[key])
        targets = expected[key.replace("inputs", "targets")]
        np.testing.assert_array_equal(recording.responses[bins[overhead:]], targets)
    for item, (inputs, targets) in enumerate(
        zip(expected["val_batch/inputs"], expected["val_batch/targets"], strict=True)
    ):
        bins = sample(facts["validation_trials"], item)
        np.testing.assert_array_equal(recording.stimulus_at(bins), inputs)
        np.testing.assert_array_equal(recording.responses[bins[overhead:]], targets)
    np.testing.assert_array_equal(recording.stimulus("test"), expected["test_set/movie"])
    np.testing.assert_array_equal(recording.response("test"), expected["test_set/responses"])
    np.testing.assert_array_equal(recording.trials().transpose(0, 2, 1), expected["by_trial/test"])
    peaks = np.column_stack([recording.neurons["sta_row"], recording.neurons["sta_column"]])
    np.testing.assert_array_equal(peaks, expected["locations"])
    np.testing.assert_array_equal(recording.neurons["cell"], facts["session_kwargs"]["cell_indices"])


def test_an_image_without_a_whole_number_is_told(tmp_path):
    (tmp_path / "a.txt").write_text("1.0 0 0 3.5 4.0 1\n2.5 0 0 3.0 4.0 0\n")
    with pytest.raises(UserError, match=r"a\.txt has image 2\.5 in line 2"):
        read_fixations(tmp_path / "a.txt")
