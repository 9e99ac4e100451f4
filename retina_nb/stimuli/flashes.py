"""Stimuli in which the whole screen does the same: flashes, steps, trains of flashes, flicker and the chirp."""

from collections.abc import Sequence

import numpy as np

from retina_nb.errors import UserError
from retina_nb.stimuli.making import Event, make, not_negative, positive, weigh
from retina_nb.stimuli.stimulus import Screen, Stimulus

CHIRP_SECONDS = 33.0


def flash(
    screen: Screen,
    *,
    duration: float = 1.0,
    before: float = 1.0,
    after: float = 1.0,
    contrast: float = 1.0,
    colour: Sequence[float] | None = None,
) -> Stimulus:
    """A step of the whole screen from grey to a contrast and back.

    Args:
        screen: what it is for.
        duration, before, after: of the flash, and of the grey around it (s).
        contrast: of the flash; below 0 it is dark.
        colour: weight of each channel; all 1 if None.
    """
    return steps(
        screen, contrasts=(contrast,), duration=duration, before=before, after=after, colour=colour, name="flash"
    )


def steps(
    screen: Screen,
    *,
    contrasts: Sequence[float] = (1.0, 0.0, -1.0, 0.0),
    duration: float = 1.0,
    before: float = 1.0,
    after: float = 1.0,
    colour: Sequence[float] | None = None,
    name: str = "step",
) -> Stimulus:
    """Steps of the whole screen from contrast to contrast.

    Args:
        screen: what it is for.
        contrasts: one after another.
        duration: of each (s).
        before, after: grey around them (s).
        colour: weight of each channel; all 1 if None.
        name: of the events.

    Raises:
        UserError: if there is no contrast, or a duration is not possible.
    """
    positive(duration=duration)
    not_negative(before=before, after=after)
    if not len(contrasts):
        raise UserError("there is no step: give one or more of contrasts=")
    events: list[Event] = [
        (name, before + n * duration, before + (n + 1) * duration, {"contrast": contrast})
        for n, contrast in enumerate(contrasts)
    ]
    course = _course(screen, before + len(contrasts) * duration + after, events)
    made = {"contrasts": tuple(contrasts)} if len(contrasts) > 1 else {"contrast": contrasts[0]}
    return make(screen, course, events, colour=colour, duration=duration, before=before, after=after, **made)


def paired_flash(
    screen: Screen,
    *,
    interval: float,
    duration: float = 0.1,
    before: float = 1.0,
    after: float = 1.0,
    contrast: float = 1.0,
    colour: Sequence[float] | None = None,
) -> Stimulus:
    """Two equal flashes; how much the first lowers the response to the second measures recovery.

    Args:
        screen: what it is for.
        interval: from the start of one to the start of the other (s).
        duration, before, after: of each flash, and of the grey around both (s).
        contrast: of both.
        colour: weight of each channel; all 1 if None.
    """
    return flash_train(
        screen,
        period=interval,
        flashes=2,
        omitted=(),
        duration=duration,
        before=before,
        after=after,
        contrast=contrast,
        colour=colour,
    )


def flash_train(
    screen: Screen,
    *,
    period: float = 0.1,
    flashes: int = 16,
    omitted: Sequence[int] = (),
    duration: float = 0.04,
    before: float = 1.0,
    after: float = 1.0,
    contrast: float = 1.0,
    colour: Sequence[float] | None = None,
) -> Stimulus:
    """A periodic train of flashes, some of which are left out (Schwartz et al. 2007, Nat. Neurosci. 10).

    The flash that is missing after the last one is an event, too: the omitted stimulus to which ganglion cells respond.

    Args:
        screen: what it is for.
        period: from flash to flash (s).
        flashes: their number, with the omitted ones.
        omitted: numbers of those left out, from 0.
        duration, before, after: of each flash, and of the grey around the train (s).
        contrast: of the flashes.
        colour: weight of each channel; all 1 if None.

    Raises:
        UserError: if flashes are longer than their period, or there is no such flash to leave out.
    """
    positive(period=period, duration=duration, flashes=flashes)
    not_negative(before=before, after=after)
    if duration > period:
        raise UserError(f"flashes of {duration} s do not fit into a period of {period} s: shorten them")
    if any(not 0 <= one < flashes for one in omitted):
        raise UserError(f"omitted={tuple(omitted)} must be numbers of flashes, 0 to {flashes - 1}")
    events: list[Event] = [
        (
            "omitted" if n in omitted or n == flashes else "flash",
            before + n * period,
            before + n * period + duration,
            {"contrast": 0.0 if n in omitted or n == flashes else contrast},
        )
        for n in range(flashes + 1)
    ]
    course = _course(screen, before + flashes * period + after, events)
    parameters = {"period": period, "flashes": flashes, "omitted": tuple(omitted), "duration": duration}
    return make(screen, course, events, colour=colour, contrast=contrast, **parameters)


