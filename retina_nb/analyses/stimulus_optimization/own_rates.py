"""The rate of one neuron for each stimulus, without the work for all the others."""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor

from retina_nb import nonlinearities
from retina_nb.analyses.subjects import Subject
from retina_nb.loaders.simulated.truth import Truth
from retina_nb.models.core_readout import CoreReadout
from retina_nb.models.ensemble import Ensemble
from retina_nb.readouts.base import LinearReadout

OwnRates = Callable[[Tensor, Tensor], Tensor]


def own_rates(subject: Subject) -> OwnRates:
    """A function from stimuli (row, channel, time, height, width) and each row's neuron to its rates (row, time_out).

    Neurons are counted among the subject's. Gradients flow to the stimuli. A twin's core sees every stimulus once, and
    each row is weighed by its own neuron's readout alone; weights are composed once, here. An ensemble's rates are the
    mean of its members'.
    """
    return _own_rates(subject, subject.model)


def _own_rates(subject: Subject, model: Any) -> OwnRates:
    if isinstance(model, Ensemble):
        members = [(int(member.lag), _own_rates(subject, member)) for member in model.members]  # type: ignore[arg-type]
        return lambda stimulus, neuron: torch.stack(
            [rates(stimulus, neuron)[:, model.lag - lag :] for lag, rates in members]
        ).mean(dim=0)
    if isinstance(model, Truth):
        return lambda stimulus, neuron: _of_truth(model, subject, stimulus, neuron)
    if isinstance(model, CoreReadout):
        product = _product(subject, model)
        if product is not None:
            return product

    def of_any(stimulus: Tensor, neuron: Tensor) -> Tensor:
        index = torch.as_tensor(subject.neurons, device=subject.device)[neuron]
        rates = model(stimulus.to(subject.device), subject.session)
        return rates.gather(2, index[:, None, None].expand(-1, rates.shape[1], -1))[..., 0]

    return of_any


def _of_truth(model: Truth, subject: Subject, stimulus: Tensor, neuron: Tensor) -> Tensor:
    order, parts = [], []
    for one in neuron.unique():
        rows = (neuron == one).nonzero()[:, 0]
        order.append(rows)
        own = torch.from_numpy(subject.neurons[[int(one)]])
        parts.append(model(stimulus[rows], subject.session, own)[..., 0])
    return torch.cat(parts)[torch.cat(order).argsort()]


@torch.no_grad()
def _product(subject: Subject, twin: CoreReadout) -> OwnRates | None:
    """Rates by each row's readout weights; None if not all readouts are plain products of one nonlinearity."""
    sessions = twin.sessions if subject.session is None else [subject.session]
    readouts = [twin.session_readout(session) for session in sessions or [""]]
    plain = [one for one in readouts if isinstance(one, LinearReadout) and one.is_product and _rates_are_plain(one)]
    names = {one.nonlinearity for one in plain}
    if (
        len(plain) < len(readouts)
        or len(names) > 1
        or (twin.core.per_session and len(readouts) > 1)
        or twin.readout.lag
    ):
        return None
    index = torch.as_tensor(np.asarray(subject.neurons), device=subject.device)
    weights = torch.cat([one.weights() for one in plain], dim=-1).flatten(0, 2).T[index]  # (neuron, feature place)
    bias = torch.cat([one.bias for one in plain])[index]
    bend = nonlinearities.nonlinearity(names.pop())

    def rates(stimulus: Tensor, neuron: Tensor) -> Tensor:
        features = twin.features(stimulus, subject.session).movedim(2, 1).flatten(2)  # (row, time, feature place)
        drive = (features @ weights[neuron, :, None])[..., 0]
        return bend(drive + bias[neuron, None])

    return rates


def _rates_are_plain(readout: LinearReadout) -> bool:
    return type(readout).rate is LinearReadout.rate
