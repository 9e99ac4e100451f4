"""What a response is owed to: the pixels of a stimulus, or the hidden channels that it passes through.

Both methods follow the response along the straight path from a baseline, a grey screen, to the stimulus. What they give
to parts adds up to the change of the response: integrated gradients (Sundararajan, Taly & Yan 2017, arXiv:1703.01365)
to pixels, conductance (Dhamdhere, Sundararajan & Yan 2019, arXiv:1805.12233) to the units of a layer.
"""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import torch
from jaxtyping import Float
from torch import Tensor

from retina_nb.analyses.subjects import One, Subject, check_batch_size, checked_window, frozen, subject
from retina_nb.errors import UserError
from retina_nb.models.activations import layer_named
from retina_nb.representations import one_line


@one_line
@dataclass(frozen=True)
class Attribution:
    """How much of the change of each neuron's response parts of the stimulus, or of a layer, have brought about.

    Args:
        parts: what each part is owed (events per bin): pixels (channel, time, height, width), or the channels of a
            layer over time (unit, time). Bins are those of the stimulus; zero where the window does not see.
        response: mean rate in the window to the stimulus (events per bin).
        baseline: the same to the baseline.
        neurons: a row for each neuron: ``session`` and ``neuron``.
    """

    parts: Float[np.ndarray, "neuron part time *place"]
    response: Float[np.ndarray, " neuron"]
    baseline: Float[np.ndarray, " neuron"]
    neurons: pd.DataFrame

    @property
    def error(self) -> Float[np.ndarray, " neuron"]:
        """By how much the sum of all parts misses the change of the response (events per bin): 0 were it complete."""
        return self.parts.reshape(len(self.parts), -1).sum(axis=1) - (self.response - self.baseline)

    def to_dataframe(self) -> pd.DataFrame:
        """A row for each neuron: ``session``, ``neuron``, ``response``, ``baseline`` and ``error`` (events per bin)."""
        return self.neurons.assign(response=self.response, baseline=self.baseline, error=self.error)


def integrated_gradients(
    model: Any,
    stimulus: One,
    *,
    baseline: Float[np.ndarray, "_ _ _ _"] | None = None,
    window: tuple[int, int] | None = None,
    steps: int = 32,
    session: str | None = None,
    neurons: int | Iterable[int] | None = None,
    device: str | torch.device | None = None,
    batch_size: int = 32,
) -> Attribution:
    """What each pixel of a stimulus, in each bin, contributes to the response in a window.

    Args:
        model: a twin, ensemble or truth.
        stimulus: in units of contrast (channel, time, height, width), or a `Stimulus`.
        baseline: what the stimulus is compared with, of the same shape; grey if None.
        window: bins of the stimulus over which the response is averaged (first, one after the last); all that have
            enough history if None.
        steps: points of the Gauss-Legendre rule on the path; look at ``error`` for whether there are enough.
        session: whose neurons; all sessions' if None.
        neurons: their numbers; all if None.
        device: where to compute.
        batch_size: points that are computed at once.

    Raises:
        UserError: if stimulus, baseline or window do not fit.
    """
    one = subject(model, session=session, neurons=neurons, device=device)
    stimulus = one.frames(stimulus)
    ends, (first, last) = _ends(one, stimulus, baseline, window, steps, batch_size)
    nodes, weights = (torch.tensor(column, dtype=torch.float32, device=one.device) for column in _rule(steps))
    with frozen(one.model), torch.enable_grad():
        stage, rest = one.linear_stage
        change = (ends[1:] - ends[:1]).requires_grad_()
        moved, seen = stage(change), stage(ends).detach()
        total: list[Any] = [0] * len(one.neurons)
        for node, weight in zip(nodes.split(batch_size), weights.split(batch_size), strict=True):
            part = torch.lerp(seen[:1], seen[1:], node.view(-1, 1, 1, 1, 1)).requires_grad_()
            for row, rate in enumerate((rest(part).mean(dim=1) * weight[:, None]).sum(dim=0)):
                total[row] += torch.autograd.grad(rate, part, retain_graph=True)[0].sum(dim=0)
        gradients = [torch.autograd.grad(moved, change, one_total[None], retain_graph=True)[0] for one_total in total]
        rates = rest(seen).mean(dim=1).detach().cpu().numpy()
    parts = np.zeros((len(gradients), *stimulus.shape), dtype=np.float32)
    parts[:, :, first - one.lag : last] = (torch.cat(gradients) * change).detach().cpu().numpy()
    return Attribution(parts, rates[1], rates[0], one.table())


