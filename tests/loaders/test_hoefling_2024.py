import hashlib
import logging
import pickle
import shutil
import zipfile

import h5py
import numpy as np
import pytest
from golden_files import golden

from retina_nb.errors import UserError
from retina_nb.loaders import load_recordings
from retina_nb.loaders.batches import SharedBatches
from retina_nb.loaders.hoefling_2024 import VALIDATION_CLIPS, wanted
from retina_nb.recording import sessions_that_share
from retina_nb.stimuli import baden

SIZE = (5, 7)
FIRST, SECOND, LEFT = "session_1_ventral1_20200101", "session_1_ventral2_20200101", "session_2_ventral1_20200101"
ORDERS = np.stack([np.random.default_rng(n).permutation(108) for n in range(3)], axis=1).astype(np.uint8)
# Kept, amacrine, of bad quality, kept by its chirp alone, unsure.
CELLS = {
    "group_assignment": np.array([3, 40, 20, 31, 12]),
    "d_qi": np.array([0.6, 0.9, 0.5, 0.1, 0.9]),
    "chirp_qi": np.array([0.1, 0.9, 0.3, 0.35, np.nan]),
    "roi_ids": np.array([2, 3, 5, 7, 8]),
}
CONFIDENCE = [0.25, 0.9, 0.9, 0.5, 0.2]


def clips_shown(order):
    """The clip at each place of a session, counted one by one; the test clips are 108 to 112."""
    shown, rest = [], list(order)
    for place in range(123):
        if place in (*range(5), *range(59, 64), *range(118, 123)):
            shown.append(108 + place - (0 if place < 5 else 59 if place < 64 else 118))
        else:
            shown.append(int(rest.pop(0)))
    return np.array(shown)


def write_session(file, name, order, *, eye="right", old=True, starts=None):
    """Traces that are, sampled at the frames, the number of the movie frame on screen plus that of the cell."""
    n, session = len(CONFIDENCE), file.create_group(name)
    session.attrs.update({"eye": eye, "scan_sequence_idx": order, "date": "20200101"})
    for key, values in CELLS.items():
        session[key] = values
    session["group_confidences"] = np.outer(CONFIDENCE, np.eye(46, dtype=np.float32)[7]).astype(np.float32)
    session["roi_mask"] = np.ones((64, 64), dtype=np.int64)
    session["roi_mask"][10:14, 20:22] = -2
    frames = (clips_shown(ORDERS[:, order])[:, None] * 150 + np.arange(150)).ravel()
    stimuli = {
        "natural": (np.arange(123) * 5.0 if starts is None else starts, 4.9666667, 150, frames),
        "chirp": (np.repeat(np.arange(3) * 33.02, 2) + [0, 5] * 3, 32.98999999, 990, np.tile(np.arange(990), 3)),
        "mb": (np.arange(16) * 4.087, 4.054001, 123, np.tile(np.arange(984), 2)),
    }
    for prefix, (triggers, seconds, bins, course) in stimuli.items():
        times = np.concatenate(
            [np.linspace(2 + t, 2 + t + seconds, bins) for t in triggers[:: 2 if prefix == "chirp" else 1]]
        )
        session[f"{prefix}_trigger_times"] = np.tile(2 + triggers, (n, 1))
        session[f"{prefix}_{'inferred_' if old else ''}spikes"] = course + np.arange(1.0, n + 1)[:, None]
        session[f"{prefix}_traces_times"] = np.tile(times, (n, 1))


@pytest.fixture(scope="module")
def published(tmp_path_factory):
    """A folder as it is published; not to be written to."""
    root = tmp_path_factory.mktemp("hoefling")
    rng = np.random.default_rng(0)
    movie = {
        "train": rng.standard_normal((2, 16200, *SIZE)).astype(np.float32),
        "test": rng.standard_normal((2, 750, *SIZE)).astype(np.float32),
        "random_sequences": ORDERS,
        "eye": "right",
    }
    zipped, responses = (root / path for path in (wanted()[1], wanted()[0]))
    zipped.parent.mkdir()
    responses.parent.mkdir()
    with zipfile.ZipFile(zipped, "w") as archive:
        archive.writestr("movie.pkl", pickle.dumps(movie))
    with h5py.File(responses.with_suffix(".h5"), "w") as file:
        write_session(file, FIRST, 0)
        write_session(file, SECOND, 0, old=False)
        write_session(file, LEFT, 2, eye="left")
    load(root)  # unpacks the movie
    return root


