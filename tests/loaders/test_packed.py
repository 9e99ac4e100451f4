import numpy as np
import pytest

from retina_nb.loaders.packed import PackedFrames
from retina_nb.recording import Frames, Movie, Recording


@pytest.fixture
def array() -> np.ndarray:
    return np.random.default_rng(0).choice(np.array([-1, 1], dtype=np.int8), size=(1, 11, 5, 7))


@pytest.fixture
def packed(array) -> PackedFrames:
    return PackedFrames(np.packbits(array[0].reshape(11, -1) > 0, axis=-1), 5, 7)


@pytest.mark.parametrize(
    "index",
    [
        0,
        slice(None),
        ...,
        np.s_[:, 3],
        np.s_[:, np.int64(3)],
        np.s_[:, -1],
        np.s_[:, 2:9:3],
        np.s_[0, 4:],
        np.s_[:, [4, 1, 1]],
        np.s_[:, np.array([[0, 10, 3], [3, -1, 2]])],
        np.s_[:, np.zeros((2, 3, 4), dtype=int)],
        np.s_[:, np.array([], dtype=int)],
        np.s_[0, 1:3, 2],
        np.s_[:, :, 1:4, ::-1],
        np.s_[..., 2],
        np.s_[0, ..., ::-1],
    ],
    ids=repr,
)
def test_it_is_indexed_as_an_array_is(packed, array, index):
    found = packed[index]
    np.testing.assert_array_equal(found, array[index])
    assert found.dtype == np.int8


def test_it_becomes_an_array(packed, array):
    np.testing.assert_array_equal(np.asarray(packed), array)
    assert np.asarray(packed, dtype=np.float32).dtype == np.float32
    assert packed.shape == array.shape
    assert packed.dtype == array.dtype


def test_a_movie_can_be_made_of_it(packed, array):
    assert isinstance(packed, Frames)
    shown = np.array([3, 3, 0, 10])
    recording = Recording("s", Movie(packed), np.ones((4, 2)), rate=30.0, frames=shown, mirrored=True)
    np.testing.assert_array_equal(recording.stimulus(), array[:, shown, :, ::-1])
    assert recording.stimulus().dtype == np.float32
