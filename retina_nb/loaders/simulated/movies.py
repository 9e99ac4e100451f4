"""What the simulated retina is shown: clips of natural scenes, white noise and patterns."""

import numpy as np
from jaxtyping import Float

from retina_nb.stimuli import drifting_grating, moving_bar, natural_movie, white_noise

CLIP_FRAMES = 150


def clips(
    count: int, size: tuple[int, int], rng: np.random.Generator
) -> Float[np.ndarray, "clip channel time height width"]:
    """Clips of two channels; of every five, two are natural, two a battery of patterns and one is white noise."""
    kinds = (_natural, _battery, _noise, _natural, _battery)
    return np.stack([kinds[index % len(kinds)](size, rng) for index in range(count)])


def _natural(size: tuple[int, int], rng: np.random.Generator) -> np.ndarray:
    return natural_movie(CLIP_FRAMES, size, channels=2, speed=0.6, rng=rng)


def _noise(size: tuple[int, int], rng: np.random.Generator) -> np.ndarray:
    return white_noise(CLIP_FRAMES, size, channels=2, stixel=2, hold=2, rng=rng)


def _battery(size: tuple[int, int], rng: np.random.Generator) -> np.ndarray:
    """A bar, a grating and full-field flicker, a third of a clip each, in random order and with random parameters."""
    third = CLIP_FRAMES // 3
    parts = []
    for pattern in rng.permutation(["bar", "grating", "flicker"]):
        colour = ((1.0, 1.0), (1.0, 0.0), (0.0, 1.0))[rng.integers(3)]
        direction, contrast = rng.uniform(0, 360), rng.uniform(1, 2)
        if pattern == "bar":
            part = moving_bar(
                third,
                size,
                direction=direction,
                speed=rng.uniform(0.4, 1.0),
                length=rng.uniform(3, 8),
                contrast=contrast * rng.choice([-1, 1]),
                colour=colour,
            )
        elif pattern == "grating":
            part = drifting_grating(
                third,
                size,
                direction=direction,
                wavelength=rng.uniform(3, 10),
                temporal_frequency=rng.uniform(0.03, 0.15),
                contrast=contrast,
                colour=colour,
            )
        else:
            part = _flicker(third, size, contrast / 2, colour, rng)
        parts.append(part)
    return np.concatenate(parts, axis=1)


def _flicker(
    frames: int, size: tuple[int, int], contrast: float, colour: tuple[float, float], rng: np.random.Generator
) -> np.ndarray:
    """The whole field steps to a new level every 1 to 6 frames. No two are alike, as two chirps would be."""
    levels = rng.standard_normal(frames).repeat(rng.integers(1, 7, frames))[:frames]
    course = contrast * np.multiply.outer(colour, levels)
    return np.broadcast_to(course[:, :, None, None], (2, frames, *size)).astype(np.float32)