def load(root, **settings):
    return load_recordings("hoefling_2024", **{"data_dir": root} | settings)


def movie_of(root):
    return pickle.loads(next(root.rglob("movie.pkl")).read_bytes())


def test_every_bin_has_the_frame_that_was_shown_and_the_response_to_it(published):
    for session, order in ((FIRST, 0), (LEFT, 2)):
        recording = load(published)[session]
        frames = (clips_shown(ORDERS[:, order])[:, None] * 150 + np.arange(150)).ravel()
        np.testing.assert_array_equal(recording.frames, frames)
        for neuron, cell in enumerate((1, 4)):
            expected = (frames + cell) / np.std(frames)
            np.testing.assert_allclose(recording.responses[:, neuron], expected, rtol=1e-5)


def test_splits_are_labels_of_whole_clips(published):
    recording = load(published, validation_clips=[3, 107])[FIRST]
    clips = recording.frames // 150
    np.testing.assert_array_equal(recording.split == "validation", np.isin(clips, [3, 107]))
    np.testing.assert_array_equal(recording.split == "test", clips >= 108)
    assert recording.onsets.tolist() == [0]  # one film from start to end
    trials = recording.trials("test")
    assert trials.shape == (3, 750, 2)
    np.testing.assert_array_equal(trials[0], trials[2])
    np.testing.assert_array_equal(recording.stimulus("test"), movie_of(published)["test"])


def test_all_sessions_share_one_movie_that_is_not_copied(published):
    recordings = load(published)
    assert len({id(recording.movie) for recording in recordings.values()}) == 1
    assert sessions_that_share(recordings) == [[FIRST, SECOND], [LEFT]]
    assert recordings[FIRST].movie.channels == ("green", "UV")
    assert [part.shape[1] for part in recordings[FIRST].movie.frames.parts] == [16200, 750]
    assert recordings[FIRST].frames is recordings[SECOND].frames


def test_a_left_eye_sees_the_movie_mirrored(published):
    left = load(published)[LEFT]
    assert left.mirrored
    np.testing.assert_array_equal(left.stimulus("test"), movie_of(published)["test"][..., ::-1])
    np.testing.assert_array_equal(
        left.stimulus_at(np.array([750]))[:, 0], movie_of(published)["train"][:, 150 * int(ORDERS[0, 2]), :, ::-1]
    )


def test_sessions_are_trained_on_together(published):
    batches = SharedBatches(load(published), split="train", lag=10, chunk_size=50, batch_size=1000)
    batch = next(iter(batches))
    assert batch.stimulus.shape == (2 * 279, 2, 60, *SIZE)
    assert set(batch.targets) == {FIRST, SECOND, LEFT}


def test_cells_are_known_by_type_and_place_and_filters_tell_what_they_dropped(published, caplog):
    with caplog.at_level(logging.INFO):
        recording = load(published)[FIRST]
    assert recording.neurons["roi_id"].tolist() == [2, 7]
    assert recording.neurons["type"].tolist() == [3, 31]
    assert recording.neurons["class"].tolist() == ["OFF", "uncertain"]
    np.testing.assert_array_equal(recording.neurons["y_um"], [2 * 11.5, np.nan])
    np.testing.assert_array_equal(recording.neurons["x_um"], [2 * 20.5, np.nan])
    assert recording.about["dropped"] == {"type": [3], "quality": [5], "confidence": [8]}
    assert recording.about["eye"] == "right"
    assert recording.about["scan_sequence_idx"] == 0
    assert recording.about["date"] == "20200101"
    assert "6 cells of 3 sessions; dropped were 3 for type, 3 for quality, 3 for confidence" in caplog.text


