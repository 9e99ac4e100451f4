"""Movies that are drawn where they are looked at: images seen from where a gaze rested.

A film that follows the gaze is a few images and a long list of fixations, so its frames are not kept: a movie's
frames are the distinct views of its images, and a recording's `frames` say which view was on screen in each bin.
What is held in memory does not grow with the length of the film.
"""

from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Float32, Int64, Integer

_AT_ONCE = 16  # screens in memory while they are made smaller


def distinct_views(
    fixations: Integer[np.ndarray, "bin column"],
) -> tuple[Int64[np.ndarray, "view column"], Int64[np.ndarray, " bin"]]:
    """The distinct rows of a list of fixations, and which of them was on screen in each bin."""
    views, frames = np.unique(fixations.astype(np.int64, copy=False), axis=0, return_inverse=True)
    return views, frames.reshape(len(fixations))


def on_screen(
    numbers: Int64[np.ndarray, " n"],
    *,
    images: Sequence[np.ndarray],
    views: Int64[np.ndarray, "view 3"],
    screen: tuple[int, int],
    size: tuple[int, int],
    background: float = 0.0,
) -> Float32[np.ndarray, "n height width"]:
    """Draw views of images on a screen and make it smaller, by bilinear interpolation with antialiasing.

    Args:
        numbers: which views.
        images: grey levels of each image, (height, width), of any sizes.
        views: number of an image, and its pixel x and y (from 0) that lies to the right of and below the middle
            of the screen.
        screen: height and width of the screen in pixels.
        size: height and width of what is returned.
        background: grey level of the screen where there is no image.
    """
    made = np.empty((len(numbers), *size), dtype=np.float32)
    full = torch.empty((min(_AT_ONCE, len(numbers)), 1, *screen))
    for start in range(0, len(numbers), _AT_ONCE):
        part = views[numbers[start : start + _AT_ONCE]]
        full.fill_(background)
        for pixels, (image, x, y) in zip(full.numpy()[:, 0], part.tolist(), strict=False):
            rows, from_y = _overlap(images[image].shape[0], screen[0], y)
            columns, from_x = _overlap(images[image].shape[1], screen[1], x)
            pixels[rows, columns] = images[image][from_y, from_x]
        smaller = torch.nn.functional.interpolate(
            full[: len(part)], size, mode="bilinear", align_corners=False, antialias=True
        )
        made[start : start + len(part)] = smaller[:, 0].numpy()
    return made


def _overlap(n: int, screen: int, at: int) -> tuple[slice, slice]:
    """Where an axis of an image is on the screen, and which of its pixels are there."""
    shift = at - screen // 2
    first, last = max(-shift, 0), min(n - shift, screen)
    return slice(first, max(first, last)), slice(first + shift, max(first, last) + shift)
