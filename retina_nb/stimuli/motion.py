"""Moving bars and gratings. Directions are in degrees, 0 towards the right of the screen and 90 towards its top."""

from collections.abc import Sequence

import numpy as np

from retina_nb.stimuli.flashes import check_frequency
from retina_nb.stimuli.making import Event, along, covered, extent, make, not_negative, positive
from retina_nb.stimuli.stimulus import Screen, Stimulus


def moving_bar(
    screen: Screen,
    *,
    direction: float,
    speed: float = 1000.0,
    width: float | None = 1000.0,
    length: float = 300.0,
    center: tuple[float, float] | None = None,
    duration: float | None = None,
    contrast: float = 1.0,
    colour: Sequence[float] | None = None,
) -> Stimulus:
    """A bar that crosses the screen.

    Args:
        screen: what it is for.
        direction: of motion (degrees).
        speed: in µm/s.
        width: of the bar across its motion (µm); None for a bar as wide as the screen.
        length: of the bar along its motion (µm).
        center: place (y, x) in pixels that it crosses half way; the middle of the screen if None.
        duration: in seconds; as long as the bar takes from one end of the screen to the other if None.
        contrast: of the bar; below 0 it is dark.
        colour: weight of each channel; all 1 if None.

    Raises:
        UserError: if a size, speed or duration is not possible.
    """
    positive(speed=speed, length=length)
    crossing = ((extent(screen, direction) + 2) * screen.pixel_um + length) / speed
    duration = crossing if duration is None else duration
    positive(duration=duration)
    count = screen.frames(duration)
    path = speed / screen.pixel_um / screen.rate * (np.arange(count) - count / 2)
    movie = contrast * bar(screen, direction, path, length, width, center)
    middle = duration / 2
    events: list[Event] = [
        (
            "bar",
            max(middle - crossing / 2, 0),
            min(middle + crossing / 2, duration),
            {"direction": direction, "speed": speed},
        )
    ]
    parameters = {"direction": direction, "speed": speed, "width": width, "length": length, "center": center}
    return make(screen, movie, events, colour=colour, **parameters, contrast=contrast)


def bar(
    screen: Screen,
    direction: float,
    path: np.ndarray,
    length: float,
    width: float | None,
    center: tuple[float, float] | None = None,
) -> np.ndarray:
    """(time, height, width): how much of each pixel is covered by a bar whose middle is at each place of a path.

    Args:
        screen: what it is for.
        direction: of motion (degrees).
        path: places of the bar's middle along the direction (pixels from the centre).
        length, width: along and across the motion (µm); a width of None is endless.
        center: where the path is at 0; the middle of the screen if None.
    """
    inside = covered(along(screen, direction, center) - path[:, None, None], screen.pixels(length))
    if width is None:
        return inside
    return inside * covered(along(screen, direction + 90, center), screen.pixels(width))


def drifting_grating(
    screen: Screen,
    *,
    direction: float,
    wavelength: float = 600.0,
    frequency: float = 2.0,
    phase: float = 0.0,
    duration: float = 2.0,
    before: float = 0.0,
    contrast: float = 1.0,
    colour: Sequence[float] | None = None,
) -> Stimulus:
    """A sinusoidal grating that moves.

    Args:
        screen: what it is for.
        direction: of motion (degrees).
        wavelength: µm per cycle.
        frequency: cycles per second (Hz); the speed is their product.
        phase: at the start, in the middle of the screen (degrees).
        duration, before: of the grating, and of the grey before it (s).
        contrast: amplitude.
        colour: weight of each channel; all 1 if None.

    Raises:
        UserError: if a size or duration is not possible, or the screen is too slow for the frequency.
    """
    space, time = _space_time(screen, direction, wavelength, frequency, duration, before)
    cycles = space - frequency * time + phase / 360
    movie = np.where(time >= -1e-9, contrast * np.sin(2 * np.pi * cycles), 0)
    parameters = {"direction": direction, "wavelength": wavelength, "frequency": frequency, "phase": phase}
    events: list[Event] = [("grating", before, before + duration, parameters)]
    return make(screen, movie, events, colour=colour, **parameters, duration=duration, contrast=contrast)


