"""Where a neuron looks, estimated in a second: the place from which training starts its readout."""

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float
from scipy.ndimage import gaussian_filter
from torch import Tensor

from retina_nb.recording import Recording

_LAGS = (1, 2, 4, 6)
_FEWEST = 32  # training bins, so that each half has some at all lags


def locate_receptive_fields(recording: Recording, bins: int = 15_000) -> Float[np.ndarray, "neuron 2"]:
    """Place (y, x) of each neuron's receptive field, in pixels from the middle of the top left pixel.

    Correlates the response with the recent stimulus, with the energy of its change and with that of its fine
    structure, so that cells which respond to both polarities, or are silenced by contrast, are found too. What the
    whole screen does at a time is taken out first, since natural scenes correlate over long distances. Each neuron's
    place is the peak of the map whose peak stands out most in both halves of the recording. Where there is hardly any
    training bin, or one pixel, it is the middle of the screen.

    Args:
        recording: a session with training bins.
        bins: at most so many training bins are used.
    """
    train, (height, width) = recording.bins("train")[:bins], recording.movie.frame_shape[1:]
    if height * width == 1 or len(train) < _FEWEST:
        return np.full((recording.n_neurons, 2), [(height - 1) / 2, (width - 1) / 2], dtype=np.float32)
    response = recording.responses[train]
    response = torch.from_numpy(response - response.mean(axis=0))
    smooth = _smooth_in_time(torch.from_numpy(recording.stimulus_at(train)))
    change, fine = smooth.diff(n=1, dim=1, prepend=smooth[:, :1]), _fine(smooth).sum(dim=0, keepdim=True)
    halves = (slice(0, len(train) // 2), slice(len(train) // 2, None))
    maps, stands_out = [], []
    for course in (smooth, change**2, fine**2):
        first, second = (_correlation_map(response[half], course[:, half]) for half in halves)
        maps.append(first + second)
        stands_out.append(np.sqrt(_height(first, second) * _height(second, first)))
    best = np.stack(maps)[np.argmax(stands_out, axis=0), np.arange(recording.n_neurons)]
    places = np.unravel_index(best.argmax(axis=-1), (height, width))
    return np.stack(places, axis=1).astype(np.float32)


def _smooth_in_time(stimulus: Tensor) -> Tensor:
    kernel = torch.tensor([0.05, 0.25, 0.4, 0.25, 0.05])
    traces = stimulus.movedim(1, -1)  # (channel, height, width, time)
    smooth = F.conv1d(traces.reshape(-1, 1, traces.shape[-1]), kernel[None, None], padding=2)
    return smooth.reshape(traces.shape).movedim(-1, 1)


def _fine(frames: Tensor) -> Tensor:
    """What is smaller than a few pixels."""
    narrow, wide = (gaussian_filter(frames.numpy(), (0, 0, sigma, sigma)) for sigma in (0.8, 2))
    return torch.from_numpy(narrow - wide)


def _correlation_map(response: Tensor, course: Tensor) -> Float[np.ndarray, "neuron pixel"]:
    """Covariance of responses with a course in every pixel, over channels and lags.

    Frames count alike, or a grating that fills the screen would drown the patterns that say where a cell looks; and so
    do pixels.
    """
    course = course - course.mean(dim=(2, 3), keepdim=True)
    course = course / (course.std(dim=(0, 2, 3), keepdim=True) + 0.1 * course.std() + 1e-12)
    course = course / (course.std(dim=1, keepdim=True) + 1e-12)
    pixels = course.movedim(1, 0).flatten(1)  # (time, channel * height * width)
    shape = (response.shape[1], course.shape[0], *course.shape[2:])
    maps = [(response[lag:].T @ pixels[:-lag]).reshape(shape).numpy() for lag in _LAGS]
    smooth = gaussian_filter(np.stack(maps), (0, 0, 0, 1, 1), mode="constant")
    smooth /= np.sqrt(gaussian_filter(np.ones(shape[2:]), 2**-0.5, mode="constant"))  # noise alike up to the edges
    return np.sqrt((smooth**2).sum(axis=(0, 2))).reshape(len(smooth[0]), -1)


def _height(maps: Float[np.ndarray, "neuron pixel"], other: Float[np.ndarray, "neuron pixel"]) -> np.ndarray:
    """(neuron,): how far each map stands out of its median where the other has its peak."""
    return maps[np.arange(len(maps)), other.argmax(axis=1)] / (np.median(maps, axis=1) + 1e-12)
