"""Phenomena of flashes: latency coding, paired-flash suppression and the response to an omitted flash."""

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from jaxtyping import Float

from retina_nb.analyses.phenomena.result import Phenomenon, crossing_bin, found, local_rates, peak, ratio
from retina_nb.analyses.receptive_fields.centers import centers_or_found
from retina_nb.analyses.subjects import subject
from retina_nb.analyses.tuning.curves import rising
from retina_nb.peaks import peak_place
from retina_nb.stimuli import Screen, Stimulus, aperture, flash_train, spot

SIGNS = (1, -1)
# Seconds of grey before the first flash, of which only what the event needs is measured.
BEFORE = 0.1
# Seconds after the last event in which responses are looked for.
AFTER = 0.5


def latency_coding(
    model: Any,
    *,
    contrasts: Sequence[float] = (0.25, 0.5, 1.0, 2.0),
    diameter: float = 200.0,
    duration: float = 0.5,
    level: float = 0.1,
    centers: Float[np.ndarray, "neuron 2"] | None = None,
    session: str | None = None,
    neurons: int | Iterable[int] | None = None,
    device: str | None = None,
    batch_size: int = 16,
    seed: int = 0,
) -> Phenomenon:
    """How much earlier a neuron fires to stronger spots (Gollisch & Meister 2008, Science 319).

    The latency is the time from the onset of a spot on the neuron until its rate first is above grey by `level` of its
    largest response to any contrast. The score is by how many milliseconds it falls per doubling of contrast, a
    straight line through the contrasts at which there is a latency; NaN if there are fewer than two. Bright spots or
    dark ones, to which the neuron responds more.

    Args:
        model: a twin, ensemble, baseline or truth.
        contrasts: of the spots, rising.
        diameter: of the spots (µm).
        duration: of the spots (s).
        level: part of the largest response that counts as one.
        centers: place (y, x) of each neuron in pixels from the middle of the top left one; from `find_centers` if None.
        session: whose neurons; all sessions' if None.
        neurons: their numbers; all if None.
        device: where to run the model.
        batch_size: stimuli shown at once.
        seed: of the search for centres.

    Raises:
        UserError: if the contrasts do not rise, the centres do not fit, or neuron or stimulus do not fit the model.
    """
    watching, screen = subject(model, session=session, neurons=neurons, device=device), Screen.of(model)
    values = rising(contrasts, "contrasts")
    places = centers_or_found(watching, centers, seed=seed)

    def make(place: tuple[float, float]) -> list[Stimulus]:
        options: dict[str, Any] = {"diameter": diameter, "center": place, "duration": duration, "before": BEFORE}
        return [spot(screen, contrast=sign * value, after=0.0, **options) for sign in SIGNS for value in values]

    rates = local_rates(watching, places, make, batch_size=batch_size)
    rates, sign = of_stronger_sign(rates.reshape(len(rates), 2, len(values), -1))
    start = screen.frames(BEFORE)
    since = rates[..., start:]
    latency = crossing_bin(since, np.repeat(level * peak(since).max(axis=1)[:, None], len(values), 1)) / screen.rate
    latency[peak(since).max(axis=1) < 0.1] = np.nan
    score = np.array([-1000 * slope(np.log2(values), one) for one in latency])
    measures = {"sign": sign, **{f"latency_{value:g}": column for value, column in zip(values, latency.T, strict=True)}}
    return found(
        watching, "latency advance (ms per doubling of contrast)", score, measures, values.tolist(), start, rates
    )


def paired_flash_suppression(
    model: Any,
    *,
    interval: float = 0.2,
    diameter: float = 200.0,
    duration: float = 0.1,
    contrast: float = 1.0,
    centers: Float[np.ndarray, "neuron 2"] | None = None,
    session: str | None = None,
    neurons: int | Iterable[int] | None = None,
    device: str | None = None,
    batch_size: int = 16,
    seed: int = 0,
) -> Phenomenon:
    """How much a flash lowers the response to a second one (as in Maheswaranathan et al. 2023, Neuron 111).

    The second response is the largest rate in half a second since the second flash, less that to the first flash alone.
    The score is 1 - second / first: 0 without suppression, 1 if there is no second response, below 0 if it is enhanced;
    NaN without a first response. Bright flashes or dark ones, to which the neuron responds more.

    Args:
        model: a twin, ensemble, baseline or truth.
        interval: from the start of one flash to that of the other (s).
        diameter: of the flashed spot on the neuron (µm).
        duration: of each flash (s).
        contrast: of both.
        centers: place (y, x) of each neuron in pixels from the middle of the top left one; from `find_centers` if None.
        session: whose neurons; all sessions' if None.
        neurons: their numbers; all if None.
        device: where to run the model.
        batch_size: stimuli shown at once.
        seed: of the search for centres.

    Raises:
        UserError: if the flashes are longer than the interval, the centres do not fit, or neuron or stimulus do not fit
            the model.
    """
    watching, screen = subject(model, session=session, neurons=neurons, device=device), Screen.of(model)
    places = centers_or_found(watching, centers, seed=seed)

    def make(place: tuple[float, float]) -> list[Stimulus]:
        options: dict[str, Any] = {"period": interval, "flashes": 2, "duration": duration, "before": BEFORE}
        trains = [
            flash_train(screen, omitted=omitted, contrast=sign * contrast, after=AFTER - interval, **options)
            for sign in SIGNS
            for omitted in ((1,), ())
        ]
        return [aperture(train, diameter=diameter, center=place) for train in trains]

    rates = local_rates(watching, places, make, batch_size=batch_size)
    rates, sign = of_stronger_sign(rates.reshape(len(rates), 2, 2, -1))
    start = screen.frames(BEFORE)
    second_start = screen.frames(BEFORE + interval)
    first = peak(rates[:, 0, start : second_start + screen.frames(duration)])
    second = peak((rates[:, 1] - rates[:, 0])[:, second_start:])
    score = 1 - ratio(second, first)
    measures = {"sign": sign, "first": first, "second": second}
    return found(watching, "paired-flash suppression", score, measures, ("first alone", "both"), start, rates)


