"""Linear prediction of responses from the coarse stimulus around them."""

import numpy as np
from jaxtyping import Bool, Float, Float32, Int64
from scipy.linalg import solve

from retina_nb.quality.fingerprints import Watched

_BEFORE, _AFTER = 0.35, 0.2  # seconds of stimulus before and after a response
_FEATURES = 1000  # numbers from which a response is predicted
_RIDGE = 0.3  # penalty, in units of the mean variance of a feature
_BLOCK = 2048  # bins whose stimuli are in memory together


def lags_at(rate: float) -> Int64[np.ndarray, " lag"]:
    """The lags that predict a response (bins): how long before it a frame was shown; negative after it."""
    return np.arange(-max(3, round(_AFTER * rate)), round(_BEFORE * rate) + 1)


def features_at(rate: float, channels: int) -> int:
    """How many numbers may stand for a frame, so that those at all lags are not too many."""
    return max(channels * 9, _FEATURES // len(lags_at(rate)))


def bins_with_surroundings(watched: Watched, lags: Int64[np.ndarray, " lag"]) -> Bool[np.ndarray, " time"]:
    """The bins at all of whose lags there is a frame of the same presentation that was looked at."""
    recording = watched.recording
    bins, ends = np.arange(len(recording)), np.append(recording.onsets[1:], len(recording))
    first, last = bins - lags.max(), bins - lags.min()
    inside = (recording.history >= lags.max()) & (last < ends[recording.presentation])
    missing = np.cumsum(np.append(0, watched.rows < 0))
    inside[inside] = missing[last[inside] + 1] == missing[first[inside]]
    return inside


class CoarseRegression:
    """Ridge regression of responses on the coarse stimulus at some lags.

    Args:
        watched: a session.
        lags: see `lags_at`.
        bins: from which it is learned.
        responses: to the same stimulus.

    Attributes:
        power: (neuron, lag) sum of the squared weights at each lag.
    """

    def __init__(
        self,
        watched: Watched,
        lags: Int64[np.ndarray, " lag"],
        bins: Int64[np.ndarray, " bin"],
        responses: Float32[np.ndarray, "bin neuron"],
    ) -> None:
        self._watched, self._lags = watched, lags
        size = len(lags) * watched.prints.coarse.shape[1]
        sums, squares = np.zeros(size, np.float32), np.zeros((size, size), np.float32)
        products = np.zeros((size, responses.shape[1]), np.float32)
        centred = responses - responses.mean(axis=0)
        for start in range(0, len(bins), _BLOCK):
            stimulus = self._stimulus(bins[start : start + _BLOCK])
            sums += stimulus.sum(axis=0)
            squares += stimulus.T @ stimulus
            products += stimulus.T @ centred[start : start + _BLOCK]
        self._mean = sums / len(bins)
        covariance = squares / len(bins) - np.outer(self._mean, self._mean)
        covariance.flat[:: size + 1] += _RIDGE * max(np.trace(covariance) / size, 1e-12)
        weights = solve(covariance, products / len(bins), assume_a="pos").reshape(len(lags), -1, responses.shape[1])
        self.power = np.square(weights).sum(axis=1).T
        # Predictions get better by the product of a course in time and a map in space that comes closest.
        course, scale, space = np.linalg.svd(weights.transpose(2, 0, 1), full_matrices=False)
        separable = (course[:, :, :1] * scale[:, None, :1]) @ space[:, :1]  # (neuron, lag, feature)
        self._weights = separable.reshape(responses.shape[1], size).T

    def predict(self, bins: Int64[np.ndarray, " bin"], neurons: slice) -> Float[np.ndarray, "bin neuron"]:
        """The part of some neurons' responses that the stimulus predicts."""
        weights = self._weights[:, neurons]
        made = np.empty((len(bins), weights.shape[1]), weights.dtype)
        for start in range(0, len(bins), _BLOCK):
            part = slice(start, start + _BLOCK)
            made[part] = (self._stimulus(bins[part]) - self._mean) @ weights
        return made

    def _stimulus(self, bins: np.ndarray) -> np.ndarray:
        rows = self._watched.rows[bins[:, None] - self._lags]
        return self._watched.prints.coarse[rows].reshape(len(bins), -1)
