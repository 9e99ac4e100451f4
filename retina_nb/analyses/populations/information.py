"""How many bits of the stimulus a single spike carries."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import torch
from jaxtyping import Float
from scipy.special import digamma

from retina_nb.analyses.subjects import Many, subject
from retina_nb.errors import UserError
from retina_nb.recording import Recording
from retina_nb.representations import one_line


@one_line
@dataclass(frozen=True)
class SpikeInformation:
    """Information of single spikes about the time in the stimulus at which they came.

    Args:
        bits_per_spike: NaN for a neuron that never fires.
        uncorrected: the same from the trial average as it is, biased upwards if there are few spikes.
        rate: mean rate (spikes per second).
        neurons: a row for each neuron: ``session`` and ``neuron``.
    """

    bits_per_spike: Float[np.ndarray, " neuron"]
    uncorrected: Float[np.ndarray, " neuron"]
    rate: Float[np.ndarray, " neuron"]
    neurons: pd.DataFrame

    def to_dataframe(self) -> pd.DataFrame:
        """A row for each neuron: bits per spike, bits per second, and the mean rate (Hz)."""
        return self.neurons.assign(
            bits_per_spike=self.bits_per_spike,
            uncorrected=self.uncorrected,
            rate=self.rate,
            bits_per_second=self.bits_per_spike * self.rate,
        )


def spike_information(
    model: Any,
    stimuli: Many,
    *,
    session: str | None = None,
    neurons: int | Iterable[int] | None = None,
    device: str | torch.device | None = None,
    batch_size: int = 16,
) -> SpikeInformation:
    """Information per spike (bits) from the rates that a model expects: ``mean(r / r̄ log2(r / r̄))``.

    That of a Poisson cell with these rates, and of single spikes of any cell (Brenner et al. 2000, Neural Comput.
    12:1531; for places instead of times, Skaggs et al. 1993). Nothing is sampled, so that there is no bias to correct.

    Args:
        model: a twin, ensemble, baseline or truth of spike counts.
        stimuli: what is shown (batch, channel, time, height, width), or `Stimulus` objects, each after its first frame
            has been on screen for long.
        session, neurons, device: see `retina_nb.analyses.subjects.subject`.
        batch_size: stimuli shown at once.

    Raises:
        UserError: if a neuron or session does not exist, the stimuli do not fit, or a rate is negative.
    """
    chosen = subject(model, session=session, neurons=neurons, device=device)
    rates = chosen.show(stimuli, batch_size=batch_size).reshape(-1, len(chosen.neurons)).astype(float)
    if (rates < 0).any():
        raise UserError("the model expects negative responses: information per spike is for rates and counts")
    bits = np.log2(len(rates)) - _plug_in_entropy(rates)
    return SpikeInformation(bits, bits, rates.mean(axis=0) * chosen.rate, chosen.table())


def recorded_spike_information(recording: Recording, *, stimulus: str = "test") -> SpikeInformation:
    """Information per spike (bits) in counted spikes.

    With all spikes of all trials, it is what the bin of a spike tells beyond chance: the logarithm of the number of
    bins minus the entropy of spikes over bins. That entropy is underestimated when bins hold few spikes; the
    estimator of Grassberger (2003, arXiv:physics/0307138) corrects it.

    Args:
        recording: a session of spike counts.
        stimulus: the repeated stimulus.

    Raises:
        UserError: if the stimulus was not repeated, or the responses are not counts.
    """
    counts = recording.trials(stimulus).astype(float)
    if (counts != np.round(counts)).any() or (counts < 0).any():
        raise UserError(f"session {recording.session}: information per spike needs counts, these are {recording.unit}")
    total = counts.sum(axis=0)
    table = pd.DataFrame({"session": recording.session, "neuron": np.arange(total.shape[1])})
    most = np.log2(len(total))
    rate = counts.mean(axis=(0, 1)) * recording.rate
    return SpikeInformation(most - _entropy(total), most - _plug_in_entropy(total), rate, table)


def _plug_in_entropy(weights: Float[np.ndarray, "time neuron"]) -> Float[np.ndarray, " neuron"]:
    """Entropy (bits) of a spike's bin, if spikes fall on bins in proportion to the weights."""
    total = weights.sum(axis=0)
    share = weights / np.where(total > 0, total, np.nan)
    return -(share * np.log2(np.where(share > 0, share, 1))).sum(axis=0)


def _entropy(counts: Float[np.ndarray, "time neuron"]) -> Float[np.ndarray, " neuron"]:
    """Entropy (bits) of a spike's bin, corrected for few spikes (Grassberger 2003, eq. 27 and 35)."""
    total = counts.sum(axis=0)
    total = np.where(total > 0, total, np.nan)
    n = np.maximum(counts, 1)
    sign = np.where(n % 2, -1, 1)
    g = digamma(n) + sign / 2 * (digamma((n + 1) / 2) - digamma(n / 2))
    return (np.log(total) - (counts * g).sum(axis=0) / total) / np.log(2)
