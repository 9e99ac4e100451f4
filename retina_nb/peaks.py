"""Where a curve that is known in bins has its peak, between the bins."""

import numpy as np
from jaxtyping import Float


def peak_place(curves: Float[np.ndarray, "*curve place"]) -> Float[np.ndarray, "*curve"]:
    """Where each curve is largest, by the parabola through its largest value and both neighbours.

    A largest value at an end is where it is.
    """
    top = curves.argmax(axis=-1)
    inside = np.clip(top, 1, curves.shape[-1] - 2)
    left, middle, right = (np.take_along_axis(curves, inside[..., None] + step, -1)[..., 0] for step in (-1, 0, 1))
    bend = left - 2 * middle + right
    shift = np.divide(left - right, 2 * bend, out=np.zeros(top.shape), where=(bend < 0) & (top == inside))
    return np.asarray(top + shift)
