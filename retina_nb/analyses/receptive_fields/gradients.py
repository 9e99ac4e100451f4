"""The receptive field of a model: the gradient of its response at operating points of the stimulus."""

from collections.abc import Iterable
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor
from tqdm.auto import tqdm

from retina_nb.analyses.receptive_fields.fields import ReceptiveFields, make_fields
from retina_nb.analyses.subjects import Subject, check_batch_size, frozen, subject
from retina_nb.recording import Recording

# Gradients, of a neuron at a batch of stimuli, beyond which progress is shown.
_LONG = 500

Stimuli = Float[np.ndarray, "stimulus channel time height width"]


def receptive_fields(
    model: Any,
    at: Stimuli | None = None,
    *,
    session: str | None = None,
    neurons: int | Iterable[int] | None = None,
    device: str | torch.device | None = None,
    batch_size: int = 32,
) -> ReceptiveFields:
    """Gradient of each neuron's last response to some stimuli with respect to them, averaged over the stimuli.

    This is the linear receptive field around an operating point. A cell that responds to both polarities has none at
    grey; the `sensitivity` at other stimuli shows where it looks all the same.

    Args:
        model: a twin, ensemble, baseline or truth.
        at: the operating points, of ``model.lag + 1`` bins or more; see `operating_points`. Grey if None.
        session: whose neurons; all sessions' if None.
        neurons: their numbers; all if None.
        device: where to move the model.
        batch_size: operating points that are looked at at once.

    Raises:
        UserError: if there is no such session or neuron, or the stimuli do not fit the model.
    """
    watching = subject(model, session=session, neurons=neurons, device=device)
    channel, height, width = watching.stimulus_shape
    grey = np.zeros((1, channel, watching.lag + 1, height, width), dtype=np.float32)
    points = grey if at is None else np.ascontiguousarray(at[:, :, -watching.lag - 1 :], dtype=np.float32)
    watching.examine(points)
    check_batch_size(batch_size)
    table, stimuli = watching.table(), torch.from_numpy(points).split(batch_size)
    linear = np.zeros((len(table), *points.shape[1:]), dtype=np.float32)
    power = np.zeros((len(table), height, width), dtype=np.float32)
    total = len(table) * len(stimuli)
    with (
        frozen(watching.model),
        torch.enable_grad(),
        tqdm(total=total, disable=total <= _LONG, leave=False) as progress,
    ):
        # Session by session, so that a graph has no more neurons than needed.
        for name, chosen in table.groupby("session")["neuron"]:
            here = subject(watching.model, session=str(name), neurons=chosen)
            for part in stimuli:
                gradients = _gradients(here, part.to(watching.device))
                for row, gradient in zip(chosen.index, gradients, strict=True):
                    linear[row] += gradient.sum(dim=0).cpu().numpy()
                    power[row] += gradient.square().sum(dim=(0, 1, 2)).cpu().numpy()
                    progress.update()
    linear /= len(points)
    sensitivity = np.sqrt(power / (len(points) * channel * linear.shape[2]))
    return make_fields(linear, sensitivity, rate=watching.rate, pixel_um=watching.pixel_um, neurons=table)


def operating_points(
    recording: Recording, lag: int, *, stimuli: int = 32, split: str = "validation", seed: int = 0
) -> Stimuli:
    """Stretches of what a recorded retina saw, of ``lag + 1`` bins of one presentation, drawn at random.

    Args:
        recording: a session.
        lag: of the model to which they are shown.
        stimuli: how many.
        split: the bins that they end with.
        seed: fixes the draw.

    Raises:
        UserError: if no bin of the split has the history.
    """
    bins = recording.bins_with_history(split, lag)
    ends = np.random.default_rng(seed).choice(bins, min(stimuli, len(bins)), replace=False)
    windows = recording.stimulus_at((ends[:, None] + np.arange(-lag, 1)).ravel())
    channel, _, height, width = windows.shape
    return np.ascontiguousarray(windows.reshape(channel, len(ends), lag + 1, height, width).swapaxes(0, 1))


def _gradients(watching: Subject, points: Tensor) -> Iterable[Tensor]:
    """Each neuron's gradient (stimulus, channel, lag, height, width)."""
    points.requires_grad_()
    rates = watching.respond(points)[:, -1].sum(dim=0)
    for rate in rates:
        yield torch.autograd.grad(rate, points, retain_graph=True)[0]