def omitted_stimulus_response(
    model: Any,
    *,
    periods: Sequence[float] = (0.1, 2 / 15, 1 / 6),
    flashes: int = 12,
    duration: float = 1 / 30,
    diameter: float = 200.0,
    contrast: float = 2.0,
    centers: Float[np.ndarray, "neuron 2"] | None = None,
    session: str | None = None,
    neurons: int | Iterable[int] | None = None,
    device: str | None = None,
    batch_size: int = 16,
    seed: int = 0,
) -> Phenomenon:
    """Whether a neuron responds to the flash that is missing at the end of a train (Schwartz et al. 2007, Nat.
    Neurosci. 10).

    The omitted response is the largest rate in half a second since the missing flash was due, less the largest in the
    train's last two periods, at least 0. The score is the omitted response to the shortest period as a part of the
    neuron's largest rate in any train: 0 if the end adds nothing to the response to flashes, 1 if nothing drives the
    neuron more; NaN if it does not respond. Bright flashes or dark ones, of which the omission drives it more.

    ``timing`` is by how much later after the last flash the omitted response peaks for each second that the period is
    longer: 1 if the neuron tells when the flash was due, as in salamander and mouse, 0 if it only sees the end; NaN
    unless there is an omitted response at two periods or more.

    Args:
        model: a twin, ensemble, baseline or truth.
        periods: from flash to flash (s), rising.
        flashes: in a train.
        duration: of each flash (s).
        diameter: of the flashed spot on the neuron (µm).
        contrast: of the flashes.
        centers: place (y, x) of each neuron in pixels from the middle of the top left one; from `find_centers` if None.
        session: whose neurons; all sessions' if None.
        neurons: their numbers; all if None.
        device: where to run the model.
        batch_size: stimuli shown at once.
        seed: of the search for centres.

    Raises:
        UserError: if the periods do not rise or are shorter than a flash, the centres do not fit, or neuron or stimulus
            do not fit the model.
    """
    watching, screen = subject(model, session=session, neurons=neurons, device=device), Screen.of(model)
    values = rising(periods, "periods")
    places = centers_or_found(watching, centers, seed=seed)
    longest = flashes * values[-1]

    def make(place: tuple[float, float]) -> list[Stimulus]:
        options: dict[str, Any] = {"flashes": flashes, "duration": duration, "after": AFTER}
        trains = [
            flash_train(
                screen, period=one, contrast=sign * contrast, before=BEFORE + longest - flashes * one, **options
            )
            for sign in SIGNS
            for one in values
        ]
        return [aperture(train, diameter=diameter, center=place) for train in trains]

    rates = local_rates(watching, places, make, batch_size=batch_size)
    rates = rates.reshape(len(rates), 2, len(values), -1)
    due = screen.frames(BEFORE + longest)  # when the missing flash would begin, in all trains
    train = np.stack(
        [peak(rates[:, :, n, due - 2 * screen.frames(one) : due]) for n, one in enumerate(values)], axis=-1
    )
    omitted = (peak(rates[..., due:]) - train).clip(min=0)  # (neuron, sign, period)
    sign, cell = omitted[..., 0].argmax(axis=1), np.arange(len(rates))
    score = ratio(omitted[cell, sign, 0], peak(rates).max(axis=(1, 2)))
    late = np.array(values) + peak_place(rates[..., due:])[cell, sign] / screen.rate  # since the last flash
    late[omitted[cell, sign] < 0.1] = np.nan
    measures = {
        "sign": 1 - 2 * sign,
        "omitted": omitted[cell, sign, 0],
        "train": train[cell, sign, 0],
        "timing": np.array([slope(values, one) for one in late]),
    }
    names = [f"{1000 * one:.0f} ms" for one in values]
    return found(watching, "omitted stimulus response", score, measures, names, due, rates[cell, sign])


def of_stronger_sign(
    rates: Float[np.ndarray, "neuron 2 condition time"],
) -> tuple[Float[np.ndarray, "neuron condition time"], np.ndarray]:
    """Each neuron's rates to bright or to dark, to which it responds more, and which it is (1 or -1)."""
    dark = rates.max(axis=(2, 3)).argmax(axis=1)
    return rates[np.arange(len(rates)), dark], 1 - 2 * dark


def slope(values: np.ndarray, latencies: np.ndarray) -> float:
    """Of a straight line through the latencies that there are; NaN if they are fewer than two."""
    there = np.isfinite(latencies)
    return float(np.polyfit(values[there], latencies[there], 1)[0]) if there.sum() > 1 else np.nan
