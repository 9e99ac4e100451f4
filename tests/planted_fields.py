"""Planted receptive fields, and recordings of cells that have them."""

from collections.abc import Callable

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from retina_nb import Movie, Recording

RATE, SIZE, LAGS = 30.0, (7, 9), 6


def planted_field(
    place: tuple[float, float],
    *,
    sigma: tuple[float, float] = (1.0, 1.0),
    degrees: float = 0.0,
    peak: float = 2.3,
    colour: tuple[float, float] = (1.0, 0.5),
    lags: int = LAGS,
    size: tuple[int, int] = SIZE,
) -> np.ndarray:
    """(channel, lag, height, width): a Gaussian, longer along `degrees`, strongest `peak` bins before the present."""
    y, x = np.indices(size)
    angle = np.deg2rad(degrees)  # 90 is up, where y is less
    along = np.cos(angle) * (x - place[1]) - np.sin(angle) * (y - place[0])
    across = np.sin(angle) * (x - place[1]) + np.cos(angle) * (y - place[0])
    space = np.exp(-((along / sigma[0]) ** 2) / 2 - (across / sigma[1]) ** 2 / 2)
    time = np.exp(-((np.arange(lags)[::-1] - peak) ** 2) / 2)
    return np.einsum("c,t,hw->cthw", colour, time, space).astype(np.float32)


def drive(frames: np.ndarray, field: np.ndarray) -> np.ndarray:
    """What a filter makes of a movie in every bin, of standard deviation 1; before it there was grey."""
    channel, lags, height, width = field.shape
    shown = np.concatenate([np.zeros((channel, lags - 1, height, width), np.float32), frames], axis=1)
    made = np.einsum("cthwl,clhw->t", sliding_window_view(shown, lags, axis=1), field, optimize=True)
    return made / made.std()


def planted_recording(
    fields: list[np.ndarray], rates: list[Callable[[np.ndarray], np.ndarray]], *, frames: np.ndarray
) -> Recording:
    """Each cell's rate is a function of its filter's drive; the last fifth is for validation."""
    responses = np.stack([rate(drive(frames, field)) for field, rate in zip(fields, rates, strict=True)], axis=1)
    split = np.where(np.arange(len(responses)) < 0.8 * len(responses), "train", "validation")
    return Recording("planted", Movie(frames), responses, RATE, split=split, pixel_um=50.0)


def white(time: int, *, size: tuple[int, int] = SIZE, seed: int = 0) -> np.ndarray:
    """(2, time, height, width) Gaussian noise."""
    return np.random.default_rng(seed).standard_normal((2, time, *size)).astype(np.float32)


def cosine(one: np.ndarray, other: np.ndarray) -> float:
    return float((one * other).sum() / np.linalg.norm(one) / np.linalg.norm(other))
