"""What the generators share: colours, places on the screen, and the record of what was made."""

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Float

from retina_nb.errors import UserError
from retina_nb.stimuli.stimulus import Screen, Stimulus

Event = tuple[str, float, float, dict[str, Any]]


def make(
    screen: Screen,
    movie: Float[np.ndarray, "time height width"] | Float[np.ndarray, " time"],
    events: Iterable[Event],
    *,
    colour: Sequence[float] | None,
    **parameters: Any,
) -> Stimulus:
    """A stimulus of one pattern in all channels.

    Args:
        screen: what it is for.
        movie: the pattern in units of contrast, or the course of the whole screen.
        events: name, start and stop (s) and parameters of each.
        colour: weight of each channel; 1 for all if None.
        parameters: what it was made from.

    Raises:
        UserError: if it has no frames, or the colour has not a weight for each channel.
    """
    weights = weigh(screen, colour)
    whole = movie if movie.ndim == 3 else np.broadcast_to(movie[:, None, None], (len(movie), *screen.size))
    frames = (weights[:, None, None, None] * whole).astype(np.float32)
    return Stimulus(frames, screen, timing(screen, events), {**parameters, "colour": tuple(weights.tolist())})


def timing(screen: Screen, events: Iterable[Event]) -> pd.DataFrame:
    """The timing table of events, in frames."""
    rows = [
        {"event": name, "start": screen.frames(start), "stop": screen.frames(stop), **parameters}
        for name, start, stop, parameters in events
    ]
    return pd.DataFrame(rows, columns=None if rows else ["event", "start", "stop"])


def weigh(screen: Screen, colour: Sequence[float] | None) -> Float[np.ndarray, " channel"]:
    """Weight of each channel.

    Raises:
        UserError: if their number is not that of the screen's channels.
    """
    weights = np.ones(screen.channels) if colour is None else np.asarray(colour, dtype=float)
    if weights.shape != (screen.channels,):
        raise UserError(f"colour={colour} must have a weight for each of the screen's {screen.channels} channels")
    return weights


def positive(**values: float) -> None:
    """Refuse what must be above 0 and is not."""
    for name, value in values.items():
        if not value > 0:
            raise UserError(f"{name} must be above 0, not {value}")


def not_negative(**values: float) -> None:
    """Refuse what must not be below 0 and is."""
    for name, value in values.items():
        if not value >= 0:
            raise UserError(f"{name} must not be below 0, not {value}")


def along(
    screen: Screen, direction: float, center: tuple[float, float] | None = None
) -> Float[np.ndarray, "height width"]:
    """Each pixel's place along a direction (degrees), in pixels from the middle of the screen, or another place."""
    y, x = screen.middle if center is None else center
    up = y - np.arange(screen.size[0])[:, None]
    right = np.arange(screen.size[1]) - x
    return np.cos(np.deg2rad(direction)) * right + np.sin(np.deg2rad(direction)) * up


def covered(place: np.ndarray, extent: float) -> np.ndarray:
    """How much of each pixel is within a stretch of this extent around 0, where pixels at its ends are cut."""
    return np.clip(extent / 2 - np.abs(place) + 0.5, 0, 1) - np.clip(0.5 - np.abs(place) - extent / 2, 0, 1)


def disc(
    screen: Screen, diameter: float, center: tuple[float, float] | None = None
) -> Float[np.ndarray, "height width"]:
    """How much of each pixel is within a disc of this diameter (µm), around the middle of the screen or a place."""
    if not diameter > 0:
        return np.zeros(screen.size)
    y, x = screen.middle if center is None else center
    fine = 8  # parts of a pixel's side, since small discs are of few pixels
    parts = (np.arange(fine) + 0.5) / fine - 0.5
    rows = (np.arange(screen.size[0])[:, None] + parts).ravel() - y
    columns = (np.arange(screen.size[1])[:, None] + parts).ravel() - x
    inside = np.hypot(rows[:, None], columns[None]) <= screen.pixels(diameter) / 2
    return inside.reshape(screen.size[0], fine, screen.size[1], fine).mean(axis=(1, 3))


def extent(screen: Screen, direction: float) -> float:
    """How long the screen is along a direction, corner to corner (pixels)."""
    height, width = screen.size
    return abs(np.cos(np.deg2rad(direction))) * width + abs(np.sin(np.deg2rad(direction))) * height
