"""Tuning to the speed of bars and to the temporal frequency, spatial frequency and contrast of gratings."""

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from jaxtyping import Float

from retina_nb.analyses.presentations import AFTER_BAR, grey_rates, responses_to
from retina_nb.analyses.subjects import Subject, subject
from retina_nb.analyses.tuning.curves import TuningCurve, rising
from retina_nb.analyses.tuning.measures import Measure, from_bin, strongest
from retina_nb.errors import UserError
from retina_nb.stimuli import Screen, Stimulus, drifting_grating, moving_bar

FOUR = (0, 90, 180, 270)


def speed_tuning(
    model: Any,
    *,
    speeds: Sequence[float] = (250, 500, 1000, 2000, 4000),
    directions: Sequence[float] = FOUR,
    length: float = 300.0,
    contrast: float = 1.0,
    colour: Sequence[float] | None = None,
    window: float = 0.1,
    session: str | None = None,
    neurons: int | Iterable[int] | None = None,
    device: str | None = None,
    batch_size: int = 16,
) -> TuningCurve:
    """The largest rate while a bar as wide as the screen crosses it, over the speed of the bar.

    Args:
        model: a twin, ensemble, baseline or truth.
        speeds: µm/s.
        directions: degrees; each neuron's curve is that of the one to which it responds most, ``direction`` of the
            curve's table of neurons.
        length: of the bar along its motion (µm).
        contrast: of the bar.
        colour: weight of each channel; all 1 if None.
        window: over which the rate is averaged (s).
        session: whose neurons; all sessions' if None.
        neurons: their numbers; all if None.
        device: where to run the model.
        batch_size: stimuli shown at once.

    Raises:
        UserError: if the speeds do not rise, there is no direction, or neuron or stimulus do not fit the model.
    """
    watching, screen = subject(model, session=session, neurons=neurons, device=device), Screen.of(model)
    measure = strongest(max(screen.frames(window), 1))

    def bar(speed: float, direction: float) -> Stimulus:
        options: dict[str, Any] = {"speed": speed, "direction": direction, "length": length}
        return moving_bar(screen, width=None, contrast=contrast, colour=colour, **options)

    values = rising(speeds, "speeds")
    bars = [bar(speed, direction) for speed in values for direction in _some(directions)]
    rates = responses_to(watching, bars, measure, batch_size=batch_size, after=AFTER_BAR)
    rates = rates.reshape(len(rates), len(values), len(directions))
    return _of_best_direction(
        watching, "speed", "µm/s", values, rates - grey_rates(watching)[:, None, None], directions
    )


def temporal_frequency_tuning(
    model: Any,
    *,
    frequencies: Sequence[float] = (0.5, 1, 2, 4, 8),
    wavelength: float = 600.0,
    directions: Sequence[float] = FOUR,
    duration: float = 2.0,
    settle: float = 0.5,
    contrast: float = 1.0,
    colour: Sequence[float] | None = None,
    session: str | None = None,
    neurons: int | Iterable[int] | None = None,
    device: str | None = None,
    batch_size: int = 16,
) -> TuningCurve:
    """The response to drifting gratings over their temporal frequency (Hz).

    The response is the larger of two numbers of a neuron: the mean rate above grey (F0), and the amplitude at the
    grating's frequency (F1). Which of them is larger, where each is largest, tells neurons that pool rectified inputs
    from those that follow the stripes (Skottun et al. 1991); ``modulation`` of the curve's table is F1 / F0, infinite
    for neurons whose mean rate does not rise.

    Args:
        model: a twin, ensemble, baseline or truth.
        frequencies: Hz, below half of the model's rate.
        wavelength: µm.
        directions: degrees; each neuron's curve is that of the one to which it responds most.
        duration: of each grating after `settle` (s), of which whole cycles count.
        settle: seconds after its start that do not count.
        contrast: amplitude.
        colour: weight of each channel; all 1 if None.
        session: whose neurons; all sessions' if None.
        neurons: their numbers; all if None.
        device: where to run the model.
        batch_size: stimuli shown at once.

    Raises:
        UserError: if the frequencies do not rise or are too high for the rate, a cycle is longer than the duration,
            there is no direction, or neuron or stimulus do not fit the model.
    """
    watching, screen = subject(model, session=session, neurons=neurons, device=device), Screen.of(model)
    values = rising(frequencies, "frequencies")
    conditions = [{"wavelength": wavelength, "frequency": frequency} for frequency in values]
    options = {"duration": duration + settle, "contrast": contrast, "colour": colour}
    f0, f1 = _grating_responses(watching, screen, conditions, _some(directions), settle, batch_size, options)
    return _of_best_harmonic(watching, "temporal frequency", "Hz", values, f0, f1, directions)


