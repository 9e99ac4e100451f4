import numpy as np
import pytest
from helpers import small_recording

from retina_nb import Movie, Recording, UserError
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
        ({"pixel_um": -50.0}, ["session s", "pixel_um", "-50"]),
    ],
)
def test_bad_input_names_session_and_field(change, names):
    with pytest.raises(UserError) as error:
        Recording(**(arrays() | change))
    assert all(name in str(error.value) for name in names), error.value
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("shape", [(40, 5, 7), (2, 0, 5, 7)])
def test_a_movie_needs_four_filled_axes(shape):
    with pytest.raises(UserError, match="movie"):
        Movie(np.zeros(shape, np.float32))


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
