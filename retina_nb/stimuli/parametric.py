"""The textbook stimuli of the retina: bars, gratings and chirps.

Directions are in degrees, 0 towards the right of the screen and 90 towards its top.
"""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float

Stimulus = Float[np.ndarray, "channel time height width"]


def moving_bar(
    frames: int,
    size: tuple[int, int],
    *,
    direction: float,
    speed: float,
    length: float,
    contrast: float = 1.0,
    colour: Sequence[float] = (1.0,),
) -> Stimulus:
    """A bar as wide as the screen that crosses it once, in the middle of the stimulus.

    Args:
        frames: length in frames.
        size: (height, width) in pixels.
        direction: direction of motion (degrees).
        speed: pixels per frame.
        length: extent of the bar along its motion (pixels).
        contrast: value inside the bar; outside it is 0.
        colour: weight of each channel.
    """
    along = _along(size, direction)
    front = speed * (np.arange(frames) - frames / 2) + length / 2
    distance = front[:, None, None] - along  # how far the front has passed each pixel
    # Pixels at the edges are partly covered, so that slow bars move smoothly.
    inside = np.clip(distance + 0.5, 0, 1) - np.clip(distance - length + 0.5, 0, 1)
    return _coloured(contrast * inside, colour)


def drifting_grating(
    frames: int,
    size: tuple[int, int],
    *,
    direction: float,
    wavelength: float,
    temporal_frequency: float,
    contrast: float = 1.0,
    colour: Sequence[float] = (1.0,),
) -> Stimulus:
    """A sinusoidal grating.

    Args:
        frames: length in frames.
        size: (height, width) in pixels.
        direction: direction of motion (degrees).
        wavelength: pixels per cycle.
        temporal_frequency: cycles per frame.
        contrast: amplitude.
        colour: weight of each channel.
    """
    phase = _along(size, direction) / wavelength - temporal_frequency * np.arange(frames)[:, None, None]
    return _coloured(contrast * np.sin(2 * np.pi * phase), colour)


def full_field_chirp(
    frames: int,
    size: tuple[int, int],
    *,
    highest_frequency: float,
    contrast: float = 1.0,
    colour: Sequence[float] = (1.0,),
) -> Stimulus:
    """A step up and down, a frequency sweep and a contrast sweep of the whole field (Baden 2016), a third each.

    Args:
        frames: length in frames.
        size: (height, width) in pixels.
        highest_frequency: end of the frequency sweep (cycles per frame).
        contrast: amplitude.
        colour: weight of each channel.
    """
    third = frames // 3
    time = np.arange(third)
    step = np.where(time < third // 2, 1.0, -1.0)
    sweep = np.sin(np.pi * highest_frequency * time**2 / third)
    ramp = time / third * np.sin(np.pi * highest_frequency * time)
    course = np.pad(np.concatenate([step, sweep, ramp]), (0, frames - 3 * third))
    return _coloured(contrast * np.broadcast_to(course[:, None, None], (frames, *size)), colour)


def _along(size: tuple[int, int], direction: float) -> np.ndarray:
    """(height, width): each pixel's place along the direction, 0 in the centre of the screen."""
    height, width = size
    up = (height - 1) / 2 - np.arange(height)[:, None]
    right = np.arange(width) - (width - 1) / 2
    return np.cos(np.deg2rad(direction)) * right + np.sin(np.deg2rad(direction)) * up


def _coloured(movie: np.ndarray, colour: Sequence[float]) -> np.ndarray:
    return np.stack([weight * movie for weight in colour]).astype(np.float32)