def spatial_frequency_tuning(
    model: Any,
    *,
    frequencies: Sequence[float] = (0.5, 1, 2, 4, 8),
    temporal_frequency: float = 2.0,
    directions: Sequence[float] = FOUR,
    duration: float = 2.0,
    settle: float = 0.5,
    contrast: float = 1.0,
    colour: Sequence[float] | None = None,
    session: str | None = None,
    neurons: int | Iterable[int] | None = None,
    device: str | None = None,
    batch_size: int = 16,
) -> TuningCurve:
    """The response to drifting gratings over their spatial frequency (cycles per mm), as `temporal_frequency_tuning`.

    Args:
        model: a twin, ensemble, baseline or truth.
        frequencies: cycles per mm on the retina, at most half a cycle per pixel.
        temporal_frequency: Hz.
        directions: degrees; each neuron's curve is that of the one to which it responds most.
        duration: of each grating after `settle` (s), of which whole cycles count.
        settle: seconds after its start that do not count.
        contrast: amplitude.
        colour: weight of each channel; all 1 if None.
        session: whose neurons; all sessions' if None.
        neurons: their numbers; all if None.
        device: where to run the model.
        batch_size: stimuli shown at once.

    Raises:
        UserError: as for `temporal_frequency_tuning`, or if the pixels are too large for a grating.
    """
    watching, screen = subject(model, session=session, neurons=neurons, device=device), Screen.of(model)
    values = rising(frequencies, "frequencies")
    if values[-1] > 500 / screen.pixel_um:
        raise UserError(
            f"gratings of {values[-1]:g} cycles per mm cannot be shown with pixels of {screen.pixel_um:g} µm: "
            f"the finest has {500 / screen.pixel_um:.3g}"
        )
    conditions = [{"wavelength": 1000 / frequency, "frequency": temporal_frequency} for frequency in values]
    options = {"duration": duration + settle, "contrast": contrast, "colour": colour}
    f0, f1 = _grating_responses(watching, screen, conditions, _some(directions), settle, batch_size, options)
    return _of_best_harmonic(watching, "spatial frequency", "cycles/mm", values, f0, f1, directions)


def contrast_tuning(
    model: Any,
    *,
    contrasts: Sequence[float] = (0.125, 0.25, 0.5, 1, 1.5, 2),
    wavelength: float = 400.0,
    frequency: float = 2.0,
    directions: Sequence[float] = FOUR,
    duration: float = 2.0,
    settle: float = 0.5,
    colour: Sequence[float] | None = None,
    session: str | None = None,
    neurons: int | Iterable[int] | None = None,
    device: str | None = None,
    batch_size: int = 16,
) -> TuningCurve:
    """The response to drifting gratings over their contrast, as `temporal_frequency_tuning`.

    `fit_naka_rushton` fits a saturating curve to it.

    Args:
        model: a twin, ensemble, baseline or truth.
        contrasts: amplitudes.
        wavelength: µm.
        frequency: Hz.
        directions: degrees; each neuron's curve is that of the one to which it responds most.
        duration: of each grating after `settle` (s), of which whole cycles count.
        settle: seconds after its start that do not count.
        colour: weight of each channel; all 1 if None.
        session: whose neurons; all sessions' if None.
        neurons: their numbers; all if None.
        device: where to run the model.
        batch_size: stimuli shown at once.

    Raises:
        UserError: if the contrasts do not rise, or as for `temporal_frequency_tuning`.
    """
    watching, screen = subject(model, session=session, neurons=neurons, device=device), Screen.of(model)
    values = rising(contrasts, "contrasts")
    conditions = [{"wavelength": wavelength, "frequency": frequency, "contrast": contrast} for contrast in values]
    options = {"duration": duration + settle, "colour": colour}
    f0, f1 = _grating_responses(watching, screen, conditions, _some(directions), settle, batch_size, options)
    return _of_best_harmonic(watching, "contrast", "", values, f0, f1, directions)


