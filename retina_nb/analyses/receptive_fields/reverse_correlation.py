"""Receptive fields of recorded cells by reverse correlation, and whether they are more than chance."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from jaxtyping import Float, Int

from retina_nb.analyses.receptive_fields.fields import Linear, ReceptiveFields, make_fields
from retina_nb.errors import UserError
from retina_nb.recording import Recording
from retina_nb.representations import one_line

# What a recording of a model is about: its neurons have the properties session and neuron, which are the model's.
OF_MODEL = "of_model"
# Bins multiplied at once, which bounds the memory.
_BLOCK = 4096
# Shifts of the responses are at least so long (s), beyond the memory of cells and of natural scenes.
_APART = 5.0


@one_line
@dataclass(frozen=True)
class Significance:
    """Whether spike-triggered averages are more than chance.

    Args:
        z: height of the strongest pixel of the average, in standard deviations above the mean of those of the null.
        p: share of the null with a pixel as strong, counting the average itself; at least 1 / (shuffles + 1).
        neurons: a row for each: ``session`` and ``neuron``.
    """

    z: Float[np.ndarray, " neuron"]
    p: Float[np.ndarray, " neuron"]
    neurons: pd.DataFrame

    def to_dataframe(self) -> pd.DataFrame:
        """A row for each neuron with ``z`` and ``p``."""
        return self.neurons.assign(z=self.z, p=self.p)


def spike_triggered_averages(recording: Recording, *, lags: int = 20, split: str = "train") -> ReceptiveFields:
    """Response-weighted average of the stimulus before each bin, less the mean stimulus.

    An unbiased estimate of a linear cell's receptive field under white noise (Chichilnisky 2001).

    Args:
        recording: a session.
        lags: bins of history, the present included.
        split: the bins whose responses count.

    Raises:
        UserError: if no bin of the split has the history.
    """
    bins = recording.bins_with_history(split, lags - 1)
    response = recording.responses[bins] - recording.responses[bins].mean(axis=0)
    total = np.abs(recording.responses[bins]).sum(axis=0)  # of responses around 0 the plain sum would be about 0
    linear = weighted_sums(recording, bins, response, lags) / total.clip(min=1e-12)[:, None, None, None, None]
    return make_fields(
        linear,
        np.sqrt((linear**2).mean(axis=(1, 2))),
        rate=recording.rate,
        pixel_um=recording.pixel_um,
        neurons=neuron_table(recording),
    )


def significance(
    recording: Recording, *, lags: int = 20, split: str = "train", shuffles: int = 20, seed: int = 0
) -> Significance:
    """Compare spike-triggered averages with those of responses that are shifted in time against the stimulus.

    Shifts keep the statistics of stimulus and responses and break what links them.

    Args:
        recording: a session.
        lags: bins of history, the present included.
        split: the bins whose responses count.
        shuffles: how many shifts.
        seed: fixes the shifts.

    Raises:
        UserError: if no bin of the split has the history, or there are too few bins to shift.
    """
    bins = recording.bins_with_history(split, lags - 1)
    apart = round(_APART * recording.rate)
    if len(bins) <= 2 * apart:
        raise UserError(
            f"session {recording.session} has {len(bins)} {split} bins with history: more than {2 * apart} are needed "
            f"to shift responses by {_APART:g} s"
        )
    response = recording.responses[bins] - recording.responses[bins].mean(axis=0)
    shifts = np.random.default_rng(seed).integers(apart, len(bins) - apart, shuffles)
    every = np.concatenate([response, *(np.roll(response, shift, axis=0) for shift in shifts)], axis=1)
    sums = weighted_sums(recording, bins, every, lags)
    energy = np.sqrt((sums**2).mean(axis=(1, 2))).reshape(len(sums), -1).max(axis=1)
    observed, null = np.split(energy.reshape(1 + shuffles, -1), [1])
    z = (observed[0] - null.mean(axis=0)) / null.std(axis=0, ddof=1).clip(min=1e-12)
    p = (1 + (null >= observed).sum(axis=0)) / (1 + shuffles)
    return Significance(z, p, neuron_table(recording))


def weighted_sums(
    recording: Recording, bins: Int[np.ndarray, " bin"], weights: Float[np.ndarray, "bin neuron"], lags: int
) -> Linear:
    """Sum over bins of the stimulus up to each, weighted for each neuron."""
    channel, height, width = recording.movie.frame_shape
    weights = weights.astype(np.float32)
    sums = np.zeros((lags, weights.shape[1], channel * height * width), dtype=np.float32)
    for start in range(0, len(bins), _BLOCK):
        part = slice(start, start + _BLOCK)
        for lag in range(lags):
            stimulus = recording.stimulus_at(bins[part] - (lags - 1 - lag))
            sums[lag] += weights[part].T @ stimulus.swapaxes(0, 1).reshape(len(bins[part]), -1)
    return sums.reshape(lags, -1, channel, height, width).transpose(1, 2, 0, 3, 4)


def neuron_table(recording: Recording) -> pd.DataFrame:
    """``session`` and ``neuron`` of each; a recording of a model says which neurons of which sessions it has."""
    if recording.about.get(OF_MODEL):
        return pd.DataFrame({name: recording.neurons[name] for name in ("session", "neuron")})
    return pd.DataFrame({"session": recording.session, "neuron": np.arange(recording.n_neurons)})
