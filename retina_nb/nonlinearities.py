"""Nonlinearities by name, and the inverses from which biases start."""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from retina_nb.errors import unknown

NONLINEARITIES: dict[str, Callable[[Tensor], Tensor]] = {
    "celu": F.celu,
    "elu": F.elu,
    "exp": torch.exp,
    "gelu": F.gelu,
    "identity": lambda x: x,
    "leaky_relu": F.leaky_relu,
    "mish": F.mish,
    "relu": F.relu,
    "selu": F.selu,
    "sigmoid": torch.sigmoid,
    "silu": F.silu,
    "softplus": F.softplus,
    "tanh": torch.tanh,
}


def nonlinearity(name: str) -> Callable[[Tensor], Tensor]:
    """The function of this name.

    Raises:
        UserError: if there is none, with the closest of those that exist.
    """
    if name not in NONLINEARITIES:
        raise unknown("nonlinearity", name, NONLINEARITIES)
    return NONLINEARITIES[name]


def inverse(name: str, rate: Tensor) -> Tensor:
    """What a nonlinearity takes to a positive rate; the rate itself where it has no inverse there."""
    match name:
        case "softplus":
            return rate + torch.log(-torch.expm1(-rate))
        case "exp":
            return rate.log()
        case "sigmoid":
            return torch.logit(rate, eps=1e-6)
        case "tanh":
            return torch.atanh(rate.clamp(max=1 - 1e-6))
    return rate
