"""Stimuli come back from files as they were."""

import configparser
import importlib.util

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from retina_nb import UserError, stimuli
from retina_nb.stimuli import Screen

SCREEN = Screen((5, 7), 30.0, 40.0, 2)
film = pytest.mark.skipif(not importlib.util.find_spec("imageio_ffmpeg"), reason="imageio-ffmpeg is not installed")


@pytest.fixture(scope="module")
def stimulus():
    return stimuli.sequence(
        [
            stimuli.flash(SCREEN, duration=0.2, before=0.1, after=0.1, colour=(1, -0.5)),
            stimuli.white_noise(SCREEN, duration=0.5),
        ]
    )


def test_an_array_comes_back_to_the_bit(stimulus, tmp_path):
    again = stimuli.load_stimulus(stimuli.save_stimulus(stimulus, tmp_path / "one.npy"))
    np.testing.assert_array_equal(again.frames, stimulus.frames)
    assert again.screen == stimulus.screen
    pd.testing.assert_frame_equal(again.events, stimulus.events, check_dtype=False)


@film
@pytest.mark.parametrize("channels", [1, 2, 3])
def test_a_film_comes_back_within_a_grey_level(channels, tmp_path):
    screen = Screen((5, 7), 30.0, 40.0, channels)
    made = stimuli.white_noise(screen, duration=0.5, kind="gaussian", contrast=0.2)
    again = stimuli.load_stimulus(stimuli.save_stimulus(made, tmp_path / "one.mp4", contrast=1.0))
    assert np.abs(again.frames - made.frames).max() <= 0.5 / 127.5 + 1e-6


def test_a_montage_for_the_rig_has_its_frames_from_the_bottom_left(stimulus, tmp_path):
    path = stimuli.save_stimulus(stimulus, tmp_path / "one.png")
    description = configparser.ConfigParser()
    description.read(path.with_suffix(".txt"))
    about = description["QDSMovie2Description"]
    width, height, count = (about.getint(name) for name in ("FrWidth", "FrHeight", "FrCount"))
    assert about.getboolean("isFirstFrBottomLeft")
    montage = np.asarray(Image.open(path))
    assert (height, width) == SCREEN.size
    rows, columns = montage.shape[0] // height, montage.shape[1] // width
    assert rows * columns == count >= stimulus.frames.shape[1]
    levels = stimuli.to_levels(stimulus)
    for frame in range(len(levels)):
        row, column = rows - 1 - frame // columns, frame % columns
        shown = montage[row * height : (row + 1) * height, column * width : (column + 1) * width]
        np.testing.assert_array_equal(shown, levels[frame])


def test_levels_are_around_grey_and_in_green_and_blue(stimulus):
    levels = stimuli.to_levels(stimulus)
    assert not levels[..., 0].any()
    np.testing.assert_array_equal(levels[0, 0, 0, 1:], [128, 128])
    np.testing.assert_array_equal(levels[4, 0, 0, 1:], [255, 64])


def test_what_a_screen_cannot_show_is_refused(tmp_path):
    bright = stimuli.flash(SCREEN, contrast=1.5)
    with pytest.raises(UserError, match=r"up to 1\.5, a screen shows up to contrast=1"):
        stimuli.save_stimulus(bright, tmp_path / "one.png")
    assert not list(tmp_path.iterdir())
    with pytest.raises(UserError, match="at most 3 channels"):
        stimuli.to_levels(stimuli.flash(Screen((5, 7), 30.0, 40.0, 4)))


def test_files_that_cannot_be_read_are_said(tmp_path):
    for path, words in (("none.npy", "no stimulus at"), ("bad.npy", "missing or damaged"), ("bad.gif", "missing or")):
        if path.startswith("bad"):
            (tmp_path / path).write_bytes(b"nothing")
        with pytest.raises(UserError, match=words):
            stimuli.load_stimulus(tmp_path / path)
    with pytest.raises(UserError, match="is not an array"):
        stimuli.load_stimulus(tmp_path / "bad.npy", screen=SCREEN)
    np.save(tmp_path / "other.npy", np.zeros((2, 4, 9, 9)))
    with pytest.raises(UserError, match="do not fit the screen"):
        stimuli.load_stimulus(tmp_path / "other.npy", screen=SCREEN)
    with pytest.raises(UserError, match=r"known are \.mp4, \.npy, \.png"):
        stimuli.save_stimulus(stimuli.flash(SCREEN), tmp_path / "one.gif")
