import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from retina_nb.errors import UserError
from retina_nb.loaders.choose import choose
from retina_nb.loaders.splits import label_clips, validation_clips


@given(st.integers(0, 500), st.integers(1, 60), st.integers(0, 2**32 - 1), st.data())
def test_clips_are_drawn_once_each_and_always_the_same(n_frames, clip_length, seed, data):
    there = n_frames // clip_length
    n_clips = data.draw(st.integers(0, there))
    clips = validation_clips(n_frames, clip_length, n_clips, seed)
    assert len(set(clips.tolist())) == n_clips
    assert all(0 <= clip < there for clip in clips)
    np.testing.assert_array_equal(clips, validation_clips(n_frames, clip_length, n_clips, seed))
    labels = label_clips(n_frames, clip_length, clips)
    assert (labels == "validation").sum() == n_clips * clip_length
    assert (labels[there * clip_length :] == "train").all()


def test_clips_are_those_of_openretina():
    assert validation_clips(450, 30, 4, 42).tolist() == [9, 11, 0, 13]


def test_labels_say_which_frames_a_clip_has():
    assert label_clips(7, 2, [2, 0]).tolist() == ["validation"] * 2 + ["train"] * 2 + ["validation"] * 2 + ["train"]


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ((60, 90, 20, 42), "film has 60 frames, that are 0 clips of 90"),
        ((60, 0, 20, 42), "clip_length"),
        ((60, 5, -1, 42), "at least 0"),
        ((60, 5, 2, -1), "seed"),
    ],
)
def test_clips_that_cannot_be_drawn_are_refused(settings, says):
    with pytest.raises(UserError, match=says):
        validation_clips(*settings, where="film")


def test_clips_that_do_not_exist_cannot_be_labelled():
    with pytest.raises(UserError, match="no validation clip 3: 7 frames are 3 clips of 2"):
        label_clips(7, 2, [0, 3])


def test_sessions_are_chosen_by_name():
    assert choose(["b", "a"], None, "data") == ["a", "b"]
    assert choose(["b", "a", "c"], ["c", "a"], "data") == ["c", "a"]


@pytest.mark.parametrize(
    ("sessions", "says"),
    [(["ab"], "unknown session of data 'ab'"), (["a", "a"], "a is twice"), ("a", r"write \['a'\]"), ([], "empty")],
)
def test_sessions_that_cannot_be_chosen_are_refused(sessions, says):
    with pytest.raises(UserError, match=says):
        choose(["a", "b"], sessions, "data")
