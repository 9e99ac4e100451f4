"""The part of the stimulus around each neuron, for estimates whose cost grows with the number of pixels."""

import numpy as np
from jaxtyping import Float, Int

from retina_nb.errors import UserError
from retina_nb.recording import Recording


def corners_of(recording: Recording, centers: Float[np.ndarray, "_ _"], window: int) -> Int[np.ndarray, "neuron 2"]:
    """Top left pixel (y, x) of the square around each neuron, moved to stay on the screen.

    Raises:
        UserError: if the square is larger than the screen, or there is not a finite place for each neuron.
    """
    height, width = recording.movie.frame_shape[1:]
    if not 1 <= window <= min(height, width):
        raise UserError(f"window={window} must be between 1 and the screen's smaller side, {min(height, width)} pixels")
    if np.shape(centers) != (recording.n_neurons, 2) or not np.isfinite(centers).all():
        raise UserError(f"centers= needs a finite (y, x) for each of {recording.n_neurons} neurons")
    return np.clip(np.rint(centers - (window - 1) / 2), 0, [height - window, width - window]).astype(int)


def seen_before(
    recording: Recording, bins: Int[np.ndarray, " bin"], lags: int, corner: Int[np.ndarray, " 2"], window: int
) -> Float[np.ndarray, "bin dimension"]:
    """What a neuron saw up to each bin, dimensions of (channel, lag, window, window)."""
    y, x = corner
    parts = [
        recording.stimulus_at(bins - (lags - 1 - lag))[:, :, y : y + window, x : x + window] for lag in range(lags)
    ]
    return np.stack(parts, axis=1).transpose(2, 0, 1, 3, 4).reshape(len(bins), -1).astype(np.float32)
