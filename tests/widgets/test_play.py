"""What a film holds, how it is played and what is refused."""

import base64
from io import BytesIO

import numpy as np
import pytest
from PIL import Image

from retina_nb import Movie, UserError
from retina_nb.plots.films import strip_step
from retina_nb.stimuli import Screen, moving_bar
from retina_nb.widgets import play

SCREEN = Screen((5, 7), 30.0, 100.0, 2)


def strips(player):
    """Every frame with its caption (time, high, wide, 3), put together from what went to the browser."""
    window = player.children[0]
    pictures = [np.asarray(Image.open(BytesIO(bytes(one.value)))) for one in window.children[0].children]
    sheet = np.concatenate(pictures)
    step = int(window.layout.height.removesuffix("px"))
    return sheet.reshape(-1, step, *sheet.shape[1:])


def test_every_frame_is_in_its_place_with_square_pixels():
    frames = np.linspace(-1, 1, 2 * 40 * 35).reshape(2, 40, 5, 7).astype(np.float32)
    player = play(frames)
    player.controls["view"].value = "UV"
    found = strips(player)
    side = 288 // 5
    assert found.shape == (40, strip_step(5 * side), 7 * side, 3)
    middles = found[:, side // 2 : 5 * side : side, side // 2 :: side]
    limit = np.percentile(np.abs(frames), 99.5)
    expected = ((frames[1].clip(-limit, limit) / limit + 1) * 127.5).round()
    assert np.abs(middles - expected[..., None]).max() <= 1


def test_a_composite_is_grey_where_channels_agree_and_green_or_magenta_where_not():
    frames = np.zeros((2, 3, 5, 7), dtype=np.float32)
    frames[:, 0], frames[0, 1], frames[1, 2] = 1, 1, 1
    colours = strips(play(frames))[:, 9, 9].astype(int)
    assert colours.tolist() == [[255, 255, 255], [128, 255, 128], [255, 128, 255]]


def test_large_frames_are_made_smaller():
    assert strips(play(np.ones((1, 2, 600, 800), dtype=np.float32))).shape[1:3] == (strip_step(288), 384)


def test_channels_and_times_are_those_of_the_stimulus():
    bar = moving_bar(SCREEN, direction=0)
    player = play(bar)
    assert list(player.controls["view"].options) == [("composite",) * 2, ("green",) * 2, ("UV",) * 2]
    assert player.controls["play"].max == player.controls["frame"].max == bar.frames.shape[1]
    movie = Movie(np.random.default_rng(0).normal(size=(2, 300, 5, 7)), channels=("red", "blue"))
    player = play(movie, start=5, seconds=2)
    assert [label for label, _ in player.controls["view"].options] == ["composite", "red", "blue"]
    assert player.controls["play"].max == 60


def test_one_channel_needs_no_choice():
    assert play(np.ones((1, 4, 5, 7), dtype=np.float32)).controls["view"].layout.display == "none"


def test_speed_is_a_matter_of_the_interval_between_frames():
    player = play(moving_bar(SCREEN, direction=0))
    intervals = []
    for speed in (1.0, 0.25, 2.0):
        player.controls["speed"].value = speed
        intervals.append(player.controls["play"].interval)
    assert intervals == [33, 133, 17], "ms"


def test_the_browser_moves_the_film_itself():
    player = play(moving_bar(SCREEN, direction=0))
    marker = player.children[0].children[1]
    assert [link.source + link.target for link in player._links] == [
        (player.controls["play"], "value", player.controls["frame"], "value"),
        (player.controls["frame"], "value", marker.layout, "grid_row"),
    ]


def test_without_a_kernel_readers_see_a_row_of_frames():
    bundle, about = play(moving_bar(SCREEN, direction=0))._repr_mimebundle_()
    picture = Image.open(BytesIO(base64.b64decode(bundle["image/png"])))
    assert picture.width > 4 * picture.height
    assert about["image/png"]["alt"].startswith("Frames of a stimulus of ")


@pytest.mark.parametrize(
    ("stimulus", "options", "sentence"),
    [
        (np.ones((3, 5, 7)), {}, r"must be a Stimulus, a Movie or an array \(channel, time, height, width\)"),
        (np.ones((1, 30, 5, 7)), {"start": 2}, "nothing to play from 2 s on for 20 s: the stimulus lasts 1.0 s"),
        (np.ones((1, 30, 5, 7)), {"seconds": 200}, "at most 100 s are played at once"),
    ],
)
def test_what_cannot_be_played_is_refused(stimulus, options, sentence):
    with pytest.raises(UserError, match=sentence):
        play(stimulus, **options)
