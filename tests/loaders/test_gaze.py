import numpy as np
import pytest
import torch

from retina_nb.loaders.gaze import distinct_views, on_screen
from retina_nb.loaders.lazy import DrawnFrames
from retina_nb.recording import Frames, Movie, Recording


@pytest.fixture
def array() -> np.ndarray:
    return np.random.default_rng(0).random((1, 11, 5, 7), dtype=np.float32)


@pytest.fixture
def lazy(array) -> DrawnFrames:
    return DrawnFrames(lambda numbers: array[0, numbers], 11, 5, 7)


@pytest.mark.parametrize(
    "index",
    [
        0,
        slice(None),
        ...,
        np.s_[:, 3],
        np.s_[:, -1],
        np.s_[:, 2:9:3],
        np.s_[0, 4:],
        np.s_[:, [4, 1, 1]],
        np.s_[:, np.array([[0, 10, 3], [3, -1, 2]])],
        np.s_[:, np.array([], dtype=int)],
        np.s_[0, 1:3, 2],
        np.s_[:, :, 1:4, ::-1],
        np.s_[0, ..., ::-1],
    ],
    ids=repr,
)
def test_lazy_frames_are_indexed_as_an_array_is(lazy, array, index):
    found = lazy[index]
    np.testing.assert_array_equal(found, array[index])
    assert found.dtype == np.float32


def test_a_frame_is_made_once_however_often_it_is_asked_for(array):
    made = []

    def make(numbers):
        made.extend(numbers.tolist())
        return array[0, numbers]

    DrawnFrames(make, 11, 5, 7)[:, np.array([[7, 3, 7], [3, 3, 10]])]
    assert made == [3, 7, 10]


def test_a_movie_can_be_made_of_lazy_frames(lazy, array):
    assert isinstance(lazy, Frames)
    np.testing.assert_array_equal(np.asarray(lazy, dtype=np.float64), array)
    shown = np.array([3, 3, 0, 10])
    recording = Recording("s", Movie(lazy), np.ones((4, 2)), rate=30.0, frames=shown)
    np.testing.assert_array_equal(recording.stimulus(), array[:, shown])


def test_views_are_the_distinct_fixations():
    fixations = np.array([[1.0, 5, 2], [0, 9, 9], [1, 5, 2], [1, 5, 3]])
    views, frames = distinct_views(fixations.astype(int))
    assert len(views) == 3
    np.testing.assert_array_equal(views[frames], fixations)


def drawn_by_hand(image, x, y, screen, background):
    """Pixel by pixel, by the authors' rule: screen column s, counted from 1, shows column x - width / 2 + s."""
    full = np.full(screen, background, dtype=np.float32)
    for row in range(1, screen[0] + 1):
        for column in range(1, screen[1] + 1):
            at_x, at_y = x - screen[1] // 2 + column, y - screen[0] // 2 + row
            if 1 <= at_x <= image.shape[0] and 1 <= at_y <= image.shape[1]:
                full[row - 1, column - 1] = image[at_x - 1, at_y - 1]
    return full


@pytest.mark.parametrize("x", [-30, -4, 0, 1, 5, 10, 11, 14, 40])
@pytest.mark.parametrize("y", [-2, 0, 3, 6, 7, 12])
def test_an_image_lies_on_the_screen_where_the_gaze_says(x, y):
    image = np.random.default_rng(1).integers(0, 256, (11, 7)).astype(np.uint8)
    screen = (8, 12)
    view = np.array([[0, x, y]])
    found = on_screen(np.array([0]), images=[image.T], views=view, screen=screen, size=screen, background=3.0)
    np.testing.assert_allclose(found[0], drawn_by_hand(image, x, y, screen, 3.0), rtol=1e-6)


def test_a_screen_is_made_smaller_with_antialiasing():
    rng = np.random.default_rng(2)
    images = [rng.integers(0, 256, (30, 20)).astype(np.uint8), rng.integers(0, 256, (17, 25)).astype(np.uint8)]
    views = np.column_stack([rng.integers(0, 2, 40), rng.integers(0, 30, (40, 2))])  # more than are drawn at once
    found = on_screen(np.arange(40), images=[image.T for image in images], views=views, screen=(24, 28), size=(5, 7))
    full = np.stack([drawn_by_hand(images[image], x, y, (24, 28), 0.0) for image, x, y in views])
    expected = torch.nn.functional.interpolate(
        torch.from_numpy(full)[None], (5, 7), mode="bilinear", align_corners=False, antialias=True
    )[0]
    np.testing.assert_array_equal(found, expected.numpy())
