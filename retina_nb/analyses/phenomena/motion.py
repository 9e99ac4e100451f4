"""Phenomena of motion: anticipation, the response to a reversal, and sensitivity to the motion of objects."""

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from jaxtyping import Float

from retina_nb.analyses.phenomena.flashes import SIGNS, slope
from retina_nb.analyses.phenomena.result import Phenomenon, first_peak_bin, found, local_rates, peak, ratio
from retina_nb.analyses.presentations import grey_rates
from retina_nb.analyses.receptive_fields.centers import centers_or_found
from retina_nb.analyses.subjects import subject
from retina_nb.errors import UserError
from retina_nb.peaks import peak_place
from retina_nb.stimuli import Screen, Stimulus, motion_reversal, moving_bar, object_motion


def motion_anticipation(
    model: Any,
    *,
    speed: float = 500.0,
    length: float = 150.0,
    reach: float = 500.0,
    contrast: float = 2.0,
    centers: Float[np.ndarray, "neuron 2"] | None = None,
    session: str | None = None,
    neurons: int | Iterable[int] | None = None,
    device: str | None = None,
    batch_size: int = 16,
    seed: int = 0,
) -> Phenomenon:
    """How far ahead of a flashed bar a moving one is seen (Berry et al. 1999, Nature 398).

    A bar moves across the neuron to the right and to the left, and is flashed for a frame where it is half way. The
    score is the latency of the peak response to the flash less that to motion, from the moment at which the bar's
    middle is on the neuron, in milliseconds: above 0 if moving bars are seen early. The mean over both directions, so
    that an error in the neuron's place cancels. A peak is the first of at least half of the largest rate. NaN without
    a response to all three. Bright bars or dark ones, to whose flash the neuron responds more.

    Args:
        model: a twin, ensemble, baseline or truth.
        speed: of the bar (µm/s).
        length: of the bar along its motion (µm); it is as wide as the screen.
        reach: from where the bar starts to the neuron, and from there to where it ends (µm).
        contrast: of the bar.
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
    middle = screen.frames(reach / speed)

    def make(place: tuple[float, float]) -> list[Stimulus]:
        options: dict[str, Any] = {"speed": speed, "length": length, "width": None, "center": place}
        options["duration"] = 2 * middle / screen.rate
        made = []
        for sign in SIGNS:
            right, left = (moving_bar(screen, direction=one, contrast=sign * contrast, **options) for one in (0, 180))
            flashed = np.zeros_like(right.frames)
            flashed[:, middle] = right.frames[:, middle]
            made += [right, left, Stimulus(flashed, screen, right.events, right.parameters)]
        return made

    rates = local_rates(watching, places, make, batch_size=batch_size)
    rates = rates.reshape(len(rates), 2, 3, -1)
    dark = peak(rates[:, :, 2]).argmax(axis=1)
    rates = rates[np.arange(len(rates)), dark]
    lag = 1000 * (first_peak_bin(rates) - middle) / screen.rate  # (neuron, stimulus), ms
    lag[peak(rates) < 0.1] = np.nan
    measures = {"sign": 1 - 2 * dark, "flash_latency": lag[:, 2], "right_lag": lag[:, 0], "left_lag": lag[:, 1]}
    score = lag[:, 2] - lag[:, :2].mean(axis=1)
    return found(watching, "motion anticipation (ms)", score, measures, ("right", "left", "flash"), middle, rates)


def motion_reversal_response(
    model: Any,
    *,
    distances: Sequence[float] = (100.0, 150.0, 200.0, 250.0),
    speed: float = 1000.0,
    length: float = 150.0,
    contrast: float = 2.0,
    centers: Float[np.ndarray, "neuron 2"] | None = None,
    session: str | None = None,
    neurons: int | Iterable[int] | None = None,
    device: str | None = None,
    batch_size: int = 16,
    seed: int = 0,
) -> Phenomenon:
    """Whether a neuron responds to the reversal of a bar's motion itself (Schwartz et al. 2007, Neuron 55).

    A bar moves to the right, passes the neuron by some distance, and turns. A neuron that only sees the bar come back
    fires later the further away it turned; one that responds to the reversal fires at the same time for all. The score
    is 1 - the slope of the time of the peak after the reversal over the time until the bar is back on the neuron: 1
    for a response locked to the reversal, 0 for one locked to the bar; NaN if fewer than two reversals are followed by
    a response, a tenth of the largest rate or more, after the first 100 ms, which are of the motion before. Bright bars
    or dark ones, to which the neuron responds more.

    Args:
        model: a twin, ensemble, baseline or truth.
        distances: from the neuron to where the bar's middle turns (µm).
        speed: of the bar (µm/s).
        length: of the bar along its motion (µm); it is as wide as the screen.
        contrast: of the bar.
        centers: place (y, x) of each neuron in pixels from the middle of the top left one; from `find_centers` if None.
        session: whose neurons; all sessions' if None.
        neurons: their numbers; all if None.
        device: where to run the model.
        batch_size: stimuli shown at once.
        seed: of the search for centres.

    Raises:
        UserError: if there are fewer than two distances, a number is not possible, the centres do not fit, or neuron or
            stimulus do not fit the model.
    """
    if len(distances) < 2:
        raise UserError(f"a slope needs two distances or more, not distances={tuple(distances)}")
    watching, screen = subject(model, session=session, neurons=neurons, device=device), Screen.of(model)
    places = centers_or_found(watching, centers, seed=seed)
    before, after = 0.6, 0.6

    def make(place: tuple[float, float]) -> list[Stimulus]:
        options: dict[str, Any] = {"speed": speed, "length": length, "before": before, "after": after}
        turns = [(place[0], place[1] + screen.pixels(one)) for one in distances]
        return [
            motion_reversal(screen, direction=0, center=turn, contrast=sign * contrast, **options)
            for sign in SIGNS
            for turn in turns
        ]

    rates = local_rates(watching, places, make, batch_size=batch_size)
    rates = rates.reshape(len(rates), 2, len(distances), -1)
    start = screen.frames(before)
    since = start + screen.frames(0.1)
    dark = peak(rates[..., since:]).max(axis=2).argmax(axis=1)
    rates = rates[np.arange(len(rates)), dark]
    late = (peak_place(rates[..., since:]) + since - start) / screen.rate
    late[peak(rates[..., since:]) < np.maximum(0.1, 0.1 * rates.max(axis=-1))] = np.nan
    back = np.asarray(distances) / speed
    score = np.array([1 - slope(back, one) for one in late])
    measures = {"sign": 1 - 2 * dark}
    measures |= {f"peak_{one:g}": column for one, column in zip(distances, late.T, strict=True)}
    names = [f"{one:g} µm" for one in distances]
    return found(watching, "motion reversal response", score, measures, names, start, rates)


def object_motion_sensitivity(
    model: Any,
    *,
    diameter: float = 300.0,
    step: float = 50.0,
    grain: float = 50.0,
    duration: float = 3.0,
    contrast: float = 1.0,
    textures: int = 2,
    centers: Float[np.ndarray, "neuron 2"] | None = None,
    session: str | None = None,
    neurons: int | Iterable[int] | None = None,
    device: str | None = None,
    batch_size: int = 16,
    seed: int = 0,
) -> Phenomenon:
    """Whether a neuron prefers objects that move against their background (Ölveczky et al. 2003, Nature 423).

    A textured object on the neuron jitters; the background jitters on a path of its own (differential motion), or with
    the object (global motion, as when the eye moves). The score is (D - G) / (D + G) of the mean rates in both: 1 for
    an object motion cell, 0 for a neuron that cannot tell; NaN without a response.

    Args:
        model: a twin, ensemble, baseline or truth.
        diameter: of the object (µm).
        step: standard deviation of the random walk in a frame (µm).
        grain: standard deviation of the blur of the textures (µm).
        duration: of motion (s).
        contrast: standard deviation.
        textures: over how many textures and paths the mean is.
        centers: place (y, x) of each neuron in pixels from the middle of the top left one; from `find_centers` if None.
        session: whose neurons; all sessions' if None.
        neurons: their numbers; all if None.
        device: where to run the model.
        batch_size: stimuli shown at once.
        seed: of textures, paths, and the search for centres.

    Raises:
        UserError: if a number is not possible, the centres do not fit, or neuron or stimulus do not fit the model.
    """
    watching, screen = subject(model, session=session, neurons=neurons, device=device), Screen.of(model)
    places = centers_or_found(watching, centers, seed=seed)
    if textures < 1:
        raise UserError(f"textures must be at least 1, not {textures}")

    def make(place: tuple[float, float]) -> list[Stimulus]:
        options: dict[str, Any] = {"diameter": diameter, "step": step, "grain": grain, "contrast": contrast}
        options |= {"center": place, "duration": duration, "still": 0.1}
        return [
            object_motion(screen, differential=differential, seed=seed + texture, **options)
            for differential in (True, False)
            for texture in range(textures)
        ]

    rates = local_rates(watching, places, make, batch_size=batch_size)
    rates = rates.reshape(len(rates), 2, textures, -1)
    start = screen.frames(0.1)
    mean = rates[..., start:].mean(axis=(2, 3)) + grey_rates(watching)[:, None]
    score = ratio(mean[:, 0] - mean[:, 1], mean.sum(axis=1))
    measures = {"differential": mean[:, 0], "global": mean[:, 1]}
    return found(watching, "object motion sensitivity", score, measures, tuple(measures), start, rates[:, :, 0])
