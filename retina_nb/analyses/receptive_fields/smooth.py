"""A regularised estimate of receptive fields from any stimulus: smooth, and free of the stimulus's own correlations."""

from collections.abc import Iterable

import numpy as np
from jaxtyping import Float
from scipy.ndimage import gaussian_filter
from scipy.sparse.linalg import LinearOperator, cg
from tqdm.auto import tqdm

from retina_nb.analyses.receptive_fields.fields import ReceptiveFields, make_fields
from retina_nb.analyses.receptive_fields.reverse_correlation import neuron_table
from retina_nb.analyses.receptive_fields.windows import corners_of, seen_before
from retina_nb.analyses.subjects import chosen_neurons
from retina_nb.errors import UserError
from retina_nb.metrics import pearson
from retina_nb.models.locate import locate_receptive_fields
from retina_nb.recording import Recording

_LONG = 12  # neurons beyond which progress is shown
_ITERATIONS = 15  # of conjugate gradients: what they have not found by then is noise
_CONVERGED = 1e-5  # of the residual: iterations beyond what single precision resolves divide zero by zero


def smooth_receptive_fields(
    recording: Recording,
    *,
    neurons: int | Iterable[int] | None = None,
    centers: Float[np.ndarray, "neuron 2"] | None = None,
    window: int = 11,
    lags: int = 16,
    smoothness: float = 1.0,
    strengths: tuple[float, ...] = (0.1, 1.0, 10.0),
    split: str = "train",
    held_out: str = "validation",
) -> ReceptiveFields:
    """Linear filters that predict the responses best, given that they are smooth in space and time.

    Ridge regression of a filter that is a blurred one, the posterior mean under a Gaussian prior whose covariance falls
    with the distance of pixels and bins (Sahani & Linden 2003, NeurIPS). It divides out the correlations of natural
    stimuli, which an average does not. Each neuron gets the strength that predicts held-out bins best.

    Args:
        recording: a session.
        neurons: whose; all if None. A neuron takes about a second.
        centers: place (y, x) of each neuron of the recording (pixels); estimated if None.
        window: side of the square around a neuron outside which its filter is 0 (pixels), at most the screen's.
        lags: bins of history, the present included.
        smoothness: standard deviation of the blur (pixels and bins).
        strengths: noise variances to try, relative to the mean power of the stimulus.
        split, held_out: bins to estimate from, and to choose the strength on.

    Raises:
        UserError: if no bin of the splits has the history, there is no such neuron, or nothing is tried.
    """
    if not strengths or min(strengths) <= 0:
        raise UserError(f"strengths={strengths} must have at least one number, all above 0")
    chosen = chosen_neurons(neurons, recording.n_neurons, f"session {recording.session}")
    bins, tests = (recording.bins_with_history(one, lags - 1) for one in (split, held_out))
    channel, height, width = recording.movie.frame_shape
    window = min(window, height, width)
    places = locate_receptive_fields(recording) if centers is None else centers
    corners = corners_of(recording, places, window)
    linear = np.zeros((len(chosen), channel, lags, height, width), dtype=np.float32)
    parts = zip(linear, chosen, strict=True)
    for field, neuron in tqdm(parts, total=len(chosen), disable=len(chosen) <= _LONG, leave=False):
        corner = corners[neuron]
        seen, later = (seen_before(recording, part, lags, corner, window) for part in (bins, tests))
        response, answer = (recording.responses[part, neuron].astype(np.float32) for part in (bins, tests))
        tried = _ridge(seen, response, (channel, lags, window, window), smoothness, strengths)
        scores = pearson(later @ tried.T, answer[:, None].repeat(len(tried), axis=1))
        y, x = corner
        best = tried[np.nan_to_num(scores).argmax()]
        field[:, :, y : y + window, x : x + window] = best.reshape(channel, lags, window, window)
    return make_fields(
        linear,
        np.sqrt((linear**2).mean(axis=(1, 2))),
        rate=recording.rate,
        pixel_um=recording.pixel_um,
        neurons=neuron_table(recording).iloc[chosen].reset_index(drop=True),
    )


def _ridge(
    seen: np.ndarray, response: np.ndarray, shape: tuple[int, ...], smoothness: float, strengths: tuple[float, ...]
) -> Float[np.ndarray, "strength dimension"]:
    """The filter at each strength, by conjugate gradients."""
    seen = seen - seen.mean(axis=0)
    level = float((seen**2).mean())

    def blur(one: np.ndarray) -> np.ndarray:
        return gaussian_filter(one.reshape(shape), (0, *[smoothness] * 3), mode="constant").ravel()

    target = blur(seen.T @ (response - response.mean())) / len(seen)

    def solved(strength: float) -> np.ndarray:
        def normal(one: np.ndarray) -> np.ndarray:
            return blur(seen.T @ (seen @ blur(one))) / len(seen) + strength * level * one

        matrix = LinearOperator((len(target), len(target)), matvec=normal, dtype=target.dtype)
        return cg(matrix, target, rtol=_CONVERGED, maxiter=_ITERATIONS)[0]

    return np.stack([blur(solved(strength)) for strength in strengths])
