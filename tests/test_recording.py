from dataclasses import replace

import h5py
import numpy as np
import pandas as pd
import pytest
import torch
from helpers import TINY, small_recording, untyped

import retina_nb as rnb
from retina_nb import Movie, Recording, UserError
from retina_nb.analyses.receptive_fields import spike_triggered_averages
from retina_nb.recording import by_name


def arrays(time=40, neurons=3):
    return {
        "session": "s",
        "movie": Movie(np.zeros((2, time, 5, 7), np.float32)),
        "responses": np.ones((time, neurons)),
        "rate": 30.0,
    }


def test_a_recording_takes_five_lines():
    recording = Recording(**arrays())
    assert recording.stimulus("train").shape == (2, 40, 5, 7)
    assert recording.response("train").shape == (40, 3)


def test_stimulus_and_response_are_those_of_the_labelled_bins():
    recording = small_recording()
    train = recording.split == "train"
    np.testing.assert_array_equal(recording.stimulus("train"), recording.movie.frames[:, recording.frames[train]])
    np.testing.assert_array_equal(recording.response("train"), recording.responses[train])


def test_a_repeated_stimulus_is_given_once_and_its_response_averaged():
    recording = small_recording()
    assert recording.stimulus("test").shape[1] == 80
    assert recording.trials("test").shape == (2, 80, 3)
    np.testing.assert_allclose(recording.response("test"), recording.trials("test").mean(axis=0))


def test_a_left_eye_sees_the_mirrored_movie():
    movie = Movie(np.arange(2 * 4 * 5 * 7, dtype=np.float32).reshape(2, 4, 5, 7))
    mirrored = Recording("s", movie, np.ones((4, 1)), 30.0, mirrored=True)
    np.testing.assert_array_equal(mirrored.stimulus(), movie.frames[..., ::-1])


def test_summary_tells_size_rate_splits_and_repeats():
    text = small_recording().summary()
    for part in ("3 neurons", "30 Hz", "2 channels x 7 x 9 pixels of 50 µm", "validation", "2 trials"):
        assert part in text


@pytest.mark.parametrize(
    ("change", "names"),
    [
        ({"responses": np.full((40, 3), np.nan)}, ["session s", "responses", "not finite", "bin 0"]),
        ({"responses": -np.ones((40, 3))}, ["session s", "responses", "negative"]),
        ({"responses": np.ones(40)}, ["session s", "responses", "(time, neuron)"]),
        ({"responses": np.full((40, 3), "x")}, ["session s", "responses", "numbers"]),
        ({"responses": np.ones((0, 3))}, ["session s", "responses"]),
        ({"responses": np.ones((50, 3))}, ["session s", "50 bins", "40 frames", "frames="]),
        ({"responses": np.ones((30, 3))}, ["session s", "30 bins", "40 frames", "frames="]),
        ({"responses": np.ones((3, 40))}, ["session s", "3 bins", "(time, neuron)", "transpose"]),
        ({"frames": np.arange(40), "responses": np.ones((3, 40))}, ["session s", "frames has 40", "(time, neuron)"]),
        ({"frames": np.arange(39)}, ["session s", "frames has 39 bins", "40"]),
        ({"frames": np.arange(40) + 1}, ["session s", "frames", "40"]),
        ({"frames": np.arange(40) - 1}, ["session s", "frames", "-1"]),
        ({"frames": np.linspace(0, 39, 40)}, ["session s", "frames", "integers"]),
        ({"split": np.array(["train"] * 39)}, ["session s", "split has 39"]),
        ({"split": np.array(["trian"] * 40)}, ["session s", "split", "trian", "validation"]),
        ({"repeats": {"test": np.arange(40)}}, ["session s", "repeats", "(trial, time)"]),
        ({"repeats": {"test": np.arange(40).reshape(2, 20)}}, ["session s", "same frames"]),
        ({"repeats": {"test": np.array([[41]])}}, ["session s", "test", "41"]),
        ({"onsets": np.array([50])}, ["session s", "onsets", "50"]),
        ({"neurons": {"type": np.array(["ON"])}}, ["session s", "type", "1 entries for 3"]),
        ({"rate": 0.0}, ["session s", "rate"]),
        ({"rate": float("nan")}, ["session s", "rate"]),
        ({"rate": "30"}, ["session s", "rate", "'30'"]),
        ({"rate": None}, ["session s", "rate", "None"]),
        ({"rate": True}, ["session s", "rate", "True"]),
        ({"rate": 30 + 1j}, ["session s", "rate", "30+1j"]),
        ({"rate": 1e-300}, ["session s", "rate", "from 0.001"]),
        ({"pixel_um": -50.0}, ["session s", "pixel_um", "-50"]),
        ({"pixel_um": (50.0, 40.0)}, ["session s", "pixel_um", "square pixels"]),
        ({"pixel_um": "50"}, ["session s", "pixel_um", "'50'"]),
        ({"responses": np.full((40, 3), 1e39)}, ["session s", "responses", "too large for float32", "bin 0, neuron 0"]),
        ({"responses": np.ones((40, 3), complex)}, ["session s", "responses", "complex128"]),
        ({"responses": np.ones((40, 3), object)}, ["session s", "responses", "object", ".astype(float)"]),
        ({"responses": np.ma.masked_all((40, 3))}, ["session s", "responses", "masked"]),
        ({"responses": [[1.0], [1.0, 2.0]]}, ["session s", "responses", "one length", "1, 2"]),
        ({"frames": np.arange(40) % 2 == 0}, ["session s", "frames", "numpy.flatnonzero"]),
        ({"frames": np.where(np.arange(40) < 9, -1, 0)}, ["session s", "gray screen", "add a gray frame"]),
        ({"split": "train"}, ["session s", "split", "one label for each bin"]),
        ({"split": np.full((40, 1), "train")}, ["session s", "split", "one label for each bin"]),
        ({"repeats": {"test": [[0, 1, 2], [0, 1]]}}, ["session s", "repeats['test']", "cut them to the shortest, 2"]),
        ({"repeats": None}, ["session s", "repeats", "dict"]),
        ({"neurons": {"depth": 3.0}}, ["session s", "depth", "no entries for 3"]),
        ({"neurons": {"depth": [[1], [1, 2], [3]]}}, ["session s", "depth", "one length"]),
        ({"movie": None}, ["session s", "movie must be a Movie"]),
        ({"movie": Movie(np.zeros((40, 5, 7, 1)))}, ["session s", "(40, 5, 7, 1)", "moveaxis(frames, -1, 0)"]),
        ({"movie": Movie(np.zeros((40, 1, 5, 7)))}, ["session s", "(40, 1, 5, 7)", "swapaxes(frames, 0, 1)"]),
        ({"mirrored": "left"}, ["session s", "mirrored", "True or False"]),
    ],
)
def test_bad_input_names_session_and_field(change, names):
    with pytest.raises(UserError) as error:
        untyped(Recording, **(arrays() | change))
    assert all(name in str(error.value) for name in names), error.value
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("shape", [(40, 5, 7), (2, 0, 5, 7)])
def test_a_movie_needs_four_filled_axes(shape):
    with pytest.raises(UserError, match="movie"):
        Movie(np.zeros(shape, np.float32))


