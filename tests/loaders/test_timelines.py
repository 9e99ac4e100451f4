import numpy as np
import pytest

from retina_nb.loaders.timelines import alternating
from retina_nb.recording import Movie, Recording

NEURONS, LENGTH, TEST = 2, 5, 3


def timeline(blocks: int, trials: int, *, joined: bool = False):
    """Responses that say which presentation and bin they are of: hundreds for the block or trial, 0.5 for frozen."""
    running = np.arange(blocks)[:, None, None] * 100.0 + np.arange(LENGTH)[:, None] + np.zeros(NEURONS)
    frozen = np.arange(trials)[:, None, None] * 100.0 + np.arange(TEST)[:, None] + np.full(NEURONS, 0.5)
    frames = np.arange(blocks * LENGTH).reshape(blocks, LENGTH)
    labels = np.array([["train"], ["validation"]] * blocks)[:blocks]
    return alternating(running, frames, labels, frozen, blocks * LENGTH + np.arange(TEST), joined=joined)


def as_recording(made) -> Recording:
    movie = Movie(np.zeros((1, made.frames.max() + 1, 1, 1), dtype=np.float32))
    return Recording("s", movie, rate=1.0, **vars(made))


def test_blocks_and_trials_alternate():
    recording = as_recording(timeline(2, 2))
    first = [0, 1, 2, 3, 4, 0.5, 1.5, 2.5]
    np.testing.assert_array_equal(recording.responses[:, 0], [*first, *np.add(first, 100)])
    np.testing.assert_array_equal(recording.frames, [0, 1, 2, 3, 4, 10, 11, 12, 5, 6, 7, 8, 9, 10, 11, 12])
    np.testing.assert_array_equal(recording.onsets, [0, 5, 8, 13])
    np.testing.assert_array_equal(recording.bins("train"), range(5))
    np.testing.assert_array_equal(recording.bins("validation"), range(8, 13))


@pytest.mark.parametrize(("blocks", "trials"), [(1, 1), (4, 2), (2, 5), (3, 3)])
def test_every_block_and_trial_is_there_in_order(blocks, trials):
    recording = as_recording(timeline(blocks, trials))
    running = recording.responses[recording.split != "test", 0].reshape(blocks, LENGTH)
    np.testing.assert_array_equal(running, np.arange(blocks)[:, None] * 100 + np.arange(LENGTH))
    np.testing.assert_array_equal(recording.trials()[..., 1], np.arange(trials)[:, None] * 100 + np.arange(TEST) + 0.5)
    assert len(recording.onsets) == blocks + trials
    np.testing.assert_array_equal(recording.stimulus("test").shape, (1, TEST, 1, 1))


def test_a_known_unbroken_experiment_has_one_onset():
    np.testing.assert_array_equal(timeline(3, 3, joined=True).onsets, [0])
    assert len(timeline(3, 2, joined=True).onsets) == 5  # which trial is missing is not known
