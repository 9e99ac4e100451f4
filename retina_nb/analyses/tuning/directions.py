"""Direction and orientation selectivity, with a permutation test."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Bool, Float

from retina_nb.analyses.presentations import AFTER_BAR, grey_rates, responses_to
from retina_nb.analyses.subjects import Subject, subject
from retina_nb.analyses.tuning.measures import mean_from, relative_difference, strongest
from retina_nb.errors import UserError
from retina_nb.representations import one_line
from retina_nb.stimuli import Screen, drifting_grating, moving_bar

EIGHT = tuple(range(0, 360, 45))


@one_line
@dataclass(frozen=True)
class DirectionTuning:
    """How neurons respond to motion in each direction.

    Directions are in degrees, 0 towards the right and 90 towards the top. The indices weigh each direction with the
    response above grey, negative ones as 0; they lie between 0 and 1, and are 0 for neurons that do not respond.

    Args:
        neurons: a row for each neuron: session and neuron.
        directions: those shown, evenly spaced over the circle.
        responses: events per second above the rate at grey.
        preferred_direction: angle of the sum of response vectors (degrees).
        dsi: its length as a part of the sum of the responses: 1 if a single direction drives the neuron.
        dsi_null: (preferred - null) / (preferred + null), of the direction with the strongest response and its
            opposite.
        p_direction: how probable so long a vector would be if direction did not matter; see `direction_tuning_p`.
        preferred_orientation: of the stripes or edges that drive the neuron most (degrees from 0, horizontal, below
            180; 90 is vertical), across the axis of motion, from the sum of vectors at twice the angle.
        osi: length of that sum as a part of the sum of the responses.
        osi_orthogonal: (preferred - orthogonal) / (preferred + orthogonal), of the axis of motion with the strongest
            response and the one across it.
        p_orientation: as `p_direction`, for the sum at twice the angle.
    """

    neurons: pd.DataFrame
    directions: Float[np.ndarray, " direction"]
    responses: Float[np.ndarray, "neuron direction"]
    preferred_direction: Float[np.ndarray, " neuron"]
    dsi: Float[np.ndarray, " neuron"]
    dsi_null: Float[np.ndarray, " neuron"]
    p_direction: Float[np.ndarray, " neuron"]
    preferred_orientation: Float[np.ndarray, " neuron"]
    osi: Float[np.ndarray, " neuron"]
    osi_orthogonal: Float[np.ndarray, " neuron"]
    p_orientation: Float[np.ndarray, " neuron"]

    def direction_selective(self, *, level: float = 0.01, index: float = 0.3) -> Bool[np.ndarray, " neuron"]:
        """Neurons whose preference is significant and strong: ``p_direction <= level`` and ``dsi >= index``."""
        return (self.p_direction <= level) & (self.dsi >= index)

    def orientation_selective(self, *, level: float = 0.01, index: float = 0.3) -> Bool[np.ndarray, " neuron"]:
        """Neurons that prefer an axis significantly and strongly, and no direction along it."""
        oriented = (self.p_orientation <= level) & (self.osi >= index)
        return oriented & ~self.direction_selective(level=level, index=index)

    def to_dataframe(self) -> pd.DataFrame:
        """A row for each neuron with its indices."""
        names = ["preferred_direction", "dsi", "dsi_null", "p_direction"]
        names += ["preferred_orientation", "osi", "osi_orthogonal", "p_orientation"]
        return self.neurons.assign(**{name: getattr(self, name) for name in names})


def bar_direction_tuning(
    model: Any,
    *,
    directions: Sequence[float] = EIGHT,
    speed: float = 1000.0,
    length: float = 300.0,
    contrast: float = 1.0,
    colour: Sequence[float] | None = None,
    window: float = 0.5,
    trials: int = 20,
    permutations: int = 2000,
    session: str | None = None,
    neurons: int | Iterable[int] | None = None,
    device: str | None = None,
    batch_size: int = 16,
    seed: int = 0,
) -> DirectionTuning:
    """Direction tuning to a bar as wide as the screen that crosses it in each direction (Baden et al. 2016).

    The response is the largest rate in any stretch of `window` seconds, in which a bar of 0.3 mm at 1 mm/s enters and
    leaves a receptive field.

    Args:
        model: a twin, ensemble, baseline or truth.
        directions: degrees, evenly spaced over the circle.
        speed: of the bar (µm/s).
        length: of the bar along its motion (µm).
        contrast: of the bar.
        colour: weight of each channel; all 1 if None.
        window: seconds.
        trials: simulated for the permutation test; see `direction_tuning_p`.
        permutations: of the test.
        session: whose neurons; all sessions' if None.
        neurons: their numbers; all if None.
        device: where to run the model.
        batch_size: stimuli shown at once.
        seed: fixes trials and permutations.

    Raises:
        UserError: if the directions are not evenly spaced, or neuron or stimulus do not fit the model.
    """
    watching, screen = subject(model, session=session, neurons=neurons, device=device), Screen.of(model)
    shown = _evenly_spaced(directions)
    bars = [
        moving_bar(screen, direction=one, speed=speed, width=None, length=length, contrast=contrast, colour=colour)
        for one in shown
    ]
    measure = strongest(max(screen.frames(window), 1))
    rates = responses_to(watching, bars, measure, batch_size=batch_size, after=AFTER_BAR)
    return _tuning(watching, shown, rates, window, trials, permutations, seed)


def grating_direction_tuning(
    model: Any,
    *,
    directions: Sequence[float] = EIGHT,
    wavelength: float = 600.0,
    frequency: float = 2.0,
    duration: float = 2.0,
    settle: float = 0.5,
    contrast: float = 1.0,
    colour: Sequence[float] | None = None,
    trials: int = 20,
    permutations: int = 2000,
    session: str | None = None,
    neurons: int | Iterable[int] | None = None,
    device: str | None = None,
    batch_size: int = 16,
    seed: int = 0,
) -> DirectionTuning:
    """Direction tuning to drifting sinusoidal gratings.

    The response is the mean rate over the grating once it has drifted for `settle` seconds.

    Args:
        model: a twin, ensemble, baseline or truth.
        directions: degrees, evenly spaced over the circle.
        wavelength: µm.
        frequency: cycles per second (Hz) at every point.
        duration: of each grating (s); after `settle`, whole cycles are best.
        settle: seconds after its start that do not count.
        contrast: amplitude.
        colour: weight of each channel; all 1 if None.
        trials: simulated for the permutation test; see `direction_tuning_p`.
        permutations: of the test.
        session: whose neurons; all sessions' if None.
        neurons: their numbers; all if None.
        device: where to run the model.
        batch_size: stimuli shown at once.
        seed: fixes trials and permutations.

    Raises:
        UserError: if the directions are not evenly spaced, nothing is left after `settle`, or neuron or stimulus do not
            fit the model.
    """
    watching, screen = subject(model, session=session, neurons=neurons, device=device), Screen.of(model)
    shown = _evenly_spaced(directions)
    options = {"wavelength": wavelength, "frequency": frequency, "duration": duration, "contrast": contrast}
    gratings = [drifting_grating(screen, direction=one, colour=colour, **options) for one in shown]
    rates = responses_to(watching, gratings, mean_from(screen.frames(settle)), batch_size=batch_size)
    return _tuning(watching, shown, rates, duration - settle, trials, permutations, seed)


def vector_sum(
    responses: Float[np.ndarray, "neuron direction"], directions: Float[np.ndarray, " direction"], *, cycles: int = 1
) -> tuple[Float[np.ndarray, " neuron"], Float[np.ndarray, " neuron"]]:
    """Angle (degrees) and length of the sum of response vectors, the latter as a part of the sum of responses.

    Args:
        responses: below 0 counts as 0.
        directions: degrees.
        cycles: 1 for directions, whose angle is from 0 to 360; 2 for axes, from 0 to 180.
    """
    weight = responses.clip(min=0)
    total = weight @ np.exp(1j * cycles * np.deg2rad(directions))
    whole = weight.sum(axis=1)
    length = np.divide(np.abs(total), whole, out=np.zeros_like(whole), where=whole > 1e-3)
    return np.rad2deg(np.angle(total)) % 360 / cycles, length


def direction_tuning_p(
    events: Float[np.ndarray, "neuron direction"],
    directions: Float[np.ndarray, " direction"],
    *,
    cycles: int = 1,
    trials: int = 20,
    permutations: int = 2000,
    seed: int = 0,
) -> Float[np.ndarray, " neuron"]:
    """How probable a vector sum so long would be if the direction did not matter.

    A model gives the same rate each time, so that without noise the smallest difference between directions, such as
    pixels make, would count as a preference. The test is therefore the experimenter's: as many trials as a recording
    has are drawn with Poisson noise from the model's rates, and directions are permuted over all presentations
    (directions x trials). p is the part of the permutations, the presentations as they are included, whose summed
    vector is at least as long. More trials find weaker preferences: p is what so many trials tell of a real cell.

    Args:
        events: expected number in a presentation of each direction; its noise is taken for Poisson's, also if the
            recording's responses were no counts.
        directions: degrees.
        cycles: 1 for directions, 2 for axes.
        trials: presentations of each direction.
        permutations: of the directions.
        seed: fixes trials and permutations.

    Raises:
        UserError: if there are no trials or permutations.
    """
    if trials < 1 or permutations < 1:
        raise UserError(f"the test needs at least one trial and one permutation, not {trials} and {permutations}")
    rng = np.random.default_rng(seed)
    counts = rng.poisson(np.repeat(events.clip(min=0), trials, axis=1)).astype(float)  # (neuron, presentation)
    vectors = np.repeat(np.exp(1j * cycles * np.deg2rad(directions)), trials)
    shuffled = rng.permuted(np.tile(vectors, (permutations, 1)), axis=1)  # (permutation, presentation)
    observed, by_chance = np.abs(counts @ vectors), np.abs(counts @ shuffled.T)
    # Sums of the same numbers in another order may differ in their last digits.
    return (1 + (by_chance >= observed[:, None] - 1e-9).sum(axis=1)) / (1 + permutations)


def _evenly_spaced(directions: Sequence[float]) -> Float[np.ndarray, " direction"]:
    shown = np.asarray(directions, dtype=float)
    turns = np.sort(shown % 360)
    gaps = np.diff(turns, append=turns[:1] + 360)
    if len(shown) < 4 or len(shown) % 4 or not np.allclose(gaps, 360 / len(shown)):
        raise UserError(f"directions must be 4, 8, 12 ... angles evenly spaced over the circle, not {list(directions)}")
    return shown


def _tuning(
    watching: Subject,
    directions: np.ndarray,
    rates: np.ndarray,
    seconds: float,
    trials: int,
    permutations: int,
    seed: int,
) -> DirectionTuning:
    responses = rates - grey_rates(watching)[:, None]
    preferred, dsi = vector_sum(responses, directions)
    axis, osi = vector_sum(responses, directions, cycles=2)
    order = np.argsort(directions % 360)
    around = responses[:, order].clip(min=0)
    half = len(order) // 2
    axes = around[:, :half] + around[:, half:]

    def p(cycles: int) -> np.ndarray:
        return direction_tuning_p(
            rates * seconds, directions, cycles=cycles, trials=trials, permutations=permutations, seed=seed
        )

    return DirectionTuning(
        neurons=watching.table(),
        directions=directions,
        responses=responses,
        preferred_direction=preferred,
        dsi=dsi,
        dsi_null=_against(around, half),
        p_direction=p(1),
        preferred_orientation=(axis + 90) % 180,
        osi=osi,
        osi_orthogonal=_against(axes, half // 2),
        p_orientation=p(2),
    )


def _against(responses: np.ndarray, steps: int) -> np.ndarray:
    """(best - other) / (best + other), where the other is so many steps on around the circle."""
    best = responses.argmax(axis=1)
    rows = np.arange(len(best))
    top, other = responses[rows, best], responses[rows, (best + steps) % responses.shape[1]]
    return relative_difference(top, other)