@pytest.mark.parametrize(
    ("frames", "says"),
    [
        (np.ones((1, 3, 5, 7)) * 1e39, "fit in float32"),
        (np.ones((1, 3, 5, 7)) + 1j, "real numbers, not complex128"),
        (np.ones((1, 3, 5, 7), object), "real numbers, not object"),
        (np.full((1, 3, 5, 7), "a"), "real numbers"),
        (np.ma.masked_all((1, 3, 5, 7)), "masked"),
        (np.ones((3, 5, 7)), r"frames\[None\]"),
        ([[[[1.0]]]], "not list"),
    ],
)
def test_a_movie_is_of_real_numbers_that_models_can_compute_with(frames, says):
    with pytest.raises(UserError, match=says):
        untyped(Movie, frames=frames)


def test_a_movie_is_not_a_dataset_of_an_open_file(tmp_path):
    with h5py.File(tmp_path / "movie.h5", "w") as file:
        file["movie"] = np.zeros((1, 3, 5, 7))
        with pytest.raises(UserError, match=r"read it by \[:\]"):
            Movie(file["movie"])
        assert Movie(file["movie"][:]).frame_shape == (1, 5, 7)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_a_movie_in_memory_must_be_finite(value):
    frames = np.zeros((1, 3, 5, 7), np.float32)
    frames[0, 2, 4, 6] = value
    with pytest.raises(UserError, match="finite"):
        Movie(frames)


def test_recordings_are_one_or_several_by_name():
    recording = small_recording()
    assert by_name(recording) == {recording.session: recording}
    for wrong in ([recording], {"a": recording.movie}, "simulated"):
        with pytest.raises(UserError, match="recordings must be a Recording or a dict"):
            by_name(wrong)
    with pytest.raises(UserError, match="no recording"):
        by_name({})


def test_channel_names_must_match():
    with pytest.raises(UserError, match="channel"):
        Movie(np.zeros((2, 3, 4, 5)), channels=("green",))


def test_an_unknown_split_or_repeat_lists_the_known():
    recording = small_recording()
    with pytest.raises(UserError, match="did you mean 'validation'"):
        recording.stimulus("validatoin")
    with pytest.raises(UserError, match="known are test"):
        recording.trials("chirp")