@pytest.mark.parametrize(
    ("settings", "rois"),
    [
        ({"cell_types": None}, [2, 3, 7]),
        ({"cell_types": range(33, 47)}, [3]),
        ({"d_qi": 0.5}, [2, 5, 7]),
        ({"chirp_qi": 0.4}, [2]),
        ({"both_qualities": True, "d_qi": 0.1, "chirp_qi": 0.1}, [2, 5, 7]),
        ({"confidence": 0.0}, [2, 7, 8]),
        ({"confidence": 0.3}, [7]),
    ],
)
def test_filters_choose_cells(published, settings, rois):
    assert load(published, **settings)[FIRST].neurons["roi_id"].tolist() == rois


def test_the_chirp_is_repeated(published):
    recording = load(published, stimulus="chirp", resolution="high")[LEFT]
    assert recording.trials("chirp").shape == (3, 990, 2)
    np.testing.assert_allclose(
        recording.response("chirp")[:, 0], (np.arange(990) + 1) / np.std(np.arange(990)), rtol=1e-5
    )
    np.testing.assert_array_equal(recording.stimulus("chirp"), baden.chirp((72, 64)))
    assert recording.pixel_um == 12.5


def test_bars_are_repeated_in_eight_directions(published):
    recording = load(published, stimulus="moving_bar")[LEFT]
    assert recording.trials("moving_bar").shape == (2, 984, 2)
    np.testing.assert_array_equal(recording.stimulus("moving_bar"), baden.moving_bars((18, 16))[..., ::-1])
    assert recording.pixel_um == 50
    np.testing.assert_allclose(
        recording.response("moving_bar")[:, 1], (np.arange(984) + 4) / np.std(np.arange(984)), rtol=1e-5
    )


def copied(published, tmp_path, change_responses=None, change_movie=None):
    """A copy of the folder with its responses or movie changed."""
    root = shutil.copytree(published, tmp_path / "copy")
    if change_responses:
        path = (root / wanted()[0]).with_suffix(".h5")
        with h5py.File(path, "r+") as file:
            change_responses(file)
    if change_movie:
        (root / wanted()[1]).unlink()
        path = next(root.rglob("movie.pkl"))
        path.write_bytes(pickle.dumps(change_movie(pickle.loads(path.read_bytes()))))
    return root


def put(key, change, session=FIRST):
    def damage(file):
        values = file[session][key][()]
        del file[session][key]
        if (changed := change(values)) is not None:
            file[session][key] = changed

    return damage


def attribute(key, value):
    def damage(file):
        if value is None:
            del file[FIRST].attrs[key]
        else:
            file[FIRST].attrs[key] = value

    return damage


def test_a_break_in_the_film_is_an_onset(published, tmp_path):
    later = np.where(np.arange(123) < 40, 0, 3.0)
    root = copied(
        published,
        tmp_path,
        lambda file: (file.pop(FIRST), write_session(file, FIRST, 0, starts=np.arange(123) * 5.0 + later)),
    )
    recordings = load(root)
    assert recordings[FIRST].onsets.tolist() == [0, 40 * 150]
    assert recordings[SECOND].onsets.tolist() == [0]


def test_a_trial_that_was_not_recorded_to_its_end_is_no_repeat(published, tmp_path):
    def cut(file):
        for key in ("chirp_inferred_spikes", "chirp_traces_times"):
            put(key, lambda x: x[:, :-100])(file)

    recording = load(copied(published, tmp_path, cut), stimulus="chirp")[FIRST]
    assert recording.trials("chirp").shape[0] == 2
    assert (recording.split == "").sum() == 990


def test_fluorescence_may_be_negative(published, tmp_path):
    def add(file):
        spikes = file[FIRST]["natural_inferred_spikes"][()]
        file[FIRST]["natural_raw_traces"] = -spikes
        file[FIRST]["natural_smoothed_traces"] = np.zeros_like(spikes)

    root = copied(published, tmp_path, add)
    spikes = load(root, sessions=[FIRST])[FIRST].responses
    for trace in ("raw", "detrended"):
        np.testing.assert_array_equal(load(root, sessions=[FIRST], trace=trace)[FIRST].responses, -spikes)