def harmonics(frequency: float, rate: float, first: int) -> Measure:
    """Mean rate (F0) and amplitude at a frequency (F1), over whole cycles from bin `first` on.

    Args:
        frequency: Hz.
        rate: bins per second (Hz).
        first: bins that do not count.
    """
    if frequency >= rate / 2:
        raise UserError(f"{frequency:g} Hz cannot be shown at {rate:g} frames per second: stay below {rate / 2:g} Hz")

    def measure(rates: Float[np.ndarray, "*shape time"]) -> Float[np.ndarray, "*shape 2"]:
        left = from_bin(rates, first)
        cycles = int(left.shape[-1] / rate * frequency + 1e-6)
        if not cycles:
            raise UserError(f"the gratings are shorter than a cycle of {frequency:g} Hz: lengthen the duration")
        left = left[..., : round(cycles * rate / frequency)]
        wave = np.exp(-2j * np.pi * frequency / rate * np.arange(left.shape[-1]))
        f0 = left.mean(axis=-1)
        f1 = 2 * np.abs((left - f0[..., None]) @ wave) / left.shape[-1]
        return np.stack([f0, f1], axis=-1)

    return measure


def _grating_responses(
    watching: Subject,
    screen: Screen,
    conditions: Sequence[dict[str, Any]],
    directions: Sequence[float],
    settle: float,
    batch_size: int,
    options: dict[str, Any],
) -> tuple[np.ndarray, np.ndarray]:
    """F0 above grey and F1 (neuron, condition, direction) of gratings of each condition."""
    made = []
    for condition in conditions:
        gratings = [drifting_grating(screen, direction=one, **condition, **options) for one in directions]
        measure = harmonics(condition["frequency"], screen.rate, screen.frames(settle))
        made.append(responses_to(watching, gratings, measure, batch_size=batch_size))
    f0, f1 = np.moveaxis(np.stack(made, axis=1), -1, 0)
    return f0 - grey_rates(watching)[:, None, None], f1


def _of_best_harmonic(
    watching: Subject,
    variable: str,
    unit: str,
    values: np.ndarray,
    f0: np.ndarray,
    f1: np.ndarray,
    directions: Sequence[float],
) -> TuningCurve:
    top0, top1 = f0.max(axis=(1, 2)), f1.max(axis=(1, 2))
    chosen = np.where((top1 > top0)[:, None, None], f1, f0)
    curve = _of_best_direction(watching, variable, unit, values, chosen, directions)
    modulation = np.divide(top1, top0, out=np.full_like(top1, np.inf), where=top0 > 1e-9)
    return TuningCurve(curve.neurons.assign(modulation=modulation), variable, unit, values, curve.responses)


def _of_best_direction(
    watching: Subject, variable: str, unit: str, values: np.ndarray, responses: np.ndarray, directions: Sequence[float]
) -> TuningCurve:
    """Each neuron's responses (neuron, value, direction) to the direction with the strongest one."""
    best = responses.max(axis=1).argmax(axis=1)
    neurons = watching.table().assign(direction=np.asarray(directions, dtype=float)[best])
    return TuningCurve(neurons, variable, unit, values, responses[np.arange(len(best)), :, best])


def _some(directions: Sequence[float]) -> Sequence[float]:
    if not len(directions):
        raise UserError("there is no direction in which to move: give one or more of directions=")
    return directions