def conductance(
    model: Any,
    stimulus: One,
    layer: str,
    *,
    baseline: Float[np.ndarray, "_ _ _ _"] | None = None,
    window: tuple[int, int] | None = None,
    steps: int = 32,
    session: str | None = None,
    neurons: int | Iterable[int] | None = None,
    device: str | torch.device | None = None,
    batch_size: int = 16,
) -> Attribution:
    """What passes through each channel of a layer in each bin, on its way from the stimulus to the response.

    Args:
        model: a twin, or another model with layers of feature movies (batch, feature, time, height, width).
        stimulus: in units of contrast (channel, time, height, width), or a `Stimulus`.
        layer: its name, e.g. ``"core.layers.0"``; what comes out of it is looked at.
        baseline, window, session, neurons, device: as for `integrated_gradients`.
        steps: of the midpoint rule on the path; look at ``error`` for whether there are enough.
        batch_size: steps that are computed at once.

    Raises:
        UserError: if stimulus, baseline or window do not fit, there is no such layer or it makes no feature movie.
    """
    one = subject(model, session=session, neurons=neurons, device=device)
    stimulus = one.frames(stimulus)
    ends, (_, last) = _ends(one, stimulus, baseline, window, steps, batch_size)
    total: Any = 0
    with frozen(one.model), torch.enable_grad(), layer_output(one.model, layer) as output:
        for start in range(0, steps, batch_size):
            stop = min(start + batch_size, steps)
            # Edges and middles of the steps, in turn.
            path = torch.linspace(start / steps, stop / steps, 2 * (stop - start) + 1, device=one.device)
            shown = torch.lerp(ends[:1], ends[1:], path.view(-1, 1, 1, 1, 1)).requires_grad_()
            rates = one.respond(shown).mean(dim=1)
            hidden = output()
            moved = (hidden[2::2] - hidden[:-2:2]).detach()
            gradients = [
                torch.autograd.grad(rate, hidden, retain_graph=True)[0][1::2] for rate in rates[1::2].sum(dim=0)
            ]
            total += torch.stack([(gradient * moved).sum(dim=(0, 3, 4)) for gradient in gradients])
        response, base = (one.respond(end[None]).mean(dim=1)[0].detach().cpu().numpy() for end in (ends[1], ends[0]))
    parts = np.zeros((*total.shape[:2], stimulus.shape[1]), dtype=np.float32)
    parts[:, :, last - total.shape[2] : last] = total.cpu().numpy()
    return Attribution(parts, response, base, one.table())


@contextmanager
def layer_output(model: Any, layer: str) -> Iterator[Any]:
    """While it lasts, gives a function that returns what a layer made last: (batch, feature, time, height, width).

    Raises:
        UserError: if there is no such layer; the function, if it makes no feature movie or was not reached once.
    """
    seen: list[Any] = []
    hook = layer_named(model, layer).register_forward_hook(lambda _, inputs, output: seen.append(output))

    def last() -> Tensor:
        made = list(seen)
        seen.clear()
        if len(made) != 1:
            raise UserError(f"layer {layer!r} was reached {len(made)} times, not once: choose a session, or another")
        if not isinstance(made[0], Tensor) or made[0].ndim != 5:
            raise UserError(f"layer {layer!r} does not make one feature movie: choose another, e.g. 'core'")
        return made[0]

    try:
        yield last
    finally:
        hook.remove()


def _rule(steps: int) -> tuple[np.ndarray, np.ndarray]:
    """Nodes and weights of the Gauss-Legendre rule between 0 and 1."""
    nodes, weights = np.polynomial.legendre.leggauss(steps)
    return (1 + nodes) / 2, weights / 2


def _ends(
    one: Subject,
    stimulus: np.ndarray,
    baseline: np.ndarray | None,
    window: tuple[int, int] | None,
    steps: int,
    batch_size: int,
) -> tuple[Tensor, tuple[int, int]]:
    """Baseline and stimulus (2, channel, time, height, width), as far as the window sees them; and the window."""
    one.examine(stimulus[None])
    baseline = np.zeros_like(stimulus) if baseline is None else baseline
    if baseline.shape != stimulus.shape:
        raise UserError(f"the baseline {baseline.shape} must have the shape of the stimulus {stimulus.shape}")
    one.examine(baseline[None])
    check_batch_size(batch_size)
    if steps < 1:
        raise UserError(f"the path needs one step or more, not {steps}")
    first, last = checked_window(one, window, stimulus.shape[1])
    shown = np.stack([baseline, stimulus]).astype(np.float32)[:, :, first - one.lag : last]
    return torch.from_numpy(shown.copy()).to(one.device), (first, last)
