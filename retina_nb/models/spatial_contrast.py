"""The spatial contrast model: a neuron responds to the mean of what it sees, and to how much that varies in space.

After Liu, Karamanlis & Gollisch 2022 (PLoS Comput. Biol. 18:e1009925) and Sridhar et al. 2025. Filters come from
spike-triggered averages; only four numbers for each neuron are fitted by likelihood. A weight of contrast above zero is
the mark of rectified subunits.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float, Shaped
from torch import Tensor, nn

from retina_nb.errors import UserError
from retina_nb.losses import poisson_loss
from retina_nb.models.fitting import Rows, minimized, needed_rows
from retina_nb.models.linear_nonlinear import fit_linear_nonlinear
from retina_nb.models.single_cell import SessionModels, by_session, check_stimulus, fit_sessions
from retina_nb.readouts.spatial_contrast import mean_and_contrast
from retina_nb.recording import Recording, by_name
from retina_nb.representations import model_words, one_line

_ITERATIONS = 100


@one_line
class SpatialContrast(nn.Module):
    """Spatial contrast model of one session's neurons.

    ``rate = gain softplus(slope (mean + weight contrast) + offset)``, where mean and contrast are those of
    `mean_and_contrast` for the stimulus filtered in time, under the spatial filter.

    Args:
        spatial: how much each pixel counts, at least 0; not trained.
        temporal: filters over the bins before an output, in order of time, for each channel; not trained.
        gain, slope, offset, weight: gain and slope are above 0.
        about: what is known of the recording.
    """

    _in_words = model_words

    kind = "spatial_contrast"
    spatial: Tensor
    temporal: Tensor

    def __init__(
        self,
        spatial: Float[Tensor, "neuron height width"],
        temporal: Float[Tensor, "neuron channel history"],
        gain: Float[Tensor, " neuron"],
        slope: Float[Tensor, " neuron"],
        offset: Float[Tensor, " neuron"],
        weight: Float[Tensor, " neuron"],
        *,
        about: dict[str, Any] | None = None,
    ) -> None:
        super().__init__()
        self.register_buffer("spatial", spatial)
        self.register_buffer("temporal", temporal)
        self.gain, self.slope = nn.Parameter(gain), nn.Parameter(slope)
        self.offset, self.weight = nn.Parameter(offset), nn.Parameter(weight)
        self.about = about or {}

    @property
    def config(self) -> dict[str, Any]:
        """Shapes; `from_config` makes a model of them."""
        neurons, channel, history = self.temporal.shape
        return {"neurons": neurons, "frame": [channel, *self.spatial.shape[1:]], "history": history}

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> "SpatialContrast":
        """A model of these shapes, whose weights mean nothing yet."""
        neurons, (channel, height, width) = config["neurons"], config["frame"]
        shapes = (neurons, height, width), (neurons, channel, config["history"]), *[(neurons,)] * 4
        return cls(*map(torch.zeros, shapes))

    @property
    def lag(self) -> int:
        """Bins of history before the first output."""
        return self.temporal.shape[2] - 1

    def forward(
        self, stimulus: Shaped[Tensor, "batch channel time height width"], session: str | None = None
    ) -> Float[Tensor, "batch time_out neuron"]:
        """Rates; ``time_out = time - lag``. There is one session, whatever its name.

        Raises:
            UserError: if the stimulus does not fit the filters or is too short for them.
        """
        mean, contrast = self.signals(stimulus)
        return self.gain * F.softplus(self.slope * (mean + self.weight * contrast) + self.offset)

    def signals(
        self, stimulus: Shaped[Tensor, "batch channel time height width"]
    ) -> tuple[Float[Tensor, "batch time_out neuron"], Float[Tensor, "batch time_out neuron"]]:
        """Mean and contrast of what each neuron sees."""
        check_stimulus(stimulus, (self.temporal.shape[1], *self.spatial.shape[1:]), self.lag, self.spatial)
        return mean_and_contrast(stimulus, self.spatial, self.temporal)


def fit_spatial_contrast(
    recordings: Recording | Mapping[str, Recording],
    *,
    averages: Mapping[str, Float[np.ndarray, "neuron channel lag height width"]] | None = None,
    contour: float = 3.0,
) -> SessionModels:
    """Fit spatial contrast models to training bins.

    Args:
        recordings: sessions by name, all at one rate, or one session.
        averages: for each session, spike-triggered averages to white noise, in order of time; the last lag is the
            present. None for the filters of `fit_linear_nonlinear`, which are averages freed of what correlates in
            the stimulus.
        contour: standard deviations of the fitted Gaussian at which a neuron's pixels end.

    Returns:
        A `SpatialContrast` for each session.

    Raises:
        UserError: if the averages do not fit the recordings, and whatever `fit_linear_nonlinear` complains of.
    """
    recordings = by_name(recordings)
    if averages is None:
        linear = fit_linear_nonlinear(recordings)
        averages = {session: linear[session].filters.detach().numpy() for session in recordings}
    _check(averages, recordings, contour)

    def fit(members: list[Recording]) -> list[SpatialContrast]:
        found = [space_and_time(average, contour) for member in members for average in averages[member.session]]
        spatial, temporal = (torch.from_numpy(np.stack(part)) for part in zip(*found, strict=True))
        rows = needed_rows(members, temporal.shape[2] - 1)
        return [SpatialContrast(*part) for part in by_session(_fitted(spatial, temporal, rows), members)]

    return fit_sessions(recordings, fit)


def space_and_time(
    average: Float[np.ndarray, "channel lag height width"], contour: float = 3.0
) -> tuple[Float[np.ndarray, "height width"], Float[np.ndarray, "channel lag"]]:
    """Spatial and temporal filter of one spike-triggered average, each of unit norm.

    The spatial one is a Gaussian, fitted to the frame that varies most and cut off at `contour` standard deviations.
    The temporal one is the average's course in the pixel at its middle, so that it carries the polarity. Both are zero
    if the average is flat or not finite.
    """
    channel, lag, height, width = average.shape
    nothing = np.zeros((height, width), np.float32), np.zeros((channel, lag), np.float32)
    if not np.isfinite(average).all() or not np.ptp(average):
        return nothing
    frames = average.reshape(-1, height, width)
    frame = frames[frames.var(axis=(1, 2)).argmax()]
    (y, x, *_), distance = _fitted_gaussian(frame)
    spatial = np.exp(-(distance**2) / 2) * (distance <= contour)
    temporal = average[:, :, round(y), round(x)]
    if not spatial.any() or not temporal.any():
        return nothing
    return tuple((one / np.linalg.norm(one)).astype(np.float32) for one in (spatial, temporal))


def _fitted_gaussian(frame: Float[np.ndarray, "height width"]) -> tuple[np.ndarray, Float[np.ndarray, "height width"]]:
    """Middle, widths, angle and height of the Gaussian closest to a frame, and pixels' distances in its widths."""
    from scipy.optimize import curve_fit  # takes a tenth of a second to import, and loading a model does not need it

    height, width = frame.shape
    grid = np.indices(frame.shape, dtype=float)
    peak = np.unravel_index(np.abs(frame).argmax(), frame.shape)
    start = np.array([*peak, max(height / 6, 0.5), max(width / 6, 0.5), 0.0, np.sign(frame[peak])])
    lowest, highest = [0, 0, 0.5, 0.5, -np.pi, -10], [height - 0.999, width - 0.999, height, width, np.pi, 10]

    def distance(y: float, x: float, along: float, across: float, angle: float) -> np.ndarray:
        dy, dx = grid[0] - y, grid[1] - x
        return np.hypot(
            (np.cos(angle) * dy + np.sin(angle) * dx) / along, (np.cos(angle) * dx - np.sin(angle) * dy) / across
        )

    def gaussian(_: None, *shape: float) -> np.ndarray:
        return (shape[-1] * np.exp(-(distance(*shape[:-1]) ** 2) / 2)).ravel()

    try:
        found, _ = curve_fit(gaussian, None, (frame / np.abs(frame).max()).ravel(), start, bounds=(lowest, highest))
    except RuntimeError:  # it did not converge
        found = start
    return found, distance(*found[:-1])


