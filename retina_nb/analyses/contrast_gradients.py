"""How a response changes with the contrasts of two channels of a stimulus, all over the plane that they span.

Höfling et al. (2024, eLife 13:e86860) found with it that a cell's preference for colour depends on contrast.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np
import pandas as pd
import torch
from jaxtyping import Float
from torch import Tensor
from tqdm.auto import tqdm

from retina_nb.analyses.subjects import Subject, check_batch_size, checked_window, frozen, subject
from retina_nb.errors import UserError, unknown
from retina_nb.representations import one_line
from retina_nb.stimuli import Stimulus


@one_line
@dataclass(frozen=True)
class ContrastGradients:
    """Responses and their gradients over a grid of contrasts, by which two channels of a stimulus are multiplied.

    Args:
        gradient: derivative of the response by the contrast of the first and of the second channel (events per bin).
        response: mean rate in the window (events per bin).
        first: contrasts of the first channel; 1 is the stimulus as it was given, 0 nothing in this channel.
        second: contrasts of the second channel.
        channels: names of the two channels.
        neurons: a row for each neuron: ``session`` and ``neuron``.
    """

    gradient: Float[np.ndarray, "neuron 2 first second"]
    response: Float[np.ndarray, "neuron first second"]
    first: Float[np.ndarray, " first"]
    second: Float[np.ndarray, " second"]
    channels: tuple[str, str]
    neurons: pd.DataFrame

    @property
    def norm(self) -> Float[np.ndarray, "neuron first second"]:
        """Length of the gradient (events per bin)."""
        return np.linalg.norm(self.gradient, axis=1)

    @property
    def angle(self) -> Float[np.ndarray, "neuron first second"]:
        """Direction of the gradient (degrees): 0 more of the first channel, 90 more of the second."""
        return np.rad2deg(np.arctan2(self.gradient[:, 1], self.gradient[:, 0]))

    def to_dataframe(self) -> pd.DataFrame:
        """A row for each neuron: what it would have changed at grey, and how far the gradient turns over the grid.

        Columns after ``session`` and ``neuron``: ``gradient_first`` and ``gradient_second`` at the contrasts closest
        to 0; ``same_direction``, the length of the mean gradient over the mean length: 1 if the gradient points the
        same way everywhere, 0 if it has no direction on average; ``best_first`` and ``best_second``, the contrasts of
        the largest response (events per bin), ``response``.
        """
        grey = self.gradient[:, :, np.abs(self.first).argmin(), np.abs(self.second).argmin()]
        mean = np.linalg.norm(self.gradient.mean(axis=(2, 3)), axis=1)
        length = self.norm.mean(axis=(1, 2))
        best = self.response.reshape(len(self.response), -1).argmax(axis=1)
        row, column = np.unravel_index(best, self.response.shape[1:])
        return self.neurons.assign(
            gradient_first=grey[:, 0],
            gradient_second=grey[:, 1],
            same_direction=np.divide(mean, length, out=np.zeros_like(mean), where=length > 0),
            best_first=self.first[row],
            best_second=self.second[column],
            response=self.response.max(axis=(1, 2)),
        )


def contrast_gradients(
    model: Any,
    stimulus: Stimulus | Float[np.ndarray, "*neuron channel time height width"],
    *,
    channels: tuple[int | str, int | str] = (0, 1),
    start: float = -1.0,
    stop: float = 1.0,
    step: float = 0.1,
    window: tuple[int, int] | None = None,
    session: str | None = None,
    neurons: int | Iterable[int] | None = None,
    device: str | torch.device | None = None,
    batch_size: int = 32,
) -> ContrastGradients:
    """Response and gradient over a grid of contrasts of two channels of a stimulus, e.g. of a cell's preferred one.

    Args:
        model: a twin, ensemble or truth.
        stimulus: one for all neurons (channel, time, height, width), or a `Stimulus`, or one for each (neuron, channel,
            ...). Channels that are not varied stay as they are.
        channels: the two, by number or name.
        start: lowest contrast.
        stop: highest contrast; it is on the grid if it is a whole number of steps away.
        step: from one contrast to the next.
        window: bins of the stimulus over which the response is averaged (first, one after the last); all that have
            enough history if None.
        session: whose neurons; all sessions' if None.
        neurons: their numbers; all if None.
        device: where to compute.
        batch_size: stimuli shown at once. On a CPU, larger batches are slower.

    Raises:
        UserError: if the stimulus, a channel, the grid or the window does not fit.
    """
    one = subject(model, session=session, neurons=neurons, device=device)
    stimulus = one.frames(stimulus)
    if stimulus.ndim == 5 and len(stimulus) != len(one.neurons):
        raise UserError(f"there are {len(stimulus)} stimuli for {len(one.neurons)} neurons: give one, or one for each")
    stimuli = np.broadcast_to(stimulus, (len(one.neurons), *stimulus.shape[-4:]))
    one.examine(stimuli)
    check_batch_size(batch_size)
    first, last = checked_window(one, window, stimuli.shape[2])
    # What the window does not see is not shown.
    shown = torch.from_numpy(stimuli[:, :, first - one.lag : last].copy())
    numbers = [_channel(one, channel) for channel in channels]
    if numbers[0] == numbers[1]:
        raise UserError(f"the two channels must differ, both are {one.channels[numbers[0]]}")
    contrasts = _grid(start, stop, step)
    pairs = torch.tensor(list(product(contrasts, contrasts)), dtype=torch.float32)
    response, gradient = _respond(one, shown, numbers, pairs, batch_size)
    shape = (len(contrasts), len(contrasts))
    return ContrastGradients(
        gradient=gradient.reshape(-1, *shape, 2).movedim(-1, 1).numpy(),
        response=response.reshape(-1, *shape).numpy(),
        first=contrasts,
        second=contrasts,
        channels=(one.channels[numbers[0]], one.channels[numbers[1]]),
        neurons=one.table(),
    )


def equal_contrast(
    stimulus: Float[np.ndarray, "*neuron channel time height width"],
) -> Float[np.ndarray, "*neuron channel time height width"]:
    """The stimulus with channels of the same norm, and its own norm, so that contrasts of channels can be compared.

    Raises:
        UserError: if a channel is empty.
    """
    norm = np.sqrt(np.square(stimulus).sum(axis=(-3, -2, -1), keepdims=True))
    if not (norm > 0).all():
        raise UserError("a channel of the stimulus is 0 everywhere: it cannot be scaled to the norm of the others")
    return stimulus / norm * np.sqrt(np.square(norm).mean(axis=-4, keepdims=True))


def _respond(
    one: Subject, shown: Tensor, channels: Sequence[int], pairs: Tensor, batch_size: int
) -> tuple[Tensor, Tensor]:
    """Mean response of every neuron to its stimulus at each pair of contrasts (neuron, pair), and gradient (..., 2)."""
    conditions = torch.cartesian_prod(torch.arange(len(shown)), torch.arange(len(pairs)))
    responses, gradients = [], []
    parts = conditions.split(batch_size)
    with frozen(one.model), torch.enable_grad():
        first, rest = one.linear_stage
        # Every condition is a sum of three stimuli: the two channels, times their contrasts, and the others.
        apart = shown[:, None].repeat(1, 3, 1, 1, 1, 1)  # (neuron, part, channel, time, height, width)
        mask = torch.zeros(3, shown.shape[1])
        mask[0, channels[0]], mask[1, channels[1]] = 1, 1
        mask[2] = 1 - mask[:2].sum(dim=0)
        seen = first((apart * mask[:, :, None, None, None]).flatten(0, 1)).unflatten(0, (-1, 3))
        for part in tqdm(parts, delay=5, leave=False):
            neuron, pair = part.T.to(one.device)
            contrast = pairs.to(one.device)[pair].requires_grad_()
            scale = torch.cat([contrast, torch.ones_like(contrast[:, :1])], dim=1)
            rates = rest(torch.einsum("bp,bp...->b...", scale, seen[neuron])).mean(dim=1)
            response = rates.gather(1, neuron[:, None])[:, 0]
            gradients.append(torch.autograd.grad(response.sum(), contrast)[0].cpu())
            responses.append(response.detach().cpu())
    return torch.cat(responses).view(len(shown), -1), torch.cat(gradients).view(len(shown), -1, 2)


def _grid(start: float, stop: float, step: float) -> Float[np.ndarray, " contrast"]:
    if not step > 0 or not stop >= start:
        raise UserError(f"a grid needs start <= stop and a step above 0, not start={start}, stop={stop}, step={step}")
    return start + step * np.arange(int((stop - start) / step + 1e-6) + 1)


def _channel(one: Subject, channel: int | str) -> int:
    if channel in one.channels:
        return one.channels.index(channel)
    if isinstance(channel, str) or not 0 <= channel < len(one.channels):
        raise unknown("channel of the stimulus", str(channel), [*one.channels, *map(str, range(len(one.channels)))])
    return int(channel)
