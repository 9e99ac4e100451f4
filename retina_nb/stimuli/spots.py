"""Stimuli around one place: spots, annuli, looming discs, and any stimulus behind a round aperture."""

from collections.abc import Sequence

import numpy as np

from retina_nb.errors import UserError
from retina_nb.stimuli.making import Event, disc, make, not_negative, positive
from retina_nb.stimuli.stimulus import Screen, Stimulus


def spot(
    screen: Screen,
    *,
    diameter: float,
    center: tuple[float, float] | None = None,
    duration: float = 1.0,
    before: float = 1.0,
    after: float = 1.0,
    contrast: float = 1.0,
    colour: Sequence[float] | None = None,
) -> Stimulus:
    """A disc on grey.

    Args:
        screen: what it is for.
        diameter: in µm.
        center: place (y, x) in pixels; the middle of the screen if None.
        duration, before, after: of the disc, and of the grey around it (s).
        contrast: of the disc; below 0 it is dark.
        colour: weight of each channel; all 1 if None.

    Raises:
        UserError: if a size or duration is not possible.
    """
    positive(diameter=diameter)
    shape = disc(screen, diameter, center)
    timing = {"duration": duration, "before": before, "after": after}
    return _shown(screen, "spot", shape, contrast, colour, **timing, diameter=diameter, center=center)


def annulus(
    screen: Screen,
    *,
    inner: float,
    outer: float,
    center: tuple[float, float] | None = None,
    duration: float = 1.0,
    before: float = 1.0,
    after: float = 1.0,
    contrast: float = 1.0,
    colour: Sequence[float] | None = None,
) -> Stimulus:
    """A ring on grey: the surround without the centre.

    Args:
        screen: what it is for.
        inner, outer: diameters (µm).
        center: place (y, x) in pixels; the middle of the screen if None.
        duration, before, after: of the ring, and of the grey around it (s).
        contrast: of the ring; below 0 it is dark.
        colour: weight of each channel; all 1 if None.

    Raises:
        UserError: if a size or duration is not possible.
    """
    positive(outer=outer)
    not_negative(inner=inner)
    if inner >= outer:
        raise UserError(f"an annulus needs an inner diameter below its outer one, not {inner} and {outer} µm")
    shape = disc(screen, outer, center) - disc(screen, inner, center)
    timing = {"duration": duration, "before": before, "after": after}
    return _shown(screen, "annulus", shape, contrast, colour, **timing, inner=inner, outer=outer, center=center)


def looming(
    screen: Screen,
    *,
    speed: float = 600.0,
    start: float = 50.0,
    stop: float = 900.0,
    center: tuple[float, float] | None = None,
    before: float = 1.0,
    after: float = 1.0,
    contrast: float = -1.0,
    colour: Sequence[float] | None = None,
) -> Stimulus:
    """A disc that grows steadily, dark as a predator overhead (Münch et al. 2009, Nat. Neurosci. 12), and then stays.

    Args:
        screen: what it is for.
        speed: growth of the diameter (µm/s); with `start` above `stop` it shrinks.
        start, stop: diameters (µm).
        center: place (y, x) in pixels; the middle of the screen if None.
        before, after: grey before, and the last disc after the growth (s).
        contrast: of the disc.
        colour: weight of each channel; all 1 if None.

    Raises:
        UserError: if a size, speed or duration is not possible.
    """
    positive(speed=speed, start=start, stop=stop)
    not_negative(before=before, after=after)
    duration = abs(stop - start) / speed
    count = screen.frames(before + duration + after)
    time = np.arange(count) / screen.rate - before
    diameters = start + np.sign(stop - start) * speed * np.clip(time, 0, duration)
    shown = time >= -1e-9
    movie = np.stack([contrast * on * disc(screen, one, center) for one, on in zip(diameters, shown, strict=True)])
    events: list[Event] = [("looming", before, before + duration, {"speed": speed, "contrast": contrast})]
    parameters = {"speed": speed, "start": start, "stop": stop, "center": center, "contrast": contrast}
    return make(screen, movie, events, colour=colour, **parameters)


def aperture(stimulus: Stimulus, *, diameter: float, center: tuple[float, float] | None = None) -> Stimulus:
    """A stimulus behind a round opening, grey around it.

    Args:
        stimulus: any.
        diameter: of the opening (µm).
        center: its place (y, x) in pixels; the middle of the screen if None.

    Raises:
        UserError: if the diameter is not above 0.
    """
    positive(diameter=diameter)
    frames = stimulus.frames * disc(stimulus.screen, diameter, center).astype(np.float32)
    parameters = {**stimulus.parameters, "diameter": diameter, "center": center}
    return Stimulus(frames, stimulus.screen, stimulus.events, parameters)


def _shown(
    screen: Screen,
    name: str,
    shape: np.ndarray,
    contrast: float,
    colour: Sequence[float] | None,
    *,
    duration: float,
    before: float,
    after: float,
    **parameters: object,
) -> Stimulus:
    """A shape for a while, between grey."""
    positive(duration=duration)
    not_negative(before=before, after=after)
    course = np.zeros(screen.frames(before + duration + after))
    course[screen.frames(before) : screen.frames(before + duration)] = contrast
    movie = course[:, None, None] * shape
    events: list[Event] = [(name, before, before + duration, {"contrast": contrast})]
    return make(screen, movie, events, colour=colour, **parameters, duration=duration, contrast=contrast)
