"""Phenomena of pattern and contrast: frequency doubling, polarity reversal, contrast adaptation."""

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from jaxtyping import Float

from retina_nb.analyses.phenomena.flashes import SIGNS
from retina_nb.analyses.phenomena.result import Phenomenon, found, local_rates, peak, ratio
from retina_nb.analyses.presentations import grey_rates, responses_to
from retina_nb.analyses.receptive_fields.centers import centers_or_found
from retina_nb.analyses.subjects import subject
from retina_nb.analyses.tuning.measures import relative_difference
from retina_nb.analyses.tuning.motion import harmonics
from retina_nb.errors import UserError
from retina_nb.stimuli import Screen, Stimulus, aperture, drifting_grating, reversing_grating, spot


def frequency_doubling(
    model: Any,
    *,
    wavelength: float = 250.0,
    frequency: float = 2.0,
    phases: int = 12,
    cycles: int = 3,
    contrast: float = 1.0,
    colour: Sequence[float] | None = None,
    session: str | None = None,
    neurons: int | Iterable[int] | None = None,
    device: str | None = None,
    batch_size: int = 16,
) -> Phenomenon:
    """Whether a neuron responds to both reversals of a grating at its null phase (Hochstein & Shapley 1976, J. Physiol.
    262).

    Gratings in place, whose contrast reverses sinusoidally, are shown at many phases. A neuron that adds up light (X)
    has a phase at which it does not respond at all; one that adds up rectified subunits (Y) responds there at twice
    the frequency. The score is F2 / (F2 + max F1), F2 being the amplitude at twice the frequency at the phase with the
    smallest F1, and max F1 the largest amplitude at the frequency itself: 0 for a linear neuron, 0.5 for as large a
    doubled response as there is a followed one, 1 if the neuron never follows; NaN without a response.

    Args:
        model: a twin, ensemble, baseline or truth.
        wavelength: µm per cycle.
        frequency: of the reversal (Hz).
        phases: how many, evenly over half a cycle of space.
        cycles: of the reversal that count, after a first one that does not.
        contrast: amplitude.
        colour: weight of each channel; all 1 if None.
        session: whose neurons; all sessions' if None.
        neurons: their numbers; all if None.
        device: where to run the model.
        batch_size: stimuli shown at once.

    Raises:
        UserError: if there are fewer than two phases, the model is too slow for twice the frequency, or neuron or
            stimulus do not fit the model.
    """
    watching, screen = subject(model, session=session, neurons=neurons, device=device), Screen.of(model)
    if phases < 2:
        raise UserError(f"a null phase is searched among two phases or more, not {phases}")
    options: dict[str, Any] = {"wavelength": wavelength, "frequency": frequency, "contrast": contrast, "colour": colour}
    options["duration"] = (cycles + 1) / frequency
    degrees = 180 * np.arange(phases) / phases
    gratings = [reversing_grating(screen, phase=float(one), **options) for one in degrees]
    rates = responses_to(watching, gratings, lambda rates: rates, batch_size=batch_size)
    first = screen.frames(1 / frequency)
    f1, f2 = (harmonics(n * frequency, screen.rate, first)(rates)[..., 1] for n in (1, 2))
    null, best, cell = f1.argmin(axis=1), f1.argmax(axis=1), np.arange(len(rates))
    doubled, followed = f2[cell, null], f1[cell, best]
    score = ratio(doubled, doubled + followed)
    measures = {"f2_null": doubled, "f1_best": followed, "null_phase": degrees[null]}
    shown = np.stack([rates[cell, best], rates[cell, null]], axis=1) - grey_rates(watching)[:, None, None]
    return found(watching, "frequency doubling", score, measures, ("best phase", "null phase"), 0, shown)


