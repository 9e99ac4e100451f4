"""What happens inside a model: a layer's activations during stimuli, and what if they were others."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from itertools import chain
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from retina_nb.errors import UserError, unknown

# Bins of stimulus that a model is given at once.
_BLOCK = 600


@torch.no_grad()
def collect_activations(
    model: Any,
    layer: str,
    stimuli: Iterable[Float[Tensor, "_ channel _ height width"]],
    *,
    session: str | None = None,
    samples: int = 50_000,
    seed: int = 0,
) -> Float[Tensor, "sample unit"]:
    """What a layer of a model does during stimuli, for `samples` of its places and bins drawn at random.

    A layer of feature movies (batch, feature, time, height, width) gives a sample for every place and bin, whose units
    are the features; any other gives one for all but its last axis, as a readout's (batch, time, neuron).

    Args:
        model: anything that is called as ``model(stimulus, session)``.
        layer: name of the layer, one of ``dict(model.named_modules())``, e.g. ``"core"``; ``""`` is the model itself.
        stimuli: any number of stimuli (batch, channel, time, height, width); long ones are shown in parts, and only
            `samples` and what one part makes are held in memory.
        session: whose readout the model is called with; all sessions' if None.
        samples: at most so many are kept.
        seed: fixes which.

    Raises:
        UserError: if there is no such layer, it makes no tensor or is not reached, or a stimulus lacks an axis.
    """
    rng = torch.Generator().manual_seed(seed)
    kept, keys = torch.zeros(0), torch.zeros(0, dtype=torch.float64)
    seen: list[Tensor] = []
    hook = layer_named(model, layer).register_forward_hook(lambda _, inputs, output: seen.append(_rows(output, layer)))
    training, device = model.training, next(chain(model.parameters(), model.buffers()), kept).device
    model.eval()
    try:
        for part in _parts(stimuli, model.lag):
            seen.clear()
            model(part.to(device), session)
            for rows in seen:
                # The rows with the smallest keys of all: a random sample, whatever their number turns out to be.
                kept = torch.cat([kept.reshape(-1, rows.shape[1]), rows.cpu()])
                keys = torch.cat([keys, torch.rand(len(rows), generator=rng, dtype=torch.float64)])
                if len(keys) > samples:
                    keys, order = keys.topk(samples, largest=False)
                    kept = kept[order]
    finally:
        hook.remove()
        model.train(training)
    if not len(keys):
        raise UserError(f"layer {layer!r} was not reached: give stimuli, and the session whose readout it is in")
    return kept


@contextmanager
def replaced_activations(model: Any, layer: str, by: Callable[[Tensor], Tensor]) -> Iterator[None]:
    """While it lasts, a layer of the model gives something else, e.g. what an autoencoder makes of its activations.

    Scores inside, beside those outside, say what is lost for prediction:

    >>> with replaced_activations(twin, "core", autoencoder):
    ...     scores = evaluate(twin, recordings)

    Args:
        model: any module.
        layer: name of the layer, as for `collect_activations`.
        by: from activations (sample, unit) to others of the same shape.

    Raises:
        UserError: if there is no such layer, or it makes no tensor.
    """

    def replace(_: nn.Module, inputs: Any, output: Tensor) -> Tensor:
        axis = _unit_axis(output)
        rows = by(_rows(output, layer))
        return rows.reshape(output.movedim(axis, -1).shape).movedim(-1, axis)

    hook = layer_named(model, layer).register_forward_hook(replace)
    try:
        yield
    finally:
        hook.remove()


def layer_named(model: nn.Module, name: str) -> nn.Module:
    """A layer of a model by its name.

    Raises:
        UserError: if there is none.
    """
    layers = dict(model.named_modules())
    if name not in layers:
        raise unknown("layer", name, layers.keys() - {""})
    return layers[name]


def _parts(stimuli: Iterable[Tensor], lag: int) -> Iterator[Tensor]:
    for stimulus in stimuli:
        if stimulus.ndim != 5:
            raise UserError(
                "stimuli must be some of (batch, channel, time, height, width), in a list if there is one, "
                f"not of {tuple(stimulus.shape)}"
            )
        for start in range(lag, stimulus.shape[2], _BLOCK):
            yield stimulus[:, :, start - lag : start + _BLOCK]


def _unit_axis(output: Tensor) -> int:
    return 1 if output.ndim >= 4 else -1


def _rows(output: Any, layer: str) -> Tensor:
    if not isinstance(output, Tensor):
        raise UserError(f"layer {layer} does not make one tensor but {type(output).__name__}: choose another")
    return output.movedim(_unit_axis(output), -1).flatten(0, -2)
