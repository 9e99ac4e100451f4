"""Which cells vary together: because of the stimulus (signal), or from trial to trial (noise)."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import torch
from jaxtyping import Float

from retina_nb.analyses.subjects import Many, chosen_neurons, subject
from retina_nb.errors import UserError
from retina_nb.metrics import signal_power
from retina_nb.recording import Recording
from retina_nb.representations import one_line


@one_line
@dataclass(frozen=True)
class Correlations:
    """Correlations of all pairs of neurons.

    Args:
        values: the correlations; NaN where they are not defined, as of neurons that do not respond.
        neurons: a row for each neuron: ``session`` and ``neuron``.
        p_value: two-sided, of noise correlations only, from the trial-permuted ones.
        null: mean over pairs in every permutation, likewise.
    """

    values: Float[np.ndarray, "neuron neuron"]
    neurons: pd.DataFrame
    p_value: Float[np.ndarray, "neuron neuron"] | None = None
    null: Float[np.ndarray, " shuffle"] | None = None

    @property
    def pairs(self) -> Float[np.ndarray, " pair"]:
        """The correlation of every pair, each pair once."""
        return upper(self.values)

    def to_dataframe(self) -> pd.DataFrame:
        """A row for each pair: ``session``, ``neuron``, ``other_session``, ``other_neuron``, ``correlation``."""
        first, second = np.triu_indices(len(self.values), 1)
        one, other = (self.neurons.iloc[index].reset_index(drop=True) for index in (first, second))
        table = pd.concat([one, other.add_prefix("other_")], axis=1).assign(correlation=self.pairs)
        return table if self.p_value is None else table.assign(p_value=upper(self.p_value))


def signal_correlations(
    model: Any,
    stimuli: Many,
    *,
    session: str | None = None,
    neurons: int | Iterable[int] | None = None,
    device: str | torch.device | None = None,
    batch_size: int = 16,
) -> Correlations:
    """Correlation over time and stimuli of what a model expects of its neurons, which need not be of one session.

    Args:
        model: a twin, ensemble, baseline or truth.
        stimuli: what is shown (batch, channel, time, height, width), or `Stimulus` objects, each after its first frame
            has been on screen for long.
        session, neurons, device: see `retina_nb.analyses.subjects.subject`.
        batch_size: stimuli shown at once.

    Raises:
        UserError: if a neuron or session does not exist, or the stimuli do not fit.
    """
    chosen = subject(model, session=session, neurons=neurons, device=device)
    rates = chosen.show(stimuli, batch_size=batch_size).reshape(-1, len(chosen.neurons)).astype(float)
    deviation = rates - rates.mean(axis=0)
    return Correlations(_normalised(deviation.T @ deviation), chosen.table())


def recorded_signal_correlations(
    recording: Recording, *, stimulus: str = "test", neurons: int | Iterable[int] | None = None
) -> Correlations:
    """Signal correlations in repeated responses, without the noise that a trial average still has.

    Covariances are between different trials only, and variances are signal powers, so that neither the noise of a
    neuron nor noise shared by two biases them. Like any ratio of estimates they can exceed 1.

    Args:
        recording: a session.
        stimulus: the repeated stimulus.
        neurons: their numbers; all if None.

    Raises:
        UserError: if the stimulus was shown fewer than twice, or a neuron does not exist.
    """
    trials, table = _trials(recording, stimulus, neurons)
    count, deviation = len(trials), trials - trials.mean(axis=1, keepdims=True)
    total = deviation.sum(axis=0)
    same = np.einsum("kti,ktj->ij", deviation, deviation)
    covariance = (total.T @ total - same) / (count * (count - 1) * (trials.shape[1] - 1))
    power = signal_power(trials)
    deviations = np.sqrt(np.where(power > 0, power, np.nan))
    values = covariance / np.outer(deviations, deviations)
    return Correlations(np.where(np.eye(len(values), dtype=bool) & np.isfinite(values), 1.0, values), table)


def noise_correlations(
    recording: Recording,
    *,
    stimulus: str = "test",
    neurons: int | Iterable[int] | None = None,
    shuffles: int = 200,
    seed: int = 0,
) -> Correlations:
    """Correlation of what differs between trials: each response minus the mean over trials of its bin.

    The mean over trials takes the same share of variance and covariance, so that the correlation is not biased. The
    null permutes the trials of every neuron on its own: stimulus and slow changes within a trial stay, what cells share
    in a trial goes (Cohen & Kohn 2011, Nat. Neurosci. 14:811). Drifts over a session that cells share count as noise.

    Args:
        recording: a session.
        stimulus: the repeated stimulus.
        neurons: their numbers; all if None.
        shuffles: permutations for the null; p values are multiples of 1 / (shuffles + 1).
        seed: fixes them.

    Raises:
        UserError: if the stimulus was shown fewer than twice, or a neuron does not exist.
    """
    trials, table = _trials(recording, stimulus, neurons)
    residual = trials - trials.mean(axis=0)
    values, random = _between(residual, residual), np.random.default_rng(seed)
    exceeded, null = np.ones_like(values), np.empty(shuffles)
    for shuffle in range(shuffles):
        order = random.permuted(np.tile(np.arange(len(trials))[:, None], (1, residual.shape[2])), axis=0)
        permuted = np.take_along_axis(residual, order[:, None], axis=0)
        shuffled = _between(permuted, permuted)
        exceeded += np.abs(shuffled) >= np.abs(values)
        null[shuffle] = _mean(upper(shuffled))
    p_value = np.where(np.isfinite(values), exceeded / (shuffles + 1), np.nan)
    return Correlations(values, table, p_value, null)


def upper(matrix: Float[np.ndarray, "neuron neuron"]) -> Float[np.ndarray, " pair"]:
    """What stands above the diagonal: each pair once."""
    return matrix[np.triu_indices(len(matrix), 1)]


def _trials(
    recording: Recording, stimulus: str, neurons: int | Iterable[int] | None
) -> tuple[np.ndarray, pd.DataFrame]:
    """(trial, time, neuron) as float64, and the table of the neurons."""
    trials = recording.trials(stimulus).astype(float)
    if len(trials) < 2:
        raise UserError(f"session {recording.session}: {stimulus} was shown once; correlations need repeats")
    chosen = chosen_neurons(neurons, trials.shape[2], f"session {recording.session}")
    return trials[:, :, chosen], pd.DataFrame({"session": recording.session, "neuron": chosen})


def _between(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return _normalised(np.einsum("kti,ktj->ij", a, b, optimize=True))


def _normalised(covariance: np.ndarray) -> np.ndarray:
    """Correlations; NaN for neurons that do not vary."""
    deviation = np.sqrt(np.where(np.diag(covariance) > 0, np.diag(covariance), np.nan))
    return covariance / np.outer(deviation, deviation)


def _mean(values: np.ndarray) -> float:
    return float(np.nanmean(values)) if np.isfinite(values).any() else np.nan