def polarity_reversal(
    model: Any,
    *,
    diameter: float = 200.0,
    surround: float = 400.0,
    wavelength: float = 300.0,
    delay: float = 0.1,
    contrast: float = 1.0,
    centers: Float[np.ndarray, "neuron 2"] | None = None,
    session: str | None = None,
    neurons: int | Iterable[int] | None = None,
    device: str | None = None,
    batch_size: int = 16,
    seed: int = 0,
) -> Phenomenon:
    """Whether a shift of the periphery turns an ON neuron OFF, or the other way round (Geffen et al. 2007, PLoS Biol.
    5).

    A bright and a dark spot on the neuron, with and without a shift of a grating around by half a wavelength shortly
    before. The ON-OFF index (on - off) / (on + off) is of the largest rates above those without a spot. The score is
    by how much the shift moves the index to the other sign, as a part of twice its size before: 0 if it does not, 1 if
    the polarity is reversed, below 0 if it is enhanced; NaN for neurons whose index without a shift is below 0.2.

    Args:
        model: a twin, ensemble, baseline or truth.
        diameter: of the spot (µm).
        surround: diameter inside which there is no grating (µm).
        wavelength: of the grating (µm).
        delay: from the shift to the spot (s).
        contrast: of the spot and of the grating.
        centers: place (y, x) of each neuron in pixels from the middle of the top left one; from `find_centers` if None.
        session: whose neurons; all sessions' if None.
        neurons: their numbers; all if None.
        device: where to run the model.
        batch_size: stimuli shown at once.
        seed: of the search for centres.

    Raises:
        UserError: if a number is not possible, the centres do not fit, or neuron or stimulus do not fit the model.
    """
    watching, screen = subject(model, session=session, neurons=neurons, device=device), Screen.of(model)
    places = centers_or_found(watching, centers, seed=seed)
    before, lasts, after = 0.1, 0.2, 0.3
    total = before + delay + lasts + after
    shifts = np.where(np.arange(screen.frames(total)) < screen.frames(before), -1, 1)[:, None, None]

    def make(place: tuple[float, float]) -> list[Stimulus]:
        grating = drifting_grating(
            screen, direction=0, wavelength=wavelength, frequency=0, duration=total, contrast=contrast
        )
        around = grating.frames - aperture(grating, diameter=surround, center=place).frames
        options: dict[str, Any] = {"diameter": diameter, "center": place, "before": before + delay, "after": after}
        spots = [spot(screen, contrast=one * contrast, duration=lasts, **options) for one in (0, *SIGNS)]
        made = [(one.frames + background, one) for background in (around, shifts * around) for one in spots]
        return [Stimulus(frames.astype(np.float32), screen, one.events, one.parameters) for frames, one in made]

    rates = local_rates(watching, places, make, batch_size=batch_size).reshape(len(places), 2, 3, -1)
    start = screen.frames(before + delay)
    on, off = np.moveaxis(peak(rates[:, :, 1:, start:] - rates[:, :, :1, start:]), -1, 0)
    index = relative_difference(on, off)  # (neuron, without or with the shift)
    moved = np.where(np.abs(index[:, 0]) < 0.2, np.nan, index[:, 0])
    measures = {"index_without": index[:, 0], "index_with": index[:, 1]}
    names = [f"{spot}{shift}" for shift in ("", ", shift") for spot in ("no spot", "bright", "dark")]
    shown = rates.reshape(len(rates), 6, -1)
    return found(watching, "polarity reversal", (moved - index[:, 1]) / (2 * moved), measures, names, start, shown)


