"""What is measured of a neuron's rates, and how two numbers compare."""

import numpy as np
from jaxtyping import Float

from retina_nb.analyses.presentations import Measure
from retina_nb.errors import UserError


def strongest(window: int) -> Measure:
    """The largest mean rate of any `window` consecutive bins."""

    def measure(rates: Float[np.ndarray, "*shape time"]) -> Float[np.ndarray, "*shape"]:
        if rates.shape[-1] < window:
            raise UserError(f"the window of {window} bins is longer than a stimulus of {rates.shape[-1]}: shorten it")
        total = np.pad(rates.cumsum(axis=-1, dtype=np.float64), [*[(0, 0)] * (rates.ndim - 1), (1, 0)])
        return (total[..., window:] - total[..., :-window]).max(axis=-1) / window

    return measure


def mean_from(first: int) -> Measure:
    """The mean rate from bin `first` on."""

    def measure(rates: Float[np.ndarray, "*shape time"]) -> Float[np.ndarray, "*shape"]:
        return from_bin(rates, first).mean(axis=-1)

    return measure


def from_bin(rates: Float[np.ndarray, "*shape time"], first: int) -> Float[np.ndarray, "*shape time_left"]:
    """What is left of rates without their first bins.

    Raises:
        UserError: if nothing is.
    """
    if rates.shape[-1] <= first:
        raise UserError(f"nothing is left of a stimulus of {rates.shape[-1]} bins after {first}: show it for longer")
    return rates[..., first:]


def relative_difference(a: Float[np.ndarray, "*shape"], b: Float[np.ndarray, "*shape"]) -> Float[np.ndarray, "*shape"]:
    """(a - b) / (a + b) of numbers that are not negative; 0 where both are nothing."""
    return np.divide(a - b, a + b, out=np.zeros_like(a), where=a + b > 1e-3)