def put_nan(values):
    return np.where(np.arange(values.size).reshape(values.shape) == 3, np.nan, values)


def test_cells_without_a_usable_trace_are_an_error_or_left_out(published, tmp_path):
    root = copied(published, tmp_path, put("natural_inferred_spikes", put_nan))
    with pytest.raises(
        UserError, match=rf"{FIRST}/natural: the spikes of roi 2 are constant or not finite.*drop_unusable"
    ):
        load(root)
    recording = load(root, drop_unusable=True)[FIRST]
    assert recording.neurons["roi_id"].tolist() == [7]
    assert recording.about["dropped"]["unusable trace"] == [2]


def test_sessions_without_cells_or_with_too_few_are_left_out(published, tmp_path):
    root = copied(published, tmp_path, put("group_assignment", lambda x: x * 0 + 40))
    assert list(load(root)) == [SECOND, LEFT]
    with pytest.raises(UserError, match=r"no cell is left, dropped were .*4 for small session"):
        load(root, min_neurons=3)


@pytest.mark.parametrize(
    ("damage", "says"),
    [
        (put("group_assignment", lambda _: None), "group_assignment is missing"),
        (put("group_assignment", lambda x: x + 0.5), "group_assignment must be integers"),
        (put("group_assignment", lambda x: x + 40), "has the group 80, there are 1 to 46"),
        (put("group_confidences", np.transpose), r"\(cell 5, group\), not float32 \(46, 5\)"),
        (put("group_confidences", put_nan), "group_confidences is nan"),
        (put("d_qi", lambda x: x[1:]), r"d_qi must be .* \(cell 5\)"),
        (put("roi_ids", lambda x: x[:, None]), r"roi_ids must be .* not int64 \(5, 1\)"),
        (put("natural_inferred_spikes", lambda _: None), "natural_spikes is missing"),
        (put("natural_inferred_spikes", np.transpose), r"inferred_spikes must be .* \(cell 5, sample\)"),
        (put("natural_inferred_spikes", lambda x: x.astype("S4")), "inferred_spikes must be floats or integers"),
        (put("natural_inferred_spikes", lambda x: -x), FIRST + ".* negative"),
        (put("natural_traces_times", lambda _: None), "natural_traces_t0 is missing"),
        (put("natural_traces_times", lambda x: x[:, ::-1]), "natural_traces_times does not run forward"),
        (put("natural_traces_times", put_nan), "natural_traces_times is nan"),
        (put("natural_trigger_times", lambda _: None), "natural_trigger_times is missing"),
        (put("natural_trigger_times", lambda x: x[:, 1:]), "122 clips of the movie were recorded"),
        (put("natural_trigger_times", lambda x: x + 50), "113 clips of the movie were recorded"),
        (put("natural_trigger_times", lambda x: x[:, ::-1]), "natural_trigger_times does not run forward"),
        (attribute("eye", None), "eye is missing"),
        (attribute("eye", "middle"), "eye must be left or right, not 'middle'"),
        (attribute("scan_sequence_idx", 3), "scan_sequence_idx is 3, the movie has the orders 0 to 2"),
        (attribute("scan_sequence_idx", 1.5), "scan_sequence_idx must be an integer"),
        (lambda file: (file.pop(FIRST), file.update({FIRST: 3})), "must be a group"),
    ],
)
def test_damaged_responses_are_named_with_session_and_key(published, tmp_path, damage, says):
    with pytest.raises(UserError, match=says) as error:
        load(copied(published, tmp_path, damage))
    assert FIRST in str(error.value)


def test_cut_files_are_named(published, tmp_path):
    root = copied(published, tmp_path)
    movie, responses = next(root.rglob("movie.pkl")), (root / wanted()[0]).with_suffix(".h5")
    (root / wanted()[1]).unlink()
    for path, says in ((movie, "not a pickle"), (responses, "not an HDF5 file")):
        whole = path.read_bytes()
        path.write_bytes(whole[:-1000])
        with pytest.raises(UserError, match=rf"{path.name}.*{says}"):
            load(root)
        path.write_bytes(whole)