def contrast_adaptation(
    model: Any,
    *,
    low: float = 0.7,
    high: float = 2.0,
    wavelength: float = 600.0,
    phases: int = 4,
    duration: float = 40.0,
    memory: float = 0.5,
    session: str | None = None,
    neurons: int | Iterable[int] | None = None,
    device: str | None = None,
    batch_size: int = 2,
    seed: int = 0,
) -> Phenomenon:
    """How much gain a neuron loses when contrast is high (Baccus & Meister 2002, Neuron 36; the fast part).

    The contrast of a grating in place follows Gaussian noise, the same at low and at high contrast. A temporal filter
    is fitted to the neuron's rates, and the nonlinearity that follows it at each contrast. Without adaptation both are
    the same curve over the filtered stimulus, whatever subunits the grating drives; with it, that of high contrast is
    stretched. The score is 1 - g, where g is the factor by which the filtered stimulus is multiplied at high contrast
    so that both curves agree best: 0 without adaptation. The phase of the grating is that at which filter and
    nonlinearity explain most of the variance at low contrast; NaN if that is less than 0.8, as in neurons that respond
    to both polarities.

    Args:
        model: a twin, ensemble, baseline or truth.
        low, high: contrasts, standard deviations of the noise where the grating is brightest.
        wavelength: of the grating (µm).
        phases: how many, evenly over half a cycle.
        duration: of the noise (s).
        memory: length of the filter (s).
        session: whose neurons; all sessions' if None.
        neurons: their numbers; all if None.
        device: where to run the model.
        batch_size: stimuli shown at once.
        seed: of the noise.

    Raises:
        UserError: if low is not below high, the noise is too short for the filter, or neuron or stimulus do not fit the
            model.
    """
    watching, screen = subject(model, session=session, neurons=neurons, device=device), Screen.of(model)
    if not 0 < low < high:
        raise UserError(f"contrasts must be above 0 and rise, not low={low} and high={high}")
    if duration < 10 * memory:
        raise UserError(f"a filter of {memory} s needs noise of {10 * memory:g} s or more, not {duration}")
    course = np.random.default_rng(seed).standard_normal(screen.frames(duration)).astype(np.float32)
    degrees = 180 * np.arange(phases) / phases
    stimuli = [_flickering(screen, wavelength, one, contrast * course) for one in degrees for contrast in (low, high)]
    rates = watching.show(np.stack(stimuli), batch_size=batch_size).astype(np.float64) * watching.rate
    rates = rates.reshape(phases, 2, len(course), -1).transpose(0, 3, 1, 2)  # (phase, neuron, contrast, time)
    seen = np.lib.stride_tricks.sliding_window_view(course, screen.frames(memory))
    fits = [[_gain(seen, cell[:, -len(seen) :], high / low) for cell in phase] for phase in rates]
    gains, explained = np.array(fits).transpose(2, 0, 1)
    best, cell = explained.argmax(axis=0), np.arange(rates.shape[1])
    gain, explained = gains[best, cell], explained[best, cell]
    measures = {"gain": gain, "explained": explained, "phase": degrees[best]}
    shown = rates[best, cell] - grey_rates(watching)[:, None, None]
    score = np.where(explained < 0.8, np.nan, 1 - gain)
    return found(watching, "contrast adaptation", score, measures, ("low", "high"), 0, shown)


def _flickering(screen: Screen, wavelength: float, phase: float, course: np.ndarray) -> np.ndarray:
    """(channel, time, height, width): a grating at a phase (degrees) whose contrast follows a course."""
    options: dict[str, Any] = {"wavelength": wavelength, "phase": phase, "duration": 1 / screen.rate}
    still = drifting_grating(screen, direction=0, frequency=0, **options).frames
    return (still * course[:, None, None]).astype(np.float32)


def _gain(seen: np.ndarray, rates: np.ndarray, contrast: float) -> tuple[float, float]:
    """Relative gain at high contrast, and the variance that filter and nonlinearity explain at low contrast.

    Args:
        seen: recent stimulus of contrast 1 (time, lag).
        rates: at low and at high contrast (2, time).
        contrast: the high one, as a part of the low one.
    """
    low, high = rates
    if min(low.std(), high.std()) < 1e-3:
        return np.nan, 0.0
    design = np.column_stack([seen, np.ones(len(seen))])
    # Under Gaussian noise the filter is found whatever nonlinearity follows (Bussgang); both contrasts count alike.
    both = low / low.std() + high / high.std()
    weights = np.linalg.lstsq(design, both, rcond=None)[0][:-1]
    filtered = seen @ weights
    order = np.argsort(filtered)
    groups = np.array_split(order, 20)
    places, curve = (np.array([values[group].mean() for group in groups]) for values in (filtered, low))
    explained = 1 - (low - np.interp(filtered, places, curve)).var() / low.var()
    gains = np.linspace(0.2, 1.5, 131)
    errors = []
    for gain in gains:
        stretched = gain * contrast * filtered
        inside = (stretched >= places[0]) & (stretched <= places[-1])
        errors.append(np.square(high[inside] - np.interp(stretched[inside], places, curve)).mean())
    return float(gains[np.argmin(errors)]), float(explained)
