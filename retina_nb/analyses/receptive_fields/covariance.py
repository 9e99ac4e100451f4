"""Spike-triggered covariance: the filters that an average misses, as those of ON-OFF and subunit cells."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import pandas as pd
from jaxtyping import Float, Int
from scipy.linalg import cholesky, eigh, eigvalsh, solve_triangular
from tqdm.auto import tqdm

from retina_nb.analyses.receptive_fields.reverse_correlation import (
    neuron_table,
    spike_triggered_averages,
)
from retina_nb.analyses.receptive_fields.windows import corners_of, seen_before
from retina_nb.analyses.subjects import chosen_neurons
from retina_nb.errors import UserError
from retina_nb.recording import Recording
from retina_nb.representations import one_line

_RIDGE = 1e-3  # of the mean stimulus variance, so that what was never shown has no variance to change
_BEYOND = 3  # standard deviations beyond the mean of the extreme eigenvalues of shifted responses
_LONG = 12  # neurons beyond which progress is shown
_APART = 5.0  # seconds that responses are shifted at least for the null


@one_line
@dataclass(frozen=True)
class SpikeTriggeredCovariance:
    """Stimulus directions along which responses change the variance, strongest first, for each neuron.

    Args:
        eigenvalues: relative change of the variance: above 0 the neuron responds to either sign (excitatory), below 0
            it is silenced by either sign.
        filters: the directions, of norm 1, in a window around each neuron; the last lag is the present.
        low, high: bounds beyond which an eigenvalue is significant: three standard deviations beyond the mean of the
            least and of the greatest of responses that are shifted in time.
        corners: top left pixel (y, x) of each neuron's window.
        rate: bins per second (Hz).
        neurons: a row for each: ``session`` and ``neuron``.
    """

    eigenvalues: Float[np.ndarray, "neuron filter"]
    filters: Float[np.ndarray, "neuron filter channel lag window_height window_width"]
    low: Float[np.ndarray, " neuron"]
    high: Float[np.ndarray, " neuron"]
    corners: Int[np.ndarray, "neuron 2"]
    rate: float
    neurons: pd.DataFrame

    @property
    def excitatory(self) -> Int[np.ndarray, " neuron"]:
        """How many directions raise the variance significantly, of those kept."""
        return (self.eigenvalues > self.high[:, None]).sum(axis=1)

    @property
    def suppressive(self) -> Int[np.ndarray, " neuron"]:
        """How many directions lower it significantly, of those kept."""
        return (self.eigenvalues < self.low[:, None]).sum(axis=1)

    def to_dataframe(self) -> pd.DataFrame:
        """A row for each neuron: numbers of significant directions, the ``strongest`` eigenvalue and the null."""
        strongest = np.take_along_axis(self.eigenvalues, np.abs(self.eigenvalues).argmax(axis=1)[:, None], axis=1)
        return self.neurons.assign(
            excitatory=self.excitatory,
            suppressive=self.suppressive,
            strongest=strongest[:, 0],
            low=self.low,
            high=self.high,
        )


def spike_triggered_covariance(
    recording: Recording,
    *,
    neurons: int | Iterable[int] | None = None,
    centers: Float[np.ndarray, "_ _"] | None = None,
    window: int = 5,
    lags: int = 8,
    filters: int = 6,
    shuffles: int = 6,
    split: str = "train",
    seed: int = 0,
) -> SpikeTriggeredCovariance:
    """How responses change the covariance of the stimulus before them (de Ruyter van Steveninck & Bialek 1988;
    Schwartz et al. 2006, J. Vision 6).

    The direction of the average is taken out first. Variances are relative to those of the stimulus, so that
    stimuli need not be white. Made for white noise; natural movies have directions that are hardly shown.

    Args:
        recording: a session, or what `record_noise` makes of a model.
        neurons: whose; all if None. A neuron takes a second or two.
        centers: place (y, x) of each neuron of the recording in pixels; by its spike-triggered average, which cells
            that respond to both polarities have not, if None.
        window: side of the square around a neuron (pixels); it is moved to stay on the screen.
        lags: bins of history, the present included.
        filters: directions to keep: half of them are the greatest, half the least.
        shuffles: shifts of the responses in time that make the null, two or more.
        split: the bins whose responses count.
        seed: fixes the null.

    Raises:
        UserError: if the window is larger than the screen, centres are missing, a neuron does not exist or has no
            response, or there are too few bins or shuffles.
    """
    if shuffles < 2:
        raise UserError(f"shuffles={shuffles} make no null: use 2 or more")
    bins = recording.bins_with_history(split, lags - 1)
    apart = round(_APART * recording.rate)
    if len(bins) <= 2 * apart:
        raise UserError(f"session {recording.session} has {len(bins)} {split} bins, more than {2 * apart} are needed")
    chosen = chosen_neurons(neurons, recording.n_neurons, f"session {recording.session}")
    silent = chosen[recording.responses[np.ix_(bins, chosen)].sum(axis=0) <= 0]
    if len(silent):
        raise UserError(
            f"session {recording.session}: neuron {silent[0]} does not respond in {split} bins, leave it out"
        )
    places = spike_triggered_averages(recording, lags=lags, split=split).centers if centers is None else centers
    corners = corners_of(recording, places, window)
    half = (filters + 1) // 2
    values, vectors, null = [], [], []
    for neuron in tqdm(chosen, disable=len(chosen) <= _LONG, leave=False):
        white, back = _whitened(seen_before(recording, bins, lags, corners[neuron], window))
        weights = recording.responses[bins, neuron].astype(np.float64)
        found, directions = eigh(_change(white, weights))
        kept = np.r_[0:half, len(found) - half : len(found)][::-1]
        directions = solve_triangular(back, directions[:, kept], trans="T", lower=True)
        values.append(found[kept])
        vectors.append((directions / np.linalg.norm(directions, axis=0)).T)
        # The null of a neuron does not depend on which others are asked for.
        shifts = np.random.default_rng([seed, neuron]).integers(apart, len(bins) - apart, shuffles)
        null.append([eigvalsh(_change(white, np.roll(weights, shift)))[[0, -1]] for shift in shifts])
    shape = (recording.movie.frame_shape[0], lags, window, window)
    extremes = np.array(null)  # (neuron, shuffle, least or greatest)
    margin = _BEYOND * extremes.std(axis=1, ddof=1)
    low, high = (extremes.mean(axis=1) + margin * [-1, 1]).T
    return SpikeTriggeredCovariance(
        np.stack(values),
        np.stack(vectors).reshape(len(values), -1, *shape),
        low,
        high,
        corners[chosen],
        recording.rate,
        neuron_table(recording).iloc[chosen].reset_index(drop=True),
    )


def _whitened(seen: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """What was seen, with the identity for its covariance, and the lower triangle that turns it back."""
    seen = seen - seen.mean(axis=0)
    covariance = (seen.T @ seen / len(seen)).astype(np.float64)
    ridge = _RIDGE * np.trace(covariance) / len(covariance) * np.eye(len(covariance))
    back = cholesky(covariance + ridge, lower=True)
    return solve_triangular(back, seen.T, lower=True).T.astype(np.float32), back


def _change(white: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """How weights change the covariance, along all directions but that of the average."""
    weights = (weights / weights.sum()).astype(np.float32)
    change = ((white * (weights - np.float32(1 / len(white)))[:, None]).T @ white).astype(np.float64)
    average = (weights @ white).astype(np.float64)
    along = average / max(np.linalg.norm(average), 1e-12)
    change -= np.outer(along, along @ change)
    return change - np.outer(change @ along, along)
