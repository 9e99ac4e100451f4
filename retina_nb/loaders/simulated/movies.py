"""What the simulated retina is shown: clips of natural scenes, white noise and patterns."""

import numpy as np
from jaxtyping import Bool, Float

from retina_nb.stimuli import Screen, drifting_grating, moving_bar, natural_movie, white_noise

CLIP_FRAMES = 150
KINDS = ("natural", "patterns", "noise", "natural", "patterns")  # of clips, in turn


CONTENTS = {"natural": "natural scenes", "patterns": "bars, gratings and full-field flicker", "noise": "white noise"}


def contents() -> str:
    """What the recordings' movies, and so the trainings, are made of, in words."""
    shares = {kind: KINDS.count(kind) / len(KINDS) for kind in CONTENTS}
    return ", ".join(f"{share:.0%} {CONTENTS[kind]}" for kind, share in shares.items())


def clips(count: int, screen: Screen, rng: np.random.Generator) -> Float[np.ndarray, "clip channel time height width"]:
    """Clips of 5 s; of every five, two are natural, two a battery of patterns and one is white noise."""
    made = {"natural": _natural, "patterns": _battery, "noise": _noise}
    return np.stack([made[KINDS[index % len(KINDS)]](screen, rng) for index in range(count)])


def frames_of(kind: str, count: int) -> Bool[np.ndarray, " frame"]:
    """Which of the movie's first `count` frames are of a kind of clip."""
    return np.array(KINDS)[np.arange(count) // CLIP_FRAMES % len(KINDS)] == kind


def _natural(screen: Screen, rng: np.random.Generator) -> np.ndarray:
    return natural_movie(screen, duration=CLIP_FRAMES / screen.rate, speed=900, seed=rng).frames


def _noise(screen: Screen, rng: np.random.Generator) -> np.ndarray:
    return white_noise(screen, duration=CLIP_FRAMES / screen.rate, stixel=2, hold=2, seed=rng).frames


def _battery(screen: Screen, rng: np.random.Generator) -> np.ndarray:
    """A bar, a grating and full-field flicker, a third of a clip each, in random order and with random parameters."""
    third, parts = CLIP_FRAMES // 3, []
    for pattern in rng.permutation(["bar", "grating", "flicker"]):
        colour = ((1.0, 1.0), (1.0, 0.0), (0.0, 1.0))[rng.integers(3)]
        direction, contrast = rng.uniform(0, 360), rng.uniform(1, 2)
        if pattern == "bar":
            part = moving_bar(
                screen,
                direction=direction,
                speed=rng.uniform(600, 1500),
                width=None,
                length=rng.uniform(150, 400),
                duration=third / screen.rate,
                contrast=contrast * rng.choice([-1, 1]),
                colour=colour,
            ).frames
        elif pattern == "grating":
            part = drifting_grating(
                screen,
                direction=direction,
                wavelength=rng.uniform(150, 500),
                frequency=rng.uniform(1.0, 4.5),
                duration=third / screen.rate,
                contrast=contrast,
                colour=colour,
            ).frames
        else:
            part = _flicker(third, screen.size, contrast / 2, colour, rng)
        parts.append(part)
    return np.concatenate(parts, axis=1)


def _flicker(
    frames: int, size: tuple[int, int], contrast: float, colour: tuple[float, float], rng: np.random.Generator
) -> np.ndarray:
    """The whole field steps to a new level every 1 to 6 frames. No two are alike, as two chirps would be."""
    levels = rng.standard_normal(frames).repeat(rng.integers(1, 7, frames))[:frames]
    course = contrast * np.multiply.outer(colour, levels)
    return np.broadcast_to(course[:, :, None, None], (2, frames, *size)).astype(np.float32)
