"""Reconstruction of the stimulus from the responses that follow it, by one linear filter for each cell and pixel."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import torch
from jaxtyping import Float, Int
from numpy.lib.stride_tricks import sliding_window_view

from retina_nb.analyses.populations.redundancy import check_sizes
from retina_nb.analyses.subjects import Many, subject
from retina_nb.errors import UserError
from retina_nb.representations import one_line
from retina_nb.stimuli import Stimulus

# Ridge penalties that are tried, in units of the mean variance of a response.
PENALTIES = tuple(10.0**power for power in range(-4, 4))


@one_line
@dataclass(frozen=True)
class LinearDecoder:
    """A linear reconstruction of each frame from the responses in its bin and those that follow.

    Args:
        weights: for each neuron, bin after the frame (0 is the frame's own) and value of the frame.
        offset: what is reconstructed when nothing responds.
        shape: (channel, height, width) of a frame.
        penalty: the ridge penalty that was chosen.
    """

    weights: Float[np.ndarray, "neuron lag value"]
    offset: Float[np.ndarray, " value"]
    shape: tuple[int, int, int]
    penalty: float

    def decode(
        self, responses: Float[np.ndarray, "batch time neuron"]
    ) -> Float[np.ndarray, "batch channel time_out height width"]:
        """The stimulus in every bin that has all its responses: ``time_out = time - lags + 1``.

        Raises:
            UserError: if the responses are of another number of neurons, or too short.
        """
        neurons, lags, _ = self.weights.shape
        if responses.shape[2] != neurons or responses.shape[1] < lags:
            raise UserError(
                f"the decoder needs responses (batch, time >= {lags}, {neurons}), not {tuple(responses.shape)}"
            )
        windows = sliding_window_view(responses, lags, axis=1)  # (batch, time_out, neuron, lag)
        frames = np.tensordot(windows, self.weights, axes=2) + self.offset
        return np.moveaxis(frames.reshape(*frames.shape[:2], *self.shape), 1, 2).astype(np.float32)


@one_line
@dataclass(frozen=True)
class Reconstruction:
    """How well populations of growing size tell what was on screen.

    Args:
        sizes: number of cells in a population.
        correlation: over all values of all frames that were not used for fitting, for several draws of each size.
        map: the same over time alone for every value of a frame, by all cells; NaN for values that do not change.
        stimulus: what was shown.
        reconstruction: what all cells told of it, in one trial.
        decoder: that of all cells, to read other responses with.
        rate: bins per second (Hz).
    """

    sizes: Int[np.ndarray, " size"]
    correlation: Float[np.ndarray, "size draw"]
    map: Float[np.ndarray, "channel height width"]
    stimulus: Float[np.ndarray, "batch channel time height width"]
    reconstruction: Float[np.ndarray, "batch channel time height width"]
    decoder: LinearDecoder
    rate: float

    def to_dataframe(self) -> pd.DataFrame:
        """A row for each size: mean correlation over draws, and its extremes."""
        columns = {name: getattr(self.correlation, name)(axis=1) for name in ("mean", "min", "max")}
        return pd.DataFrame({"size": self.sizes, **columns})


def fit_linear_decoder(
    responses: Float[np.ndarray, "_ _ neuron"],
    stimuli: Float[np.ndarray, "batch channel time height width"],
    *,
    lags: int = 12,
    penalties: Sequence[float] = PENALTIES,
) -> LinearDecoder:
    """Ridge regression of each frame on the responses that follow it (Warland et al. 1997, J. Neurophysiol. 78:2336).

    The penalty is chosen by every fifth stimulus, or by every fifth part of a single one, which is held out; then all
    are used. With enough data and the right penalty it is the Wiener filter, the best linear reconstruction.

    Args:
        responses: (batch, time, neuron), in the bins of the stimuli.
        stimuli: what was shown.
        lags: bins of response, that of the frame included.
        penalties: which to try, in units of the mean variance of a response.

    Raises:
        UserError: if responses and stimuli do not fit, or are too short.
    """
    return _Moments.of(responses, stimuli, lags).decoder(np.arange(responses.shape[2]), penalties)


def reconstruct(
    model: Any,
    stimuli: Many,
    test: Stimulus | Sequence[Stimulus] | Float[np.ndarray, "_ _ _ _ _"],
    *,
    sizes: Sequence[int] | None = None,
    draws: int = 3,
    lags: int = 12,
    session: str | None = None,
    neurons: int | Iterable[int] | None = None,
    device: str | torch.device | None = None,
    batch_size: int = 16,
    seed: int = 0,
) -> Reconstruction:
    """Reconstruct stimuli from one trial of Poisson counts around a model's rates, by more and more of its neurons.

    With a model any number of stimuli can be shown to fit the decoder, and cells of all sessions see the same ones
    (Brackbill et al. 2020, eLife 9:e58516, for what recorded populations tell of natural images).

    Args:
        model: a twin, ensemble, baseline or truth of spike counts.
        stimuli: to fit the decoder to (batch, channel, time, height, width), or `Stimulus` objects.
        test: to reconstruct, likewise.
        sizes: numbers of cells; by default a few up to all that are chosen.
        draws: random populations of each size.
        lags: bins of response that a frame is reconstructed from.
        session, neurons, device: see `retina_nb.analyses.subjects.subject`.
        batch_size: stimuli shown at once.
        seed: fixes the counts and the populations.

    Raises:
        UserError: if a neuron or session does not exist, stimuli do not fit or are too short, or a size is impossible.
    """
    chosen = subject(model, session=session, neurons=neurons, device=device)
    stimuli, test = chosen.movies(stimuli), chosen.movies(test)
    total, random = len(chosen.neurons), np.random.default_rng(seed)
    if sizes is None:
        sizes = [size for size in (1, 3, 10, 30, 100, 300, 1000) if 1.5 * size < total] + [total]
    check_sizes(sizes, total)
    fitted, shown = (
        random.poisson(np.maximum(chosen.show(part, batch_size=batch_size), 0)).astype(np.float32)
        for part in (stimuli, test)
    )
    moments = _Moments.of(fitted, stimuli, lags)
    whole = moments.decoder(np.arange(total))
    made, original = whole.decode(shown), test[:, :, : test.shape[2] - lags + 1]
    correlation = np.full((len(sizes), draws), np.corrcoef(made.ravel(), original.ravel())[0, 1])
    for row, draw in np.ndindex(correlation.shape):
        if sizes[row] < total:
            group = np.sort(random.permutation(total)[: sizes[row]])
            told = moments.decoder(group).decode(shown[..., group])
            correlation[row, draw] = np.corrcoef(told.ravel(), original.ravel())[0, 1]
    return Reconstruction(
        np.asarray(sizes), correlation, _correlation_map(made, original), original, made, whole, chosen.rate
    )


@dataclass(frozen=True)
class _Moments:
    """Second moments of windows of responses with frames; of the fifth held out (index 0) and of the rest (1)."""

    counts: np.ndarray  # (2,) number of windows
    x: np.ndarray  # (2, neuron * lag) sums
    y: np.ndarray  # (2, value)
    xx: np.ndarray
    xy: np.ndarray
    lags: int
    shape: tuple[int, int, int]

    @classmethod
    def of(cls, responses: np.ndarray, stimuli: np.ndarray, lags: int) -> "_Moments":
        batch, channel, time, height, width = stimuli.shape
        if responses.shape[:2] != (batch, time):
            raise UserError(
                f"responses (batch, time, neuron) and stimuli must have the same bins, not {responses.shape[:2]} and "
                f"{(batch, time)}"
            )
        if lags < 1 or time - lags + 1 < (1 if batch > 1 else 5):
            raise UserError(f"{lags} bins of response do not fit in stimuli of {time} bins")
        inputs, values = responses.shape[2] * lags, channel * height * width
        counts, x, y = np.zeros(2), np.zeros((2, inputs)), np.zeros((2, values))
        xx, xy = np.zeros((2, inputs, inputs)), np.zeros((2, inputs, values))
        pieces = 1 if batch > 1 else 5
        for number, (response, stimulus) in enumerate(zip(responses, stimuli, strict=True)):
            windows = sliding_window_view(response, lags, axis=0).reshape(-1, inputs).astype(np.float64)
            frames = stimulus.swapaxes(0, 1).reshape(time, values)[: len(windows)].astype(np.float64)
            for piece, (a, b) in enumerate(
                zip(np.array_split(windows, pieces), np.array_split(frames, pieces), strict=True)
            ):
                to = int((number + piece) % min(5, batch * pieces) > 0)
                counts[to] += len(a)
                x[to], y[to], xx[to], xy[to] = x[to] + a.sum(0), y[to] + b.sum(0), xx[to] + a.T @ a, xy[to] + a.T @ b
        return cls(counts, x, y, xx, xy, lags, (channel, height, width))

    def decoder(self, neurons: np.ndarray, penalties: Sequence[float] = PENALTIES) -> LinearDecoder:
        """The ridge solution of some neurons, at the penalty with the least error on what is held out."""
        used = (neurons[:, None] * self.lags + np.arange(self.lags)).ravel()
        xx, xy, x = self.xx[:, used][:, :, used], self.xy[:, used], self.x[:, used]
        errors = {}
        for penalty, weights, offset in self._solutions(xx[1], xy[1], x[1], self.y[1], self.counts[1], penalties):
            # The squared error up to the part that does not depend on the weights.
            cross = xy[0] - np.outer(x[0], offset)
            errors[penalty] = (
                np.sum(weights * (xx[0] @ weights - 2 * cross))
                + self.counts[0] * (offset**2).sum()
                - 2 * offset @ self.y[0]
            )
        best = min(errors, key=lambda penalty: errors[penalty])
        both = (xx.sum(0), xy.sum(0), x.sum(0), self.y.sum(0), self.counts.sum())
        ((_, weights, offset),) = self._solutions(*both, [best])
        return LinearDecoder(weights.reshape(len(neurons), self.lags, -1), offset, self.shape, best)

    @staticmethod
    def _solutions(
        xx: np.ndarray, xy: np.ndarray, x: np.ndarray, y: np.ndarray, count: float, penalties: Sequence[float]
    ) -> Iterable[tuple[float, np.ndarray, np.ndarray]]:
        """Weights and offset at each penalty."""
        covariance, cross = xx / count - np.outer(x, x) / count**2, xy / count - np.outer(x, y) / count**2
        strength, axes = np.linalg.eigh(covariance)
        unit, turned = max(np.trace(covariance) / len(covariance), 1e-12), axes.T @ cross
        for penalty in penalties:
            weights = axes @ (turned / (np.maximum(strength, 0) + penalty * unit)[:, None])
            yield penalty, weights, y / count - x @ weights / count


def _correlation_map(made: np.ndarray, original: np.ndarray) -> np.ndarray:
    """Correlation over batch and time, of arrays (batch, channel, time, height, width)."""
    a, b = (one - one.mean(axis=(0, 2), keepdims=True) for one in (made.astype(float), original.astype(float)))
    power = (a**2).sum(axis=(0, 2)) * (b**2).sum(axis=(0, 2))
    return np.where(power > 0, (a * b).sum(axis=(0, 2)) / np.sqrt(np.where(power > 0, power, 1)), np.nan)