class Attack:
    def __reduce__(self):
        return exec, ("raise SystemExit",)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda movie: movie | {"train": Attack()}, "asks for builtins.exec, which is not data"),
        (lambda movie: list(movie), "not the movie of hoefling_2024 but a list"),
        (lambda movie: {k: v for k, v in movie.items() if k != "test"}, "test must be numbers .* not NoneType"),
        (lambda movie: movie | {"train": movie["train"][:, :-150]}, "train has 16050 frames, 108 clips of 150"),
        (lambda movie: movie | {"train": movie["train"][0]}, r"\(channel, frame, height, width\), not float32 \(16200"),
        (lambda movie: movie | {"test": movie["test"][..., 1:]}, "not alike"),
        (lambda movie: movie | {"test": movie["test"] + np.nan}, "test has pixels that are not finite"),
        (lambda movie: movie | {"train": movie["train"].astype("S4")}, r"must be numbers .* not \|S4"),
        (lambda movie: movie | {"random_sequences": None}, "random_sequences must have the 108"),
        (lambda movie: movie | {"random_sequences": ORDERS[1:]}, "random_sequences must have the 108"),
        (lambda movie: movie | {"random_sequences": ORDERS * 0}, "random_sequences must have the 108"),
        (lambda movie: movie | {"movie_stats": {"dichromatic": {"mean": [1, 2]}}}, "one finite mean and sd"),
        (
            lambda movie: movie | {"movie_stats": {"dichromatic": {"mean": 36 + 0j, "sd": 37.0}}},
            "one finite mean and sd",
        ),
    ],
)
def test_damaged_movies_are_named_with_their_key(published, tmp_path, change, says):
    with pytest.raises(UserError, match=says) as error:
        load(copied(published, tmp_path, change_movie=change))
    assert "movie.pkl" in str(error.value)


def test_movies_of_other_numbers_become_single_precision(published, tmp_path):
    root = copied(published, tmp_path, change_movie=lambda movie: movie | {"train": movie["train"].astype(np.float64)})
    assert load(root)[FIRST].movie.frames.dtype == np.float32


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"stimulus": "bars"}, "unknown stimulus"),
        ({"resolution": "hihg"}, "did you mean 'high'"),
        ({"resolution": "high"}, "has no stimuli/rgc_natstim_72x64"),
        ({"trace": "spike"}, "did you mean 'spikes'"),
        ({"sessions": ["session_1_ventral1_20200102"]}, f"did you mean '{FIRST}'"),
        ({"sessions": FIRST}, "must be a list"),
        ({"cell_types": [0]}, "numbers between 1 and 46, not 0"),
        ({"validation_clips": [108]}, "validation_clips are numbers from 0 to 107"),
        ({"trace": "raw"}, "natural_raw_traces is missing"),
        ({"chirp_qi": 0.9, "d_qi": 0.95}, "no cell is left, dropped were 3 for type, 12 for quality"),
    ],
)
def test_settings_that_are_not_possible_are_refused(published, settings, says):
    with pytest.raises(UserError, match=says):
        load(published, **settings)


def sha256(array):
    return hashlib.sha256(np.ascontiguousarray(array).tobytes()).hexdigest()


