"""Small recordings for tests, of odd and unequal sizes."""

import inspect

import numpy as np

from retina_nb import Movie, Recording

RATE = 30.0


def small_recording(
    session: str = "a", *, neurons: int = 3, time: int = 400, size: tuple[int, int] = (7, 9), seed: int = 0, movie=None
) -> Recording:
    """White noise, neurons that see the previous frame in pixels of their own, two test repeats at the end."""
    rng = np.random.default_rng(seed)
    movie = movie or Movie(rng.standard_normal((2, time, *size)).astype(np.float32))
    frames = np.concatenate([np.arange(time), np.arange(time - 80, time)])
    before = np.roll(movie.frames[:, frames], 1, axis=1)
    drive = np.stack([before[0, :, 2 + n % 3, 3 + n % 2] for n in range(neurons)], axis=1)
    responses = rng.poisson(np.exp(0.7 * drive)).astype(np.float32)
    split = np.array(["train"] * (time - 160) + ["validation"] * 80 + ["test"] * 160)
    repeats = {"test": np.stack([np.arange(time - 80, time), np.arange(time, time + 80)])}
    return Recording(
        session,
        movie,
        responses,
        RATE,
        frames=frames,
        split=split,
        repeats=repeats,
        onsets=np.array([0, time]),
        pixel_um=50.0,
    )


TINY = [
    "core.hidden_channels=[4,3]",
    "core.temporal_kernel_sizes=[5,3]",
    "core.spatial_kernel_sizes=[3,3]",
]


def untyped(kind: type, **arguments):
    """An object made as users make it, without a check of the types of arguments before their own checks."""
    made = object.__new__(kind)
    inspect.unwrap(kind.__init__)(made, **arguments)
    return made
