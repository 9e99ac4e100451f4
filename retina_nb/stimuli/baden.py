"""The chirp and the moving bars by which mouse ganglion cells are told apart (Baden et al. 2016, Nature 529).

As in openretina's stimulus files for Höfling et al. 2024: two channels, 30 frames per second, and units of contrast, in
which 0 is mean grey, -1 black and 1 white.
"""

import numpy as np
from jaxtyping import Float32

Stimulus = Float32[np.ndarray, "2 time height width"]

RATE = 30.0
CHIRP_FRAMES = 990
BAR_FRAMES = 123  # from one bar to the next
DIRECTIONS = (0, 180, 45, 225, 90, 270, 135, 315)  # degrees, 0 towards the right and 90 towards the top of the screen

# The bar, of 1 mm x 0.3 mm at 1 mm/s, in pixels of the 18 x 16 stimulus, and the frame at which it is in the middle.
_SPEED, _LENGTH, _WIDTH, _MIDDLE = 25 / RATE, 25.0, 7.5, 64
_BACKGROUND, _WHITE = np.array([10, 20]), 255  # grey levels of 256, the former of each channel


def chirp(size: tuple[int, int]) -> Stimulus:
    """A step to white, a sweep of frequency from 0 to 8 Hz and a sweep of contrast at 2 Hz of the whole field; 33 s.

    Args:
        size: (height, width) in pixels.
    """
    t = (np.arange(CHIRP_FRAMES) - 1) / RATE  # the screen is one frame late
    parts = {
        (2, 5): lambda t: np.full_like(t, 254),
        (8, 10): lambda t: np.full_like(t, 127),
        (10, 18): lambda t: 127 + 127 * np.sin(np.pi * t**2),
        (18, 20): lambda t: np.full_like(t, 127),
        (20, 28): lambda t: 127 + 127 * t / 8 * np.sin(4 * np.pi * t),
        (28, 30): lambda t: np.full_like(t, 127),
    }
    level = np.zeros(CHIRP_FRAMES)
    for (start, end), course in parts.items():
        during = (t >= start - 1e-9) & (t < end - 1e-9)
        level[during] = course(t[during] - start)
    return np.broadcast_to(_contrast(level)[None, :, None, None], (2, CHIRP_FRAMES, *size)).copy()


def moving_bars(size: tuple[int, int], *, pixels: float = 1.0) -> Stimulus:
    """A bright bar that crosses the screen in each of the `DIRECTIONS`, 4.1 s each.

    Args:
        size: (height, width) in pixels.
        pixels: how many make one pixel of the 18 x 16 stimulus: 4 for 72 x 64.
    """
    height, width = size
    up = ((height - 1) / 2 - np.arange(height)[:, None]) / pixels
    right = (np.arange(width) - (width - 1) / 2) / pixels
    middle = (_SPEED * (np.arange(BAR_FRAMES) - _MIDDLE))[:, None, None]
    bars = []
    for angle in np.deg2rad(DIRECTIONS):
        along = np.cos(angle) * right + np.sin(angle) * up - middle
        across = np.cos(angle) * up - np.sin(angle) * right
        bars.append(_covered(along, _LENGTH, pixels) * _covered(across, _WIDTH, pixels))
    background = _BACKGROUND[:, None, None, None]
    return _contrast(background + (_WHITE - background) * np.concatenate(bars))


def _covered(place: np.ndarray, extent: float, pixels: float) -> np.ndarray:
    """How much of each pixel is within a stretch of this extent around 0, where pixels at its ends are cut."""
    return np.clip((extent / 2 - np.abs(place)) * pixels + 0.5, 0, 1)


def _contrast(level: np.ndarray) -> np.ndarray:
    return ((level - 128) / 128).astype(np.float32)