def _fitted(spatial: Tensor, temporal: Tensor, rows: Rows) -> tuple[Tensor, ...]:
    """What makes one `SpatialContrast` of all neurons."""
    nothing, log_mean = torch.zeros(len(spatial)), rows.mean_response.log()
    ones = torch.ones(len(spatial))
    seen = SpatialContrast(spatial, temporal, ones, ones, nothing, nothing)
    with torch.no_grad():
        blocks = [seen.signals(stimulus) for stimulus in rows.stimuli(seen.lag)]
    mean, contrast = (torch.cat(signal, dim=1)[0] for signal in zip(*blocks, strict=True))
    spread = mean.std(dim=0)
    scale = torch.where(spread > 1e-6, spread, 1.0)  # a neuron without a filter sees nothing, and keeps it so
    mean, contrast = mean / scale, contrast / scale

    def loss(log_gain: Tensor, log_slope: Tensor, offset: Tensor, by_contrast: Tensor) -> Tensor:
        rate = log_gain.exp() * F.softplus(log_slope.exp() * mean + by_contrast * contrast + offset)
        fit = rows.train[seen.lag :] @ poisson_loss(rate, rows.responses[seen.lag :]) / rows.mean_response
        # Where the mean says nothing, its slope is not to vanish: the weight of contrast is relative to it.
        return fit + 1e-3 * log_slope.square()

    start = {"log_gain": log_mean, "log_slope": nothing, "offset": nothing, "by_contrast": nothing}
    found = minimized(loss, start, _ITERATIONS)
    slope = found["log_slope"].exp()
    return spatial, temporal, found["log_gain"].exp(), slope / scale, found["offset"], found["by_contrast"] / slope


def _check(averages: Mapping[str, np.ndarray], recordings: Mapping[str, Recording], contour: float) -> None:
    if contour <= 0:
        raise UserError(f"a contour must be above 0 standard deviations, not {contour:g}")
    lags = {average.shape[2] for average in averages.values() if average.ndim == 5}
    for session, recording in recordings.items():
        channel, height, width = recording.movie.frame_shape
        wanted = f"(neuron, channel, lag, height, width) ({recording.n_neurons}, {channel}, lag, {height}, {width})"
        if session not in averages:
            raise UserError(f"session {session} has no spike-triggered averages; give {wanted}")
        found = averages[session].shape
        if len(found) != 5 or found[:2] + found[3:] != (recording.n_neurons, channel, height, width) or len(lags) > 1:
            raise UserError(f"the averages of session {session} must be {wanted} with one lag for all, not {found}")
