import numpy as np
import pytest

from retina_nb.stimuli.baden import BAR_FRAMES, DIRECTIONS, chirp, moving_bars


def published(shared_data, name, frames=slice(None)):
    """A stimulus file of openretina, in contrast."""
    levels = np.load(shared_data / "stimuli" / f"{name}_18x16_30hz.npy")[frames, ..., :2]
    return (levels.transpose(3, 0, 1, 2).astype(np.float32) - 128) / 128


def test_the_chirp_is_that_of_openretina(shared_data):
    assert np.abs(chirp((18, 16)) - published(shared_data, "chirp")).max() < 2 / 128


def test_the_bars_are_those_of_openretina(shared_data):
    ours, theirs = moving_bars((18, 16)), published(shared_data, "moving_bar", slice(90, -30))
    assert np.corrcoef(ours.ravel(), theirs.ravel())[0, 1] > 0.997
    assert np.median(np.abs(ours - theirs)) == 0


def test_the_chirp_is_uniform_and_has_its_steps_and_sweeps():
    stimulus = chirp((5, 7))
    assert stimulus.shape == (2, 990, 5, 7)
    assert (stimulus == stimulus[:1, :, :1, :1]).all()
    course = stimulus[0, :, 0, 0]
    assert (course[1:60] == -1).all()
    assert (course[62:150] > 0.98).all()
    grey = 127 / 128 - 1
    crossings = [
        np.diff(np.sign(course[second * 30 + 1 : (second + 1) * 30 + 1] - grey) > 0).sum() for second in range(10, 18)
    ]
    assert crossings == pytest.approx(2 * (np.arange(8) + 0.5), abs=1)  # a frequency that grows by 1 Hz each second
    assert np.abs(course[601:631] - grey).max() < np.abs(course[811:841] - grey).max() / 5


@pytest.mark.parametrize("number", range(8))
def test_each_bar_moves_into_its_direction(number):
    bar = moving_bars((9, 7))[0, number * BAR_FRAMES : (number + 1) * BAR_FRAMES]
    bright = bar > 0
    row, column = np.mgrid[:9, :7]
    seen = bright.any(axis=(1, 2)).nonzero()[0]
    front = [np.array([column[bright[t]].mean(), -row[bright[t]].mean()]) for t in (seen[2], seen[-3])]
    angle = np.rad2deg(np.arctan2(*(front[1] - front[0])[::-1])) % 360
    assert round(angle / 45) * 45 % 360 == DIRECTIONS[number]


def test_bars_cover_the_same_part_of_a_finer_screen():
    coarse, fine = moving_bars((6, 4)), moving_bars((24, 16), pixels=4)
    averaged = fine.reshape(2, 984, 6, 4, 4, 4).mean(axis=(3, 5))
    assert np.abs(averaged - coarse).max() < 0.35
    assert np.abs(averaged - coarse).mean() < 0.01
