"""Where a neuron looks, estimated in a second: the place from which training starts its readout."""

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float
from scipy.ndimage import gaussian_filter
from torch import Tensor

from retina_nb.recording import Recording

_LAGS = (2, 4, 6)


def locate_receptive_fields(recording: Recording, bins: int = 15_000) -> Float[np.ndarray, "neuron 2"]:
    """Place (y, x) of each neuron's receptive field, in pixels from the middle of the top left pixel.

    Correlates the response with the recent stimulus and with the energy of its change, so that cells which respond
    to both polarities are found too. What the whole screen does at a time is taken out first, since natural
    scenes correlate over long distances. The place is the peak of the smoothed map that stands out more.

    Args:
        recording: a session with training bins.
        bins: at most so many training bins are used.
    """
    train = recording.bins("train")[:bins]
    response = recording.responses[train]
    response = torch.from_numpy(response - response.mean(axis=0))
    stimulus = torch.from_numpy(recording.stimulus_at(train))
    smooth = _smooth_in_time(stimulus)
    maps = np.stack(
        [_correlation_map(response, course) for course in (smooth, smooth.diff(n=1, dim=1, prepend=smooth[:, :1]) ** 2)]
    )
    flat = maps.reshape(2, recording.n_neurons, -1)
    contrast = flat.max(axis=-1) / (np.median(flat, axis=-1) + 1e-12)
    best = flat[contrast.argmax(axis=0), np.arange(recording.n_neurons)]
    return np.stack(np.unravel_index(best.argmax(axis=-1), maps.shape[2:]), axis=1).astype(np.float32)


def _smooth_in_time(stimulus: Tensor) -> Tensor:
    kernel = torch.tensor([0.05, 0.25, 0.4, 0.25, 0.05])
    traces = stimulus.movedim(1, -1)  # (channel, height, width, time)
    smooth = F.conv1d(traces.reshape(-1, 1, traces.shape[-1]), kernel[None, None], padding=2)
    return smooth.reshape(traces.shape).movedim(-1, 1)


def _correlation_map(response: Tensor, course: Tensor) -> np.ndarray:
    """(neuron, height, width): covariance of responses with a course in every pixel, over channels and lags."""
    course = course - course.mean(dim=(2, 3), keepdim=True)
    course = (course - course.mean(dim=1, keepdim=True)) / (course.std() + 1e-12)
    pixels = course.movedim(1, 0).flatten(1)  # (time, channel * height * width)
    shape = (response.shape[1], course.shape[0], *course.shape[2:])
    maps = [(response[lag:].T @ pixels[:-lag]).reshape(shape).numpy() for lag in _LAGS]
    smooth = gaussian_filter(np.stack(maps), (0, 0, 0, 1, 1))
    return np.sqrt((smooth**2).sum(axis=(0, 2)))
