"""The chirp and the moving bars by which mouse ganglion cells are told apart (Baden et al. 2016, Nature 529).

As in openretina's stimulus files for Höfling et al. 2024: two channels, 30 frames per second, and units of contrast, in
which 0 is mean grey, -1 black and 1 white.
"""

import numpy as np
from jaxtyping import Float32

from retina_nb.stimuli.flashes import CHIRP_SECONDS, chirp_levels
from retina_nb.stimuli.motion import bar
from retina_nb.stimuli.stimulus import Screen

Frames = Float32[np.ndarray, "2 time height width"]

RATE = 30.0
CHIRP_FRAMES = round(CHIRP_SECONDS * RATE)
BAR_FRAMES = 123  # from one bar to the next
DIRECTIONS = (0, 180, 45, 225, 90, 270, 135, 315)  # degrees, 0 towards the right and 90 towards the top of the screen

# The bar is of 1 mm x 0.3 mm and moves at 1 mm/s along its long side, if pixels of the 18 x 16 stimulus are of 40 µm.
_PIXEL_UM, _SPEED, _LENGTH, _WIDTH = 40.0, 1000.0, 1000.0, 300.0
_MIDDLE = 64  # the frame at which it is in the middle
_BACKGROUND, _WHITE = np.array([10, 20]), 255  # grey levels of 256, the former of each channel


def chirp(size: tuple[int, int]) -> Frames:
    """A step to white, a sweep of frequency from 0 to 8 Hz and a sweep of contrast at 2 Hz of the whole field; 33 s.

    Args:
        size: (height, width) in pixels.
    """
    level = chirp_levels((np.arange(CHIRP_FRAMES) - 1) / RATE)  # the screen is one frame late
    return np.broadcast_to(_contrast(level)[None, :, None, None], (2, CHIRP_FRAMES, *size)).copy()


def moving_bars(size: tuple[int, int], *, pixels: float = 1.0) -> Frames:
    """A bright bar that crosses the screen in each of the `DIRECTIONS`, 4.1 s each.

    Args:
        size: (height, width) in pixels.
        pixels: how many make one pixel of the 18 x 16 stimulus: 4 for 72 x 64.
    """
    screen = Screen(size, RATE, _PIXEL_UM / pixels, 2)
    path = screen.pixels(_SPEED) / RATE * (np.arange(BAR_FRAMES) - _MIDDLE)
    bars = [bar(screen, direction, path, _LENGTH, _WIDTH) for direction in DIRECTIONS]
    background = _BACKGROUND[:, None, None, None]
    return _contrast(background + (_WHITE - background) * np.concatenate(bars))


def _contrast(level: np.ndarray) -> np.ndarray:
    return ((level - 128) / 128).astype(np.float32)