def test_arrays_are_those_of_openretina(tmp_path):
    files, expected, facts = golden("hoefling_2024", tmp_path)
    recordings = load(files)
    assert {name: one.neurons["roi_id"].tolist() for name, one in recordings.items()} == facts["kept_neurons"]
    movie = next(iter(recordings.values())).movie
    assert sha256(movie.frames[:, :16200]) == facts["movie_train"]["sha256"]
    np.testing.assert_array_equal(movie.frames[:, 16200:], expected["movie_test/test"])
    assert (movie.mean, movie.std) == (facts["norm_mean"], facts["norm_std"])
    for session, recording in recordings.items():
        theirs = {key.split("/", 1)[1]: value for key, value in expected.items() if key.startswith(f"{session}/")}
        known = facts[session]["session_kwargs"]
        assert recording.about["eye"] == known["eye"]
        assert recording.about["scan_sequence_idx"] == known["scan_sequence_idx"]
        assert recording.neurons["type"].tolist() == known["group_assignment"]
        np.testing.assert_array_equal(recording.about["roi_mask"], theirs["session_kwargs/roi_mask"])
        coords = np.stack([recording.neurons["y_um"], recording.neurons["x_um"]], axis=1)
        np.testing.assert_allclose(((coords / 50 + 2.75) / 8 - 0.5) * 2, theirs["roi_coords"], atol=1e-7)

        np.testing.assert_array_equal(recording.responses[recording.split != "test"].T, theirs["responses_train"])
        np.testing.assert_array_equal(recording.trials("test").T, theirs["by_trial/test"].astype("f4"))
        np.testing.assert_allclose(recording.response("test").T, theirs["responses_test/test"], rtol=1e-5, atol=1e-6)
        assert sha256(recording.stimulus("train")) == facts[session]["train_set_movie_sha256"]
        np.testing.assert_array_equal(recording.response("train")[::31], theirs["train_set/responses_stride_31"])
        np.testing.assert_array_equal(recording.stimulus("test")[:, ::31], theirs["test_set/movie_stride_31"])
        clips = np.stack([np.flatnonzero(recording.frames // 150 == clip) for clip in VALIDATION_CLIPS])
        assert (recording.split[clips] == "validation").all()
        np.testing.assert_array_equal(recording.stimulus_at(clips).swapaxes(0, 1), theirs["val_batch/inputs"])
        np.testing.assert_array_equal(recording.responses[clips], theirs["val_batch/targets"])


@pytest.mark.parametrize("place", ["responses/mine.h5", "rgc_natsim_subset_only_naturalspikes_2024-08-14.hdf5"])
def test_responses_are_found_by_what_they_hold(published, tmp_path, monkeypatch, place):
    root = shutil.copytree(published, tmp_path / "data" / "hoefling_2024")
    (root / wanted()[0]).with_suffix(".h5").rename(root / place)
    (root / "responses" / "notes.h5").write_text("no responses")
    with h5py.File(root / "responses" / "other.h5", "w") as file:
        file["x"] = 1
    with h5py.File(root / place, "r+") as file:  # as in openretina's subset
        for session in file.values():
            for key in [key for key in session if key.startswith(("chirp_t", "chirp_inf", "chirp_s", "mb_"))]:
                del session[key]
    whole = load(published)
    monkeypatch.setenv("RETINA_NB_DATA", str(tmp_path / "data"))
    for recordings in (load(root), load(root.parent), load(None)):
        assert list(recordings) == list(whole)
        np.testing.assert_array_equal(recordings[LEFT].responses, whole[LEFT].responses)
    with pytest.raises(UserError, match=r"no session of .* saw the stimulus chirp"):
        load(root, stimulus="chirp")
    shutil.copyfile(root / place, root / "responses" / "again.h5")
    with pytest.raises(UserError, match="several files of responses"):
        load(root)


@pytest.mark.parametrize("trace", ["raw", "preprocessed", "detrended"])
def test_fluorescence_is_that_of_openretina(tmp_path, trace):
    files, expected, _ = golden("hoefling_2024", tmp_path)
    session = "session_1_ventral1_20201021"
    ours = load(files, trace=trace, sessions=[session])[session].responses.T[:, ::31]
    np.testing.assert_array_equal(ours, expected[f"{session}/upsampled_{trace}_stride_31"].astype("f4"))


@pytest.mark.parametrize(("stimulus", "prefix"), [("chirp", "chirp"), ("moving_bar", "mb")])
def test_responses_to_chirp_and_bars_are_those_of_openretina(tmp_path, stimulus, prefix):
    files, expected, _ = golden("hoefling_2024", tmp_path)
    recordings = load(files, stimulus=stimulus)
    assert list(recordings) == ["session_1_ventral1_20201021", "session_2_ventral2_20201016"]
    for session, recording in recordings.items():
        theirs = expected[f"{session}/upsampled_{prefix}_stride_7"]
        np.testing.assert_array_equal(recording.responses.T[:, ::7], theirs.astype("f4"))