def flicker(
    screen: Screen,
    *,
    frequency: float = 4.0,
    duration: float = 4.0,
    before: float = 0.0,
    contrast: float = 1.0,
    colour: Sequence[float] | None = None,
) -> Stimulus:
    """Sinusoidal flicker of the whole screen; with a colour of both signs, as (1, -1), in counterphase.

    Args:
        screen: what it is for.
        frequency: cycles per second (Hz).
        duration, before: of the flicker, and of the grey before it (s).
        contrast: amplitude.
        colour: weight of each channel; all 1 if None.

    Raises:
        UserError: if the screen is too slow for the frequency.
    """
    positive(frequency=frequency, duration=duration)
    not_negative(before=before)
    check_frequency(screen, frequency)
    time = np.arange(screen.frames(before + duration)) / screen.rate - before
    course = np.where(time >= -1e-9, contrast * np.sin(2 * np.pi * frequency * time), 0)
    events: list[Event] = [("flicker", before, before + duration, {"frequency": frequency})]
    return make(screen, course, events, colour=colour, frequency=frequency, duration=duration, contrast=contrast)


def random_flicker(
    screen: Screen,
    *,
    duration: float = 4.0,
    hold: int = 1,
    contrast: float = 0.35,
    colours: Sequence[Sequence[float]] | None = None,
    seed: int = 0,
) -> Stimulus:
    """Gaussian flicker of the whole screen, independent in each channel.

    Args:
        screen: what it is for.
        duration: in seconds.
        hold: frames that a level stays.
        contrast: standard deviation.
        colours: independent sources, each the weights of all channels; every channel alone if None.
        seed: fixes the levels.
    """
    positive(duration=duration, hold=hold)
    sources = np.eye(screen.channels) if colours is None else np.stack([weigh(screen, one) for one in colours])
    count = screen.frames(duration)
    levels = np.random.default_rng(seed).standard_normal((len(sources), -(-count // hold))).repeat(hold, 1)[:, :count]
    course = contrast * sources.T @ levels  # (channel, time)
    frames = np.broadcast_to(course[:, :, None, None], (*course.shape, *screen.size)).astype(np.float32)
    made = make(screen, np.zeros(count), [("flicker", 0.0, duration, {})], colour=None)
    parameters = {"duration": duration, "hold": hold, "contrast": contrast, "seed": seed}
    return Stimulus(frames, screen, made.events, parameters)


def chirp(screen: Screen, *, contrast: float = 1.0, colour: Sequence[float] | None = None) -> Stimulus:
    """The chirp by which mouse ganglion cells are told apart (Baden et al. 2016, Nature 529); 33 s.

    A step from dark to bright and back, 0 to 8 Hz at full contrast, and 2 Hz at growing contrast; one frame late, as in
    the stimulus files of Höfling et al. 2024.

    Args:
        screen: what it is for.
        contrast: amplitude of all parts.
        colour: weight of each channel; all 1 if None.

    Raises:
        UserError: if the screen is too slow for 8 Hz.
    """
    check_frequency(screen, 8.0)
    late = 1 / screen.rate
    course = contrast * (chirp_levels(np.arange(screen.frames(CHIRP_SECONDS)) / screen.rate - late) - 127) / 127
    parts = (("dark", 0, 2), ("bright", 2, 5), ("dark", 5, 8), ("grey", 8, 10), ("frequency", 10, 18), ("grey", 18, 20))
    events: list[Event] = [
        (name, start + late, min(stop + late, CHIRP_SECONDS), {})
        for name, start, stop in (*parts, ("contrast", 20, 28), ("grey", 28, 30), ("dark", 30, 33))
    ]
    return make(screen, course, events, colour=colour, contrast=contrast)


def chirp_levels(time: np.ndarray) -> np.ndarray:
    """Grey levels of the chirp (0 to 254, 127 is grey) at times (s)."""
    level = np.zeros_like(time)
    for start, end, course in (
        (2, 5, lambda t: np.full_like(t, 254)),
        (8, 10, lambda t: np.full_like(t, 127)),
        (10, 18, lambda t: 127 + 127 * np.sin(np.pi * t**2)),
        (18, 20, lambda t: np.full_like(t, 127)),
        (20, 28, lambda t: 127 + 127 * t / 8 * np.sin(4 * np.pi * t)),
        (28, 30, lambda t: np.full_like(t, 127)),
    ):
        during = (time >= start - 1e-9) & (time < end - 1e-9)
        level[during] = course(time[during] - start)
    return level


def check_frequency(screen: Screen, frequency: float) -> None:
    """Refuse a frequency (Hz) that the screen cannot show."""
    if frequency > screen.rate / 2:
        raise UserError(f"a screen of {screen.rate:g} Hz cannot show {frequency:g} Hz: at most half its rate")


def _course(screen: Screen, seconds: float, events: Sequence[Event]) -> np.ndarray:
    """(time,): the contrast of each event while it lasts, grey otherwise."""
    course = np.zeros(screen.frames(seconds))
    for _, start, stop, parameters in events:
        course[screen.frames(start) : screen.frames(stop)] = parameters["contrast"]
    return course
