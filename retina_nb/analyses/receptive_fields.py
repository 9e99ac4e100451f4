"""Receptive fields, of a model by its gradient and of a recording by reverse correlation."""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from scipy.ndimage import gaussian_filter, label

from retina_nb.errors import UserError
from retina_nb.models.core_readout import CoreReadout
from retina_nb.recording import Recording


@dataclass(frozen=True)
class ReceptiveFields:
    """Receptive fields of some neurons.

    Args:
        linear: mean gradient of the response, or spike-triggered average; the last lag is the present.
        sensitivity: root mean square of the same over stimuli, channels and lags: where the neuron looks, whatever
            polarities it responds to.
        centers: place (y, x) in pixels from the middle of the top left pixel: the centroid of the sensitivity's peak
            above half of its height.
        rate: bins per second (Hz).
    """

    linear: Float[np.ndarray, "neuron channel lag height width"]
    sensitivity: Float[np.ndarray, "neuron height width"]
    centers: Float[np.ndarray, "neuron 2"]
    rate: float


def receptive_fields(
    twin: CoreReadout, recording: Recording, *, stimuli: int = 32, split: str = "validation", seed: int = 0
) -> ReceptiveFields:
    """Gradient of every neuron's response with respect to the stimulus, averaged over recorded stimuli.

    Args:
        twin: the model.
        recording: the session; its stimuli are the operating points.
        stimuli: number of operating points.
        split: the bins from which they are drawn.
        seed: fixes the draw.

    Raises:
        UserError: if too few bins have the history that the twin needs.
    """
    bins = recording.bins(split)
    bins = bins[bins >= twin.lag]
    if not len(bins):
        raise UserError(f"session {recording.session} has no {split} bin with {twin.lag} bins of history")
    ends = np.random.default_rng(seed).choice(bins, min(stimuli, len(bins)), replace=False)
    windows = recording.stimulus_at((ends[:, None] + np.arange(-twin.lag, 1)).ravel())
    channel, _, height, width = windows.shape
    windows = windows.reshape(channel, len(ends), twin.lag + 1, height, width).swapaxes(0, 1)
    stimulus = torch.from_numpy(np.ascontiguousarray(windows)).requires_grad_()
    with torch.enable_grad():
        rates = twin(stimulus, recording.session)[:, 0].sum(dim=0)  # (neuron,)
    linear, sensitivity = [], []
    for rate in rates:
        (gradient,) = torch.autograd.grad(rate, stimulus, retain_graph=True)
        linear.append(gradient.mean(dim=0).numpy())
        sensitivity.append(gradient.square().mean(dim=(0, 1, 2)).sqrt().numpy())
    return _fields(np.stack(linear), np.stack(sensitivity), recording.rate)


def spike_triggered_averages(recording: Recording, *, lags: int = 20, split: str = "train") -> ReceptiveFields:
    """Response-weighted average of the stimulus before each bin, less the mean stimulus.

    An unbiased estimate of a linear cell's receptive field under white noise (Chichilnisky 2001).

    Args:
        recording: a session.
        lags: bins of history, the present included.
        split: the bins whose responses count.
    """
    bins = recording.bins(split)
    since = bins - recording.onsets[np.searchsorted(recording.onsets, bins, side="right") - 1]
    bins = bins[since >= lags - 1]
    response = recording.responses[bins] - recording.responses[bins].mean(axis=0)
    channel, height, width = recording.movie.frame_shape
    sums = np.zeros((lags, recording.n_neurons, channel * height * width), dtype=np.float32)
    for start in range(0, len(bins), 4096):
        part = slice(start, start + 4096)
        for lag in range(lags):
            stimulus = recording.stimulus_at(bins[part] - (lags - 1 - lag))
            sums[lag] += response[part].T @ stimulus.swapaxes(0, 1).reshape(len(bins[part]), -1)
    total = recording.responses[bins].sum(axis=0).clip(min=1e-12)
    linear = (sums / total[:, None]).reshape(lags, -1, channel, height, width).transpose(1, 2, 0, 3, 4)
    return _fields(linear, np.sqrt((linear**2).mean(axis=(1, 2))), recording.rate)


def _fields(linear: np.ndarray, sensitivity: np.ndarray, rate: float) -> ReceptiveFields:
    return ReceptiveFields(linear, sensitivity, np.stack([_center(one) for one in sensitivity]), rate)


def _center(sensitivity: np.ndarray) -> np.ndarray:
    """(y, x) of the centroid of the region around the peak of the smoothed map that exceeds half its height."""
    smooth = gaussian_filter(sensitivity, 0.7)
    smooth = smooth - np.median(smooth)
    peak = np.unravel_index(smooth.argmax(), smooth.shape)
    regions, _ = label(smooth > smooth[peak] / 2)
    weight = np.where(regions == regions[peak], smooth, 0)
    if weight.sum() <= 0:  # a flat map has no peak
        return np.full(2, np.nan)
    grid = np.indices(sensitivity.shape)
    return (grid * weight).sum(axis=(1, 2)) / weight.sum()
