"""What every experiment on a phenomenon gives: a score for each neuron, and the responses it was read from."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Float

from retina_nb.analyses.presentations import grey_rates, local_responses
from retina_nb.analyses.subjects import Subject
from retina_nb.peaks import peak_place
from retina_nb.representations import one_line
from retina_nb.stimuli import Stimulus


@one_line
@dataclass(frozen=True)
class Phenomenon:
    """A phenomenon of the retina in every neuron.

    Args:
        name: of the score, with its unit if it has one.
        neurons: a row for each neuron: session and neuron.
        score: defined by the experiment; NaN for neurons that do not respond as it needs.
        measures: what the score is made of, a row for each neuron.
        conditions: names of the stimuli.
        seconds: time of each bin (s), 0 where the experiment's event is.
        rates: above grey (events per second).
    """

    name: str
    neurons: pd.DataFrame
    score: Float[np.ndarray, " neuron"]
    measures: pd.DataFrame
    conditions: tuple[str, ...]
    seconds: Float[np.ndarray, " time"]
    rates: Float[np.ndarray, "neuron condition time"]

    def to_dataframe(self) -> pd.DataFrame:
        """A row for each neuron: ``score`` and the measures."""
        return pd.concat([self.neurons.assign(score=self.score), self.measures], axis=1)


def local_rates(
    watching: Subject,
    centers: Float[np.ndarray, "neuron 2"],
    make: Callable[[tuple[float, float]], list[Stimulus]],
    *,
    batch_size: int,
) -> Float[np.ndarray, "neuron condition time"]:
    """Rates above grey (events per second) to stimuli at each neuron's own place."""
    rates = local_responses(watching, centers, make, lambda rates: rates, batch_size=batch_size)
    return rates - grey_rates(watching)[:, None, None]


def found(
    watching: Subject,
    name: str,
    score: np.ndarray,
    measures: Mapping[str, np.ndarray],
    conditions: Sequence[Any],
    start: int,
    rates: np.ndarray,
) -> Phenomenon:
    """The result, whose time begins at bin `start`."""
    seconds = (np.arange(rates.shape[-1]) - start) / watching.rate
    return Phenomenon(
        name, watching.table(), score, pd.DataFrame(measures), tuple(map(str, conditions)), seconds, rates
    )


def peak(rates: Float[np.ndarray, "*shape time"]) -> Float[np.ndarray, "*shape"]:
    """The largest rate, at least 0."""
    return rates.max(axis=-1).clip(min=0)


def first_peak_bin(rates: Float[np.ndarray, "*shape time"], part: float = 0.5) -> Float[np.ndarray, "*shape"]:
    """When the rate has its first peak of at least a part of the largest rate, in bins and parts of them.

    In cells that respond to both edges of a bar, the first is that of the leading one.
    """
    inner = rates[..., 1:-1]
    peaks = (inner >= rates[..., :-2]) & (inner >= rates[..., 2:]) & (inner >= part * rates.max(-1, keepdims=True))
    first = np.where(peaks.any(axis=-1), peaks.argmax(axis=-1) + 1, rates.argmax(axis=-1))
    after = np.arange(rates.shape[-1]) > first[..., None] + 1
    return peak_place(np.where(after, rates.min(axis=-1, keepdims=True), rates))


def crossing_bin(
    rates: Float[np.ndarray, "*shape time"], level: Float[np.ndarray, "*shape"]
) -> Float[np.ndarray, "*shape"]:
    """When the rate first reaches a level, in bins and parts of them; NaN if it never does."""
    above = rates >= level[..., None]
    first = above.argmax(axis=-1)
    at = np.take_along_axis(rates, first[..., None], -1)[..., 0]
    before = np.take_along_axis(rates, (first - 1).clip(min=0)[..., None], -1)[..., 0]
    part = np.divide(at - level, at - before, out=np.zeros_like(at), where=at > before)
    return np.where(above.any(axis=-1) & (level > 0), first - part.clip(0, 1), np.nan)


def ratio(a: Float[np.ndarray, "*shape"], b: Float[np.ndarray, "*shape"], least: float = 0.1) -> np.ndarray:
    """a / b, and NaN where b is less than `least` events per second: no response to compare with."""
    return np.divide(a, b, out=np.full(np.shape(b), np.nan), where=b >= least)
