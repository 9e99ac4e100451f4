import numpy as np
import pytest
import torch

from retina_nb import Movie, Recording
from retina_nb.errors import UserError
from retina_nb.loaders.batches import SharedBatches
from retina_nb.loaders.joined import JoinedFrames

RNG = np.random.default_rng(0)
PARTS = [RNG.standard_normal((2, n, 5, 7)).astype(np.float32) for n in (6, 1, 4)]
WHOLE = np.concatenate(PARTS, axis=1)
FRAMES = [
    0,
    7,
    -1,
    slice(None),
    slice(2, 9, 3),
    slice(5, 1, -2),
    [0, 5],
    [10, 0, 6, 6],
    np.array([[0, 6], [7, 5]]),
    np.zeros((0, 3), dtype=int),
    np.arange(11) > 4,
]


@pytest.mark.parametrize("frames", FRAMES)
def test_joined_movies_are_indexed_as_one_array(frames):
    joined = JoinedFrames(PARTS)
    assert joined.shape == WHOLE.shape
    np.testing.assert_array_equal(joined[:, frames], WHOLE[:, frames])


def test_the_other_axes_are_indexed_too():
    joined = JoinedFrames(PARTS)
    np.testing.assert_array_equal(joined[1, 4:8, ::2, 3], WHOLE[1, 4:8, ::2, 3])
    np.testing.assert_array_equal(joined[..., 2:], WHOLE[..., 2:])
    np.testing.assert_array_equal(np.asarray(joined), WHOLE)


def test_a_look_does_not_copy_the_movie():
    assert JoinedFrames(PARTS).parts[0] is PARTS[0]


@pytest.mark.parametrize("other", [PARTS[0][:1], PARTS[0][..., :3], PARTS[0][0]])
def test_movies_that_are_not_alike_are_refused(other):
    with pytest.raises(UserError, match="joined"):
        JoinedFrames([PARTS[0], other])


@pytest.mark.parametrize("mirrored", [False, True])
def test_batches_of_a_joined_movie_are_those_of_the_whole(mirrored):
    frames = np.array([3, 4, 5, 6, 7, 8, 9, 10, 0, 1])
    batches = [
        next(
            iter(
                SharedBatches(
                    {"a": Recording("a", Movie(movie), np.ones((10, 2)), 30.0, frames=frames, mirrored=mirrored)},
                    split="train",
                    lag=2,
                    chunk_size=3,
                    batch_size=9,
                )
            )
        )
        for movie in (WHOLE, JoinedFrames(PARTS))
    ]
    torch.testing.assert_close(batches[0].stimulus, batches[1].stimulus, rtol=0, atol=0)


def test_on_an_accelerator_the_whole_movie_is_held():
    recording = Recording("a", Movie(JoinedFrames(PARTS)), np.ones((11, 2)), 30.0)
    batches = SharedBatches({"a": recording}, split="train", lag=2, chunk_size=3, batch_size=9, device="meta")
    batch = next(iter(batches))  # "meta" stands for a device that has no arrays of numpy
    assert batch.stimulus.device.type == "meta"
    assert batch.stimulus.shape == (3, 2, 5, 5, 7)
