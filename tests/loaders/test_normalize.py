import numpy as np
import pytest

from retina_nb import Movie
from retina_nb.errors import UserError
from retina_nb.loaders.normalize import ZscoredFrames, mean_and_std, normalize, zscore


def test_movies_get_the_units_of_the_first():
    rng = np.random.default_rng(0)
    train, test = rng.integers(0, 256, (2, 30, 5, 7)), rng.integers(0, 256, (2, 11, 5, 7))
    (ours, other), mean, std = zscore(train, test)
    assert ours.mean() == pytest.approx(0, abs=1e-6)
    assert ours.std(ddof=1) == pytest.approx(1, rel=1e-6)
    np.testing.assert_allclose(ours * std + mean, train, rtol=1e-5, atol=1e-4)
    np.testing.assert_allclose(other * std + mean, test, rtol=1e-5, atol=1e-4)
    assert ours.dtype == other.dtype == np.float32


def test_frames_that_are_normalised_when_looked_at_are_the_same():
    movie = np.random.default_rng(0).integers(0, 256, (1, 30, 5, 7), dtype=np.uint8)
    (whole,), mean, std = zscore(movie)
    lazy = ZscoredFrames(movie, mean, std)
    assert lazy.shape == movie.shape
    bins = np.array([[3, 4], [29, 3]])
    np.testing.assert_array_equal(lazy[:, bins], whole[:, bins])
    np.testing.assert_array_equal(np.asarray(lazy), whole)


@pytest.mark.parametrize(
    ("pixels", "says"), [(np.full((1, 3, 2, 2), 7), "film is 7 in all"), (np.array([1.0, np.nan]), "film has pixels")]
)
def test_movies_without_units_are_refused(pixels, says):
    with pytest.raises(UserError, match=says):
        mean_and_std(pixels, where="film")


@pytest.mark.parametrize("lazy", [False, True])
def test_normalising_can_be_undone_also_twice(lazy):
    grey = np.random.default_rng(0).uniform(0, 255, (2, 30, 5, 7)).astype(np.float32)
    movie = Movie(ZscoredFrames(grey, 0.0, 1.0) if lazy else grey)
    once = normalize(movie)
    assert abs(np.asarray(once.frames[:, :]).mean()) < 1e-4
    assert np.asarray(once.frames[:, :]).std() == pytest.approx(1, rel=1e-3)
    twice = normalize(once, frames=np.arange(10))
    for made in (once, twice):
        np.testing.assert_allclose(made.original(made.frames[:, :]), grey, atol=1e-2)
    with pytest.raises(UserError, match="numbers from 0 to 29"):
        normalize(movie, frames=np.array([30]))
