"""Movies with the statistics of natural scenes seen by a moving eye."""

import numpy as np
from jaxtyping import Float


def natural_movie(
    frames: int,
    size: tuple[int, int],
    *,
    channels: int = 1,
    channel_correlation: float = 0.7,
    drift: float = 0.15,
    speed: float = 0.5,
    saccade_probability: float = 0.04,
    contrast: float = 1.0,
    rng: np.random.Generator,
) -> Float[np.ndarray, "channel time height width"]:
    """A 1/f scene under a steadily moving and drifting gaze that jumps now and then.

    The amplitude spectrum of natural images falls as 1/f (Field 1987); gaze is a constant motion plus a
    random walk, and after each saccade both place and motion are new.

    Args:
        frames: length in frames.
        size: (height, width) in pixels.
        channels: number of colour channels.
        channel_correlation: correlation between the channels' scenes.
        drift: standard deviation of the random walk (pixels per frame).
        speed: mean speed of the steady motion (pixels per frame).
        saccade_probability: chance of a saccade in each frame.
        contrast: standard deviation of the scene.
        rng: source of randomness.
    """
    scene = contrast * _pink_scene(4 * max(size), channels, channel_correlation, rng)
    saccades = rng.random(frames) < saccade_probability
    saccades[0] = True
    fixation = saccades.cumsum() - 1
    angles = rng.uniform(0, 2 * np.pi, fixation[-1] + 1)
    speeds = rng.exponential(speed, fixation[-1] + 1)
    motion = np.stack([np.sin(angles), np.cos(angles)]) * speeds  # (2, fixation)
    steps = motion[:, fixation] + drift * rng.standard_normal((2, frames))
    jumps = rng.uniform(0, scene.shape[-1], (2, fixation[-1] + 1))
    gaze = steps.cumsum(axis=1) + jumps[:, fixation]
    return _look(scene, gaze, size)


def _pink_scene(side: int, channels: int, correlation: float, rng: np.random.Generator) -> np.ndarray:
    frequency = np.hypot(np.fft.fftfreq(side)[:, None], np.fft.rfftfreq(side)[None])
    frequency[0, 0] = np.inf
    shared, *own = rng.standard_normal((channels + 1, side, side))
    mixed = np.sqrt(correlation) * shared + np.sqrt(1 - correlation) * np.stack(own)
    scene = np.fft.irfft2(np.fft.rfft2(mixed) / frequency, s=(side, side))
    return scene / scene.std(axis=(1, 2), keepdims=True)


def _look(scene: np.ndarray, gaze: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """The scene (channel, side, side), periodic, at each gaze (2, frame), interpolated linearly."""
    side = scene.shape[-1]
    corner = np.floor(gaze).astype(int)
    fraction = gaze - corner
    rows = (corner[0][:, None] + np.arange(size[0] + 1)) % side
    columns = (corner[1][:, None] + np.arange(size[1] + 1)) % side
    view = scene[:, rows[:, :, None], columns[:, None, :]]  # (channel, frame, height + 1, width + 1)
    down, right = fraction[0][:, None, None], fraction[1][:, None, None]
    view = (1 - down) * view[:, :, :-1] + down * view[:, :, 1:]
    return ((1 - right) * view[..., :-1] + right * view[..., 1:]).astype(np.float32)
