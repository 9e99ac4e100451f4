"""Losses. Each is a mean over the elements that count, so that no loss depends on batch, chunk or session size."""

import torch
from jaxtyping import Float
from torch import Tensor


def poisson_loss(rate: Float[Tensor, "*shape"], response: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
    """Negative Poisson log-likelihood of every element, without the term that depends on the response alone."""
    return rate - response * torch.log(rate + 1e-8)
