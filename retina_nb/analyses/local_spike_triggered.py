"""Local spike-triggered averages: what a cell would like more of in each of many images (Goldin et al. 2022).

Goldin et al. (2022, Nat. Commun. 13:5556) found by them that the context of a natural image can invert the polarity of
a ganglion cell. They are gradients of the response, so that a model has them for any image without any noise.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import torch
from jaxtyping import Float
from torch import Tensor
from tqdm.auto import tqdm

from retina_nb.analyses.subjects import Subject, check_batch_size, checked_window, frozen, subject
from retina_nb.errors import UserError
from retina_nb.representations import one_line
from retina_nb.stimuli import Stimulus

# How long after the onset of an image responses are averaged by default (s): from the latency on, as long as the
# response to a flash lasts.
_WINDOW = (0.05, 0.3)


@one_line
@dataclass(frozen=True)
class LocalSpikeTriggeredAverages:
    """How neurons' responses to each stimulus change with its pixels.

    Args:
        lsta: derivative of the response by the pixels of the image, or by those of a still image that is added to all
            frames of a movie (events per bin and unit of contrast).
        response: mean rate in the window (events per bin).
        images: the images, or the mean frames of the movies that count, in units of contrast.
        neurons: a row for each neuron: ``session`` and ``neuron``.
    """

    lsta: Float[np.ndarray, "neuron stimulus channel height width"]
    response: Float[np.ndarray, "neuron stimulus"]
    images: Float[np.ndarray, "stimulus channel height width"]
    neurons: pd.DataFrame

    @property
    def sensitivity(self) -> Float[np.ndarray, "neuron height width"]:
        """Root mean square of the local fields over stimuli and channels: where the neuron looks."""
        return np.sqrt(np.square(self.lsta).mean(axis=(1, 2)))

    @property
    def polarity(self) -> Float[np.ndarray, "neuron stimulus"]:
        """How the response to each stimulus changes with brightness in the middle of the receptive field.

        The mean over channels of the local field, weighted by the part of `sensitivity` above half of its peak
        (events per bin and unit of contrast): positive where the cell is ON, negative where it is OFF.
        """
        weight = np.clip(self.sensitivity - self.sensitivity.max(axis=(1, 2), keepdims=True) / 2, 0, None)
        total = weight.sum(axis=(1, 2), keepdims=True)
        weight = np.divide(weight, total, out=np.zeros_like(weight), where=total > 0)
        return np.einsum("nichw,nhw->ni", self.lsta, weight) / self.lsta.shape[2]

    def to_dataframe(self) -> pd.DataFrame:
        """A row for each neuron. Columns after ``session`` and ``neuron``:

        ``response``: mean over stimuli (events per bin). ``on``: share of stimuli in which the neuron is ON, each
        weighted by the size of its polarity. ``inversion``: how evenly both polarities are there, twice the smaller of
        ``on`` and ``1 - on``: 0 if the neuron never changes its polarity, 1 if it is ON as much as it is OFF.
        ``same_field``: length of the mean local field over the mean length: 1 if it never changes but in strength. The
        last three are NaN for a neuron whose response changes with no pixel of any image.
        """
        polarity, size = self.polarity, np.abs(self.polarity).sum(axis=1)
        on = np.clip(polarity, 0, None).sum(axis=1) / np.where(size > 0, size, np.nan)
        flat = self.lsta.reshape(*self.lsta.shape[:2], -1)
        length = np.linalg.norm(flat, axis=2).mean(axis=1)
        same = np.linalg.norm(flat.mean(axis=1), axis=1) / np.where(length > 0, length, np.nan)
        return self.neurons.assign(
            response=self.response.mean(axis=1), on=on, inversion=2 * np.minimum(on, 1 - on), same_field=same
        )


def local_spike_triggered_averages(
    model: Any,
    stimuli: Sequence[Stimulus] | Float[np.ndarray, "stimulus channel *time height width"],
    *,
    window: tuple[int, int] | None = None,
    normalize: bool = False,
    session: str | None = None,
    neurons: int | Iterable[int] | None = None,
    device: str | torch.device | None = None,
    batch_size: int = 32,
) -> LocalSpikeTriggeredAverages:
    """The gradient of every neuron's response in a window of time, for each of many images or movies.

    An image comes after a grey screen that was there for as long as the model remembers, and stays.

    Args:
        model: a twin, ensemble or truth.
        stimuli: images (stimulus, channel, height, width), or movies with an axis of time after the channels, or
            `Stimulus` objects.
        window: bins over which the response is averaged (first, one after the last): counted from the onset of an
            image, 0.05 to 0.3 s if None, or from the start of a movie, all that have enough history if None.
        normalize: whether stimuli are in the units of the recorded movies before these were normalised, and shall be
            normalised as they were; gradients are by normalised pixels then as well.
        session: whose neurons; all sessions' if None.
        neurons: their numbers; all if None.
        device: where to compute.
        batch_size: stimuli shown at once.

    Raises:
        UserError: if stimuli or window do not fit, or the model does not know its normalisation.
    """
    one = subject(model, session=session, neurons=neurons, device=device)
    stimuli = one.movies(stimuli)
    if normalize:
        stimuli = _normalized(one, stimuli)
    if stimuli.ndim == 4:
        first, last = window or tuple(round(seconds * one.rate) for seconds in _WINDOW)
        if not 0 <= first < last:
            raise UserError(f"the window must be of bins after an image's onset, first < last, not {(first, last)}")
        movies = np.repeat(stimuli[:, :, None], one.lag + last, axis=2)
        movies[:, :, : one.lag] = 0
        onset, window = one.lag, (one.lag + first, one.lag + last)
    else:
        movies, onset = stimuli, 0
    one.examine(movies)
    check_batch_size(batch_size)
    first, last = checked_window(one, window, movies.shape[2])
    # What the window does not see is not shown.
    movies, onset = movies[:, :, first - one.lag : last], max(0, onset - first + one.lag)
    lsta, response = _gradients(one, torch.from_numpy(movies.copy()), onset, batch_size)
    return LocalSpikeTriggeredAverages(lsta, response, movies[:, :, onset:].mean(axis=2), one.table())


def _gradients(one: Subject, movies: Tensor, onset: int, batch_size: int) -> tuple[np.ndarray, np.ndarray]:
    """Mean rates of all bins (neuron, movie), and their gradients by what is added to all frames since `onset`."""
    lstas, responses = [], []
    with frozen(one.model), torch.enable_grad():
        first, rest = one.linear_stage
        for part in tqdm(movies.split(batch_size), delay=5, leave=False):
            back = _transposed(one, part, onset)
            seen = first(part).requires_grad_()
            response = rest(seen).mean(dim=1)  # (movie, neuron)
            rows = [back(torch.autograd.grad(rate.sum(), seen, retain_graph=True)[0]) for rate in response.T]
            lstas.append(torch.stack(rows).cpu())
            responses.append(response.detach().T.cpu())
    return torch.cat(lstas, dim=1).numpy(), torch.cat(responses, dim=1).numpy()


def _transposed(one: Subject, part: Tensor, onset: int) -> Callable[[Tensor], Tensor]:
    """From gradients by what a model's linear stage makes of movies to gradients by an image that is added to them."""
    image = torch.zeros_like(part[:, :, 0], device=one.device, requires_grad=True)
    course = (torch.arange(part.shape[2], device=one.device) >= onset).to(part.dtype)
    added = one.linear_still(image, course)
    return lambda gradient: torch.autograd.grad(added, image, gradient, retain_graph=True)[0]


def _normalized(one: Subject, stimuli: np.ndarray) -> np.ndarray:
    mean, std = (one.model.about.get(name) for name in ("stimulus_mean", "stimulus_std"))
    if mean is None or not std:
        raise UserError(
            "the model does not know how its stimuli were normalised: set model.about['stimulus_mean'] and "
            "['stimulus_std'], or normalise them and leave normalize=False"
        )
    return (stimuli - np.float32(mean)) / np.float32(std)