def reversing_grating(
    screen: Screen,
    *,
    wavelength: float,
    frequency: float = 2.0,
    phase: float = 0.0,
    direction: float = 0.0,
    duration: float = 2.0,
    before: float = 0.0,
    contrast: float = 1.0,
    colour: Sequence[float] | None = None,
) -> Stimulus:
    """A sinusoidal grating in place, whose contrast reverses sinusoidally (Hochstein & Shapley 1976, J. Physiol. 262).

    Args:
        screen: what it is for.
        wavelength: µm per cycle.
        frequency: cycles of reversal per second (Hz).
        phase: in space, in the middle of the screen (degrees).
        direction: along which the grating varies (degrees).
        duration, before: of the grating, and of the grey before it (s).
        contrast: amplitude.
        colour: weight of each channel; all 1 if None.

    Raises:
        UserError: if a size or duration is not possible, or the screen is too slow for the frequency.
    """
    space, time = _space_time(screen, direction, wavelength, frequency, duration, before)
    movie = np.sin(2 * np.pi * (space + phase / 360)) * np.sin(2 * np.pi * frequency * time)
    movie = np.where(time >= -1e-9, contrast * movie, 0)
    parameters = {"direction": direction, "wavelength": wavelength, "frequency": frequency, "phase": phase}
    events: list[Event] = [("reversing", before, before + duration, parameters)]
    return make(screen, movie, events, colour=colour, **parameters, duration=duration, contrast=contrast)


def motion_onset(
    screen: Screen,
    *,
    direction: float,
    speed: float = 1000.0,
    length: float = 300.0,
    center: tuple[float, float] | None = None,
    before: float = 1.0,
    duration: float = 1.0,
    contrast: float = 1.0,
    colour: Sequence[float] | None = None,
) -> Stimulus:
    """A bar as wide as the screen that stands still at a place and then moves away (Chen et al. 2013, J. Neurosci. 33).

    Args:
        screen: what it is for.
        direction: of motion (degrees).
        speed: in µm/s.
        length: of the bar along its motion (µm).
        center: place (y, x) in pixels where it stands; the middle of the screen if None.
        before, duration: of standing and of moving (s).
        contrast: of the bar.
        colour: weight of each channel; all 1 if None.
    """
    return _turning(screen, direction, (0.0, speed), length, center, (before, duration), contrast, colour, "onset")


def motion_reversal(
    screen: Screen,
    *,
    direction: float,
    speed: float = 1000.0,
    length: float = 300.0,
    center: tuple[float, float] | None = None,
    before: float = 1.0,
    after: float = 1.0,
    contrast: float = 1.0,
    colour: Sequence[float] | None = None,
) -> Stimulus:
    """A bar as wide as the screen that moves to a place and from there back (Schwartz et al. 2007, Neuron 55).

    Args:
        screen: what it is for.
        direction: of motion until the reversal (degrees).
        speed: in µm/s.
        length: of the bar along its motion (µm).
        center: place (y, x) in pixels where it turns; the middle of the screen if None.
        before, after: of motion until and since the reversal (s).
        contrast: of the bar.
        colour: weight of each channel; all 1 if None.
    """
    return _turning(screen, direction, (speed, -speed), length, center, (before, after), contrast, colour, "reversal")


def _turning(
    screen: Screen,
    direction: float,
    speeds: tuple[float, float],
    length: float,
    center: tuple[float, float] | None,
    seconds: tuple[float, float],
    contrast: float,
    colour: Sequence[float] | None,
    name: str,
) -> Stimulus:
    """A bar that changes its speed at a place."""
    positive(speed=abs(speeds[1]), length=length, before=seconds[0], after=seconds[1])
    time = np.arange(screen.frames(sum(seconds))) / screen.rate - seconds[0]
    path = screen.pixels(1) * np.where(time < 0, speeds[0], speeds[1]) * time
    movie = contrast * bar(screen, direction, path, length, None, center)
    events: list[Event] = [(name, seconds[0], sum(seconds), {"direction": direction, "speed": abs(speeds[1])})]
    parameters = {"direction": direction, "speed": abs(speeds[1]), "length": length, "center": center}
    return make(screen, movie, events, colour=colour, **parameters, contrast=contrast)


def _space_time(
    screen: Screen, direction: float, wavelength: float, frequency: float, duration: float, before: float
) -> tuple[np.ndarray, np.ndarray]:
    """Place in cycles (height, width) and time in seconds (time, 1, 1) of a grating."""
    positive(wavelength=wavelength, duration=duration)
    not_negative(before=before, frequency=frequency)
    check_frequency(screen, frequency)
    time = np.arange(screen.frames(before + duration))[:, None, None] / screen.rate - before
    return along(screen, direction) / screen.pixels(wavelength), time
