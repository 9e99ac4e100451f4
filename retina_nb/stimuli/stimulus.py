"""A stimulus, the screen it is for, and when what happens in it."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Float

from retina_nb.arrays import as_array, as_count, as_integers, as_mapping, as_number, describe
from retina_nb.errors import UserError
from retina_nb.recording import PIXELS, RATES
from retina_nb.representations import one_line


@one_line
@dataclass(frozen=True)
class Screen:
    """What a stimulus is made for.

    Args:
        size: (height, width) in pixels.
        rate: frames per second (Hz).
        pixel_um: side of a pixel on the retina (µm).
        channels: number of colour channels.

    Raises:
        UserError: if a number is impossible.
    """

    size: tuple[int, int]
    rate: float
    pixel_um: float
    channels: int = 1

    def __post_init__(self) -> None:
        size = as_integers(self.size, "the size of a screen", "(axis,)").tolist()
        if len(size) != 2 or min(size) < 1:
            raise UserError(f"the size of a screen must be (height, width) in pixels, not {describe(self.size)}")
        object.__setattr__(self, "size", tuple(size))
        object.__setattr__(self, "rate", as_number(self.rate, "a screen's rate", "frames per second", *RATES))
        side = as_number(self.pixel_um, "a screen's pixel_um", "µm", *PIXELS, unknown=True)
        object.__setattr__(self, "pixel_um", side)
        object.__setattr__(self, "channels", as_count(self.channels, "a screen's channels", least=1))

    @classmethod
    def of(cls, model: Any) -> "Screen":
        """The screen that a twin, a truth or another model looks at.

        Raises:
            UserError: if the model does not know its stimuli, rate or pixel size.
        """
        shape, about = getattr(model, "stimulus_shape", None), getattr(model, "about", {})
        if shape is None or not about.get("rate_hz") or not about.get("pixel_um"):
            raise UserError(
                "the model does not know its screen: set model.stimulus_shape, about['rate_hz'] and about['pixel_um'], "
                "or make a Screen by hand"
            )
        return cls(tuple(shape[1:]), float(about["rate_hz"]), float(about["pixel_um"]), shape[0])

    def frames(self, seconds: float) -> int:
        """How many frames a duration (s) has."""
        return round(seconds * self.rate)

    def pixels(self, um: float) -> float:
        """How many pixels a length on the retina (µm) has."""
        return um / self.pixel_um

    @property
    def middle(self) -> tuple[float, float]:
        """The middle of the screen (y, x) in pixels, counted from the middle of the top left one."""
        return (self.size[0] - 1) / 2, (self.size[1] - 1) / 2


@one_line
@dataclass(frozen=True)
class Stimulus:
    """Frames and their timing table.

    Args:
        frames: in units of contrast: 0 is the mean grey of the movies a twin was trained on.
        screen: what it is for.
        events: what happens in it, a row each: ``event``, ``start`` and ``stop`` (bins, the latter exclusive), and
            what the event's parameters are.
        parameters: what it was made from.

    Raises:
        UserError: if the frames are none, do not fit the screen or are not finite, or another argument does not fit.
    """

    frames: Float[np.ndarray, "channel time height width"]
    screen: Screen
    events: pd.DataFrame
    parameters: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not isinstance(self.screen, Screen):
            raise UserError(f"a stimulus is made for a Screen, not {describe(self.screen)}")
        if not isinstance(self.events, pd.DataFrame) or not {"start", "stop"} <= set(self.events):
            raise UserError(f"events must be a table with start and stop (bins), not {describe(self.events)}")
        object.__setattr__(self, "parameters", as_mapping(self.parameters, "parameters"))
        object.__setattr__(self, "frames", as_array(self.frames, "the frames of a stimulus"))
        if self.frames.dtype.kind not in "fiub":
            raise UserError(f"the frames of a stimulus must be real numbers, not {self.frames.dtype}")
        shape, wanted = self.frames.shape, (self.screen.channels, *self.screen.size)
        if len(shape) != 4 or (shape[0], *shape[2:]) != wanted:
            raise UserError(
                f"frames {shape} do not fit the screen: they must be (channel, time, height, width) with "
                f"{wanted[0]} channels, {wanted[1]} rows and {wanted[2]} columns"
            )
        if not shape[1]:
            raise UserError("the stimulus has no frames: make its duration longer than one frame")
        with np.errstate(over="ignore"):
            object.__setattr__(self, "frames", self.frames.astype(np.float32, copy=False))
        if not np.isfinite([self.frames.min(), self.frames.max()]).all():
            raise UserError(f"the stimulus is not finite in float32: check what it is made from, {self.parameters}")

    @property
    def seconds(self) -> float:
        """Duration (s)."""
        return self.frames.shape[1] / self.screen.rate


def sequence(stimuli: Sequence[Stimulus], *, gap: float = 0.0) -> Stimulus:
    """Stimuli one after another, with `gap` seconds of grey between them, and one timing table for all.

    Raises:
        UserError: if there is none, or they are for different screens.
    """
    screen = _same_screen(stimuli)
    pause = np.zeros((screen.channels, screen.frames(gap), *screen.size), dtype=np.float32)
    parts, tables, start = [], [], 0
    for number, one in enumerate(stimuli):
        if number:
            parts.append(pause)
            start += pause.shape[1]
        tables.append(one.events.assign(start=one.events["start"] + start, stop=one.events["stop"] + start))
        parts.append(one.frames)
        start += one.frames.shape[1]
    return Stimulus(np.concatenate(parts, axis=1), screen, pd.concat(tables, ignore_index=True))


def batch(stimuli: Sequence[Stimulus]) -> tuple[Float[np.ndarray, "condition channel time height width"], pd.DataFrame]:
    """Stimuli side by side, as a model is shown many at once, and a row of `parameters` for each.

    Shorter ones are followed by grey.

    Raises:
        UserError: if there is none, or they are for different screens.
    """
    screen = _same_screen(stimuli)
    longest = max(one.frames.shape[1] for one in stimuli)
    frames = np.zeros((len(stimuli), screen.channels, longest, *screen.size), dtype=np.float32)
    for row, one in zip(frames, stimuli, strict=True):
        row[:, : one.frames.shape[1]] = one.frames
    return frames, pd.DataFrame([one.parameters for one in stimuli])


def _same_screen(stimuli: Sequence[Stimulus]) -> Screen:
    if not stimuli:
        raise UserError("there are no stimuli to join: give one or more")
    for one in stimuli:
        if one.screen != stimuli[0].screen:
            raise UserError(f"stimuli for different screens cannot be joined: {stimuli[0].screen} and {one.screen}")
    return stimuli[0].screen
