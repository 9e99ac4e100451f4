"""Linear-nonlinear models: a filter and an output nonlinearity for each neuron, fitted in seconds.

What a network must beat. The filters are smooth and local: products of one in space and one in time, sums of several
such products, or anything. Filter and nonlinearity maximise the penalised Poisson likelihood together (Paninski 2004,
Network 15:243). The neurons of all sessions that saw the same frames are fitted at once.
"""

from collections.abc import Mapping
from typing import Any

import torch
from jaxtyping import Float, Shaped
from torch import Tensor, nn

from retina_nb.errors import UserError, unknown
from retina_nb.models.filters import Problem, fit_filters
from retina_nb.models.fitting import bins_of, filtered, needed_rows
from retina_nb.models.single_cell import SessionModels, by_session, check_stimulus, fit_sessions
from retina_nb.nonlinearities import nonlinearity as function
from retina_nb.recording import Recording, by_name
from retina_nb.representations import model_words, one_line

OUTPUTS = ("softplus", "exp")


@one_line
class LinearNonlinear(nn.Module):
    """Linear-nonlinear model of one session's neurons: ``rate = gain f(filter * stimulus + offset) + base``.

    Each neuron's filter is a sum of products of a temporal and a spatial one.

    Args:
        temporal: filters over the bins before an output, in order of time: the last is the output's own.
        spatial: filters over channels and pixels.
        offset: of the filtered stimulus.
        gain, base: in units of the response.
        nonlinearity: f, ``"softplus"`` or ``"exp"``.
        about: what is known of the recording.
    """

    _in_words = model_words

    kind = "linear_nonlinear"

    def __init__(
        self,
        temporal: Float[Tensor, "neuron rank history"],
        spatial: Float[Tensor, "neuron rank channel height width"],
        offset: Float[Tensor, " neuron"],
        gain: Float[Tensor, " neuron"],
        base: Float[Tensor, " neuron"],
        *,
        nonlinearity: str = "softplus",
        about: dict[str, Any] | None = None,
    ) -> None:
        super().__init__()
        self.temporal, self.spatial = nn.Parameter(temporal), nn.Parameter(spatial)
        self.offset, self.gain, self.base = nn.Parameter(offset), nn.Parameter(gain), nn.Parameter(base)
        self.nonlinearity = nonlinearity
        self.about = about or {}

    @property
    def config(self) -> dict[str, Any]:
        """Shapes and options; `from_config` makes a model of them."""
        neurons, rank, history = self.temporal.shape
        frame = list(self.spatial.shape[2:])
        return {
            "neurons": neurons,
            "rank": rank,
            "history": history,
            "frame": frame,
            "nonlinearity": self.nonlinearity,
        }

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> "LinearNonlinear":
        """A model of these shapes, whose weights mean nothing yet."""
        neurons, rank = config["neurons"], config["rank"]
        shapes = (neurons, rank, config["history"]), (neurons, rank, *config["frame"]), *[(neurons,)] * 3
        return cls(*map(torch.zeros, shapes), nonlinearity=config["nonlinearity"])

    @property
    def lag(self) -> int:
        """Bins of history before the first output."""
        return self.temporal.shape[-1] - 1

    @property
    def filters(self) -> Float[Tensor, "neuron channel history height width"]:
        """Each neuron's filter over the ``lag + 1`` bins up to its output, in order of time."""
        return torch.einsum("nrk,nrchw->nckhw", self.temporal, self.spatial)

    def drive(
        self, stimulus: Shaped[Tensor, "batch channel time height width"]
    ) -> Float[Tensor, "batch time_out neuron"]:
        """What the nonlinearity takes: the filtered stimulus and the offset.

        Raises:
            UserError: if the stimulus does not fit the filters or is too short for them.
        """
        check_stimulus(stimulus, tuple(self.spatial.shape[2:]), self.lag, self.spatial)
        traces = stimulus.movedim(2, 1).flatten(2) @ self.spatial.flatten(0, 1).flatten(1).T
        return filtered(traces, self.temporal) + self.offset

    def output(self, drive: Float[Tensor, "*shape neuron"]) -> Float[Tensor, "*shape neuron"]:
        """Rates at a drive."""
        return self.gain * function(self.nonlinearity)(drive) + self.base

    def forward(
        self, stimulus: Shaped[Tensor, "batch channel time height width"], session: str | None = None
    ) -> Float[Tensor, "batch time_out neuron"]:
        """Rates; ``time_out = time - lag``. There is one session, whatever its name.

        Raises:
            UserError: if the stimulus does not fit the filters or is too short for them.
        """
        return self.output(self.drive(stimulus))


def fit_linear_nonlinear(
    recordings: Recording | Mapping[str, Recording],
    *,
    rank: int | None = 1,
    nonlinearity: str = "softplus",
    history: float = 0.7,
) -> SessionModels:
    """Fit linear-nonlinear models to training bins; validation bins choose how strongly each neuron is penalised.

    A bin counts if all its history lies in its own presentation. The same recordings give the same fit.

    Args:
        recordings: sessions by name, all at one rate, or one session.
        rank: products of a temporal and a spatial filter that make up a neuron's filter; None for any filter.
        nonlinearity: ``"softplus"`` with a gain and a base, or ``"exp"``: convex for filters of any rank.
        history: how far the filters reach back (s).

    Returns:
        A `LinearNonlinear` for each session.

    Raises:
        UserError: if the rates differ, a session has no training or no validation bins with enough history or saw
            nothing that varies, or there is no such rank or nonlinearity.
    """
    recordings = by_name(recordings)
    check_options(rank, nonlinearity)
    lag = bins_of(recordings, history)

    def fit(members: list[Recording]) -> list[LinearNonlinear]:
        rows = needed_rows(members, lag)
        bins, neurons = rows.responses.shape
        nothing = {"regressors": torch.zeros(bins, 0), "connected": torch.zeros(neurons, 0)}
        filters = fit_filters(Problem(rows, lag + 1, rank, nonlinearity, **nothing))
        return [LinearNonlinear(*part[:-1], nonlinearity=nonlinearity) for part in by_session(filters, members)]

    return fit_sessions(recordings, fit)


def check_options(rank: int | None, nonlinearity: str) -> None:
    """Refuse a rank or a nonlinearity that does not exist."""
    if rank is not None and rank < 1:
        raise UserError(f"rank must be 1 or more, or None for filters of any rank, not {rank}")
    if nonlinearity not in OUTPUTS:
        raise unknown("nonlinearity", nonlinearity, OUTPUTS)
