"""What the simulated retina is shown: clips of natural scenes, white noise and moving patterns."""

import numpy as np
from jaxtyping import Float

from retina_nb.stimuli import drifting_grating, full_field_chirp, moving_bar, natural_movie, white_noise

CLIP_FRAMES = 150


def clips(
    count: int, size: tuple[int, int], rng: np.random.Generator
) -> Float[np.ndarray, "clip channel time height width"]:
    """Clips of two channels; of every five, three are natural, one is white noise and one a battery of patterns."""
    kinds = (_natural, _natural, _noise, _natural, _battery)
    return np.stack([kinds[index % len(kinds)](size, rng) for index in range(count)])


def _natural(size: tuple[int, int], rng: np.random.Generator) -> np.ndarray:
    return natural_movie(CLIP_FRAMES, size, channels=2, speed=0.6, rng=rng)


def _noise(size: tuple[int, int], rng: np.random.Generator) -> np.ndarray:
    return white_noise(CLIP_FRAMES, size, channels=2, stixel=2, hold=2, rng=rng)


def _battery(size: tuple[int, int], rng: np.random.Generator) -> np.ndarray:
    """Three patterns of a third of a clip each, at random parameters."""
    third = CLIP_FRAMES // 3
    parts = []
    for _ in range(3):
        colour = ((1.0, 1.0), (1.0, 0.0), (0.0, 1.0))[rng.integers(3)]
        direction, contrast = 45.0 * rng.integers(8), rng.uniform(1, 2)
        pattern = rng.choice(["bar", "bar", "grating", "chirp"])
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
                wavelength=rng.uniform(5, 14),
                temporal_frequency=rng.uniform(0.03, 0.15),
                contrast=contrast,
                colour=colour,
            )
        else:
            part = full_field_chirp(third, size, highest_frequency=0.25, contrast=contrast, colour=colour)
        parts.append(part)
    return np.concatenate(parts, axis=1)