def test_traces_may_be_negative_if_they_are_signed():
    trace = Recording(**arrays() | {"responses": -np.ones((40, 3))}, signed=True, about={"eye": "left"})
    assert (trace.response("train") == -1).all()
    assert trace.about["eye"] == "left"


def test_a_session_has_the_name_of_its_key_everywhere_and_nothing_is_copied():
    recording = small_recording("s")
    named = by_name({"left": recording, "right": recording})
    assert [one.session for one in named.values()] == ["left", "right"] == list(named)
    assert named["left"].responses is recording.responses
    assert by_name({"s": recording})["s"] is recording
    for wrong in (1, "", None):
        with pytest.raises(UserError, match="the name of a session must be a text that is not empty"):
            by_name({wrong: recording})


def test_two_recordings_of_one_name_are_two_sessions(tmp_path):
    given = {"left": small_recording("s"), "right": small_recording("s", neurons=2, seed=1)}
    twin = rnb.build_twin("simulated_retina", given, overrides=TINY)
    rnb.fit(twin, given, max_epochs=1, accelerator="cpu")
    sizes = {"left": 3, "right": 2}
    scores = rnb.evaluate(twin, given)
    assert twin.sessions == list(sizes)
    assert scores.groupby("session").size().to_dict() == sizes
    assert rnb.audit(given).neurons.groupby("session").size().to_dict() == sizes
    kept, _ = rnb.select_neurons(given)
    read = rnb.load_recordings(rnb.write_recordings(given, tmp_path / "two.h5"))
    for recordings in (kept, read):
        assert {name: (one.session, one.n_neurons) for name, one in recordings.items()} == {
            name: (name, size) for name, size in sizes.items()
        }
    twin.add_sessions({"new": given["left"]})
    assert twin.sessions == ["left", "new", "right"]


ACCEPTED = {
    "list": lambda array: array.tolist(),
    "tuple": lambda array: tuple(array.tolist()),
    "tensor": torch.from_numpy,
    "tensor with gradients": lambda array: torch.from_numpy(array.astype(float)).requires_grad_(),
    "table": pd.DataFrame,
    "double": lambda array: array.astype(float),
    "counts": lambda array: array.astype(np.uint8),
    "big-endian": lambda array: array.astype(">f4"),
    "half": lambda array: array.astype(np.float16),
    "Fortran": np.asfortranarray,
    "unmasked": np.ma.asarray,
}


@pytest.mark.parametrize("kind", ACCEPTED)
def test_responses_are_taken_from_whatever_they_are_kept_in(kind):
    counts = np.random.default_rng(0).poisson(2, (40, 3)).astype(np.float32)
    recording = untyped(Recording, **arrays() | {"responses": ACCEPTED[kind](counts)})
    assert recording.responses.dtype == np.float32
    assert recording.responses.dtype.isnative
    assert type(recording.responses) is np.ndarray
    np.testing.assert_array_equal(recording.responses, counts)


def test_responses_and_movies_on_disk_or_that_must_not_be_written_are_not_copied(tmp_path):
    np.save(tmp_path / "responses.npy", np.ones((40, 3), np.float32))
    mapped = np.load(tmp_path / "responses.npy", mmap_mode="r")
    recording = Recording(**arrays() | {"responses": mapped})
    assert np.shares_memory(recording.responses, mapped)
    np.save(tmp_path / "frames.npy", np.ones((1, 40, 5, 7), ">f4"))
    frames = np.load(tmp_path / "frames.npy", mmap_mode="r")
    assert Movie(frames).frames is frames


def test_facts_of_any_kind_of_number_become_plain_ones():
    recording = untyped(
        Recording, **arrays() | {"rate": np.float32(30), "pixel_um": torch.tensor(50), "mirrored": np.False_}
    )
    assert (type(recording.rate), recording.rate) == (float, 30.0)
    assert (type(recording.pixel_um), recording.pixel_um) == (float, 50.0)
    assert recording.mirrored is False
    assert untyped(Movie, frames=np.zeros((2, 3, 4, 5)), channels=["green", "UV"]).channels == ("green", "UV")
    assert untyped(Movie, frames=np.zeros((1, 3, 4, 5)), channels="green").channels == ("green",)


def test_no_further_presentation_is_what_no_onsets_say():
    assert untyped(Recording, **arrays() | {"onsets": []}).onsets.tolist() == [0]


def test_a_name_of_a_column_of_scores_does_not_matter_to_receptive_fields():
    recording = small_recording()
    other = replace(recording, neurons={"session": np.array(["x", "y", "z"]), "neuron": np.array([7, 8, 9])})
    for one in (recording, other):
        table = spike_triggered_averages(one, lags=3).neurons
        assert table["session"].tolist() == ["a"] * 3
        assert table["neuron"].tolist() == [0, 1, 2]
