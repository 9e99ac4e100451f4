"""Spike times to counts: bins share their edges, so no spike is counted twice or lost between two bins."""

from typing import Any

import numpy as np
from jaxtyping import Float64, Int64

from retina_nb.errors import UserError

# Frames and bins per second (Hz) that an experiment can have: from 17 minutes to 10 µs each.
SLOWEST, FASTEST = 1e-3, 1e5


def check_rate(rate: Any, what: str) -> float:
    """A rate in Hz that an experiment can have.

    Raises:
        UserError: naming `what`, if it is not a number between `SLOWEST` and `FASTEST`.
    """
    if not isinstance(rate, int | float | np.number) or not SLOWEST <= rate <= FASTEST:
        given = rate if isinstance(rate, int | float) else repr(rate)
        raise UserError(f"{what} must be a positive number, from {SLOWEST:g} to {FASTEST:g} Hz, not {given}")
    return float(rate)


def even_edges(start: float, n: int, rate: float) -> Float64[np.ndarray, " edge"]:
    """Edges (s) of `n` bins of equal length.

    Each is computed from the start, so that rounding does not add up: the last is ``start + n / rate``.

    Args:
        start: where the first bin starts (s).
        n: number of bins.
        rate: bins per second (Hz).
    """
    return start + np.arange(n + 1) / rate


def count_spikes(
    times: Float64[np.ndarray, " spike"], edges: Float64[np.ndarray, " edge"]
) -> Int64[np.ndarray, " bin"]:
    """Number of spikes in each bin.

    Bin i has the spikes with ``edges[i] <= time < edges[i + 1]``. All bins together have each spike with
    ``edges[0] <= time < edges[-1]`` once; a spike on the last edge is outside.

    Args:
        times: of the spikes (s), ascending.
        edges: one more than there are bins (s), ascending.
    """
    return np.diff(np.searchsorted(times, edges))
