"""The generalised linear model of coupled neurons: stimulus, own spikes and those of others drive each neuron.

After Pillow et al. 2008 (Nature 454:995): filters of past spikes are sums of raised cosines, finer close to the
present, and everything is fitted together by penalised likelihood. From the fitted model spikes are drawn bin by bin.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float, Shaped
from torch import Tensor, nn

from retina_nb.errors import UserError
from retina_nb.models.filters import Problem, fit_filters
from retina_nb.models.fitting import Rows, bins_of, needed_rows, raised_cosines
from retina_nb.models.linear_nonlinear import LinearNonlinear, check_options
from retina_nb.models.single_cell import SessionModels, by_session, fit_sessions
from retina_nb.recording import Recording, by_name
from retina_nb.representations import model_words, one_line

_BASIS = 6  # raised cosines in the time since a spike
_TRIALS, _SEED = 50, 0  # of the simulation that predicts a mean rate


@one_line
class GLM(nn.Module):
    """Coupled neurons of one session: ``rate = gain f(filter * stimulus + coupling * spikes + offset) + base``.

    Called with a stimulus alone, it predicts the mean rate: spikes are simulated in 50 trials, always the same, and the
    rates in them averaged. Called with recorded spikes too (teacher-forced), it predicts each bin from the spikes that
    were really fired before. Where excitation runs away, as an exponential lets it, rates stop at `ceiling`.

    Args:
        stimulus: filters of the stimulus, and the nonlinearity.
        coupling: what a spike of a source adds to a neuron's drive in the bins after it, in order of time: the last is
            the effect on the next bin. A neuron's own spikes are its history.
        ceiling: largest rate of each neuron (spikes per bin).
        about: what is known of the recording.
    """

    _in_words = model_words

    kind = "glm"
    ceiling: Tensor

    def __init__(
        self,
        stimulus: LinearNonlinear,
        coupling: Float[Tensor, "neuron neuron spike_history"],
        ceiling: Float[Tensor, " neuron"],
        *,
        about: dict[str, Any] | None = None,
    ) -> None:
        super().__init__()
        self.stimulus = stimulus
        self.coupling = nn.Parameter(coupling)
        self.register_buffer("ceiling", ceiling)
        self.about = about or {}

    @property
    def config(self) -> dict[str, Any]:
        """Shapes and options; `from_config` makes a model of them."""
        return {"stimulus": self.stimulus.config, "spike_history": self.coupling.shape[2]}

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> "GLM":
        """A model of these shapes, whose weights mean nothing yet."""
        neurons = config["stimulus"]["neurons"]
        coupling = torch.zeros(neurons, neurons, config["spike_history"])
        return cls(LinearNonlinear.from_config(config["stimulus"]), coupling, torch.zeros(neurons))

    @property
    def lag(self) -> int:
        """Bins before the first output: the stimulus's history, then that of the spikes."""
        return self.stimulus.lag + self.coupling.shape[2]

    def forward(
        self,
        stimulus: Shaped[Tensor, "batch channel time height width"],
        session: str | None = None,
        *,
        spikes: Float[Tensor, "batch spike_time neuron"] | None = None,
    ) -> Float[Tensor, "batch time_out neuron"]:
        """Rates (spikes per bin); ``time_out = time - lag``. There is one session, whatever its name.

        Args:
            stimulus: what is shown.
            session: not used.
            spikes: what was recorded meanwhile, to predict each bin from the spikes before; None to simulate them.

        Raises:
            UserError: if the stimulus does not fit or is too short, or the spikes do not fit.
        """
        drive = self._drive(stimulus)
        if spikes is None:
            return self._simulated(drive, _TRIALS, _SEED)[1].mean(dim=0)
        wanted = (len(stimulus), stimulus.shape[2], len(self.ceiling))
        if spikes.shape != wanted:
            raise UserError(f"spikes must be (batch, time, neuron) {wanted}, not {tuple(spikes.shape)}")
        fed = F.conv1d(spikes[:, self.stimulus.lag : -1].mT, self.coupling).mT
        return self._rate(drive[:, self.coupling.shape[2] :] + fed)

    @torch.no_grad()
    def simulate(
        self, stimulus: Float[Tensor, "channel time height width"], *, trials: int = 1, seed: int = 0
    ) -> Float[Tensor, "trial time_out neuron"]:
        """Spikes of the coupled neurons in repeats of a stimulus; ``time_out = time - lag``.

        Raises:
            UserError: if the stimulus does not fit or is too short.
        """
        return self._simulated(self._drive(stimulus[None]), trials, seed)[0][:, 0]

    def _drive(self, stimulus: Tensor) -> Float[Tensor, "batch time_drive neuron"]:
        if stimulus.shape[2] <= self.lag:
            raise UserError(f"the GLM needs more than {self.lag} bins of stimulus, this one has {stimulus.shape[2]}")
        return self.stimulus.drive(stimulus)

    def _rate(self, drive: Float[Tensor, "*shape neuron"]) -> Float[Tensor, "*shape neuron"]:
        return torch.minimum(self.stimulus.output(drive), self.ceiling)

    def _simulated(
        self, drive: Float[Tensor, "batch time_drive neuron"], trials: int, seed: int
    ) -> tuple[Float[Tensor, "trial batch time_out neuron"], Float[Tensor, "trial batch time_out neuron"]]:
        """Spikes and their rates. The first bins, before which there are no spikes, are left out."""
        history = self.coupling.shape[2]
        weights = self.coupling.permute(2, 1, 0).flatten(0, 1)  # (history * source, neuron)
        noise = torch.Generator(drive.device).manual_seed(seed)
        silence = drive.new_zeros(trials, len(drive), drive.shape[2])
        spikes, rates = [silence] * history, []
        for now in drive.unbind(dim=1):
            fed = torch.cat(spikes[-history:], dim=-1) @ weights
            rates.append(self._rate(now + fed))
            spikes.append(torch.poisson(rates[-1].detach(), generator=noise))
        return torch.stack(spikes[2 * history :], dim=2), torch.stack(rates[history:], dim=2)


def fit_glm(
    recordings: Recording | Mapping[str, Recording],
    *,
    rank: int | None = 1,
    nonlinearity: str = "softplus",
    coupled: bool = True,
    history: float = 0.7,
    spike_history: float = 0.3,
) -> SessionModels:
    """Fit GLMs to training bins; validation bins choose how strongly each neuron is penalised.

    Args:
        recordings: sessions by name, all at one rate, with spike counts, or one session.
        rank: products of a temporal and a spatial filter that make up a neuron's filter; None for any filter.
        nonlinearity: ``"exp"`` as in Pillow et al. 2008, with which the problem is convex for ``rank=None`` but spikes
            may beget spikes without end when they are simulated; ``"softplus"`` with a gain and a base.
        coupled: whether neurons of a session feed each other, or only themselves.
        history: how far the filters of the stimulus reach back (s).
        spike_history: how far the filters of spikes reach back (s).

    Returns:
        A `GLM` for each session.

    Raises:
        UserError: if responses are not counts, and whatever `fit_linear_nonlinear` complains of.
    """
    recordings = by_name(recordings)
    check_options(rank, nonlinearity)
    for session, recording in recordings.items():
        if (recording.responses % 1).any():
            raise UserError(f"session {session}: a GLM needs spike counts, these responses are not whole numbers")
    lag, after = bins_of(recordings, history), bins_of(recordings, spike_history)
    basis = raised_cosines(_BASIS, after, offset=1.0)

    def fit(members: list[Recording]) -> list[GLM]:
        rows = needed_rows(members, max(lag, after))
        connected = _connected(members, coupled)
        weighed = connected.repeat_interleave(len(basis), dim=1)
        filters = fit_filters(Problem(rows, lag + 1, rank, nonlinearity, _spike_regressors(rows, basis), weighed))
        models, first = [], 0
        for recording, (*stimulus, spikes) in zip(members, by_session(filters, members), strict=True):
            of_own = slice(first, first := first + recording.n_neurons)
            coupling = spikes.unflatten(1, (-1, len(basis)))[:, of_own] @ basis
            ceiling = torch.from_numpy(2 * recording.responses.max(axis=0) + 1)
            models.append(GLM(LinearNonlinear(*stimulus, nonlinearity=nonlinearity), coupling, ceiling))
        return models

    return fit_sessions(recordings, fit)


def coupling_significance(model: GLM, recording: Recording) -> Float[np.ndarray, "neuron source"]:
    """Whether a source's spikes raise (positive) or lower a neuron's drive: the sum of the coupling filter, in units of
    its standard error.

    The error is that of all spike filters of the neuron together with the scale of its stimulus drive, from the Fisher
    information in the training bins. Without coupling, values are standard normal if the model is right; where it
    misses a part of what the stimulus does, spikes of other neurons stand in for it.

    Args:
        model: fitted to the recording.
        recording: the session.
    """
    rows = needed_rows([recording], model.lag)
    basis = raised_cosines(_BASIS, model.coupling.shape[2], offset=1.0)
    counted = rows.train[model.lag :] > 0
    stimulus = torch.from_numpy(recording.stimulus_at(rows.bins))[None]
    regressors = _spike_regressors(rows, basis)[model.lag :]
    with torch.no_grad():
        filtered = model.stimulus.drive(stimulus)[0, model.coupling.shape[2] :] - model.stimulus.offset
    weights = (model.coupling.detach() @ basis.T).flatten(1)
    total = (filtered + model.stimulus.offset.detach() + regressors @ weights.T).requires_grad_()
    rate = model.stimulus.output(total)
    (slope,) = torch.autograd.grad(rate.sum(), total)
    information = (slope.square() / rate.detach().clamp(min=1e-8))[counted].double()
    sums, scores = basis.sum(dim=1).double(), []
    for neuron in range(len(weights)):
        all_of_it = torch.cat([regressors, filtered[:, neuron, None], torch.ones(len(filtered), 1)], dim=1)[counted]
        of_weights = (all_of_it * information[:, neuron, None]).T @ all_of_it.double()
        covariance = torch.linalg.inv(of_weights + 1e-3 * torch.eye(len(of_weights)))
        blocks = covariance[:-2, :-2].unflatten(0, (-1, len(basis))).unflatten(2, (-1, len(basis)))
        variance = torch.einsum("sbsc,b,c->s", blocks, sums, sums)
        scores.append(model.coupling[neuron].detach().sum(dim=1) / variance.sqrt())
    return torch.stack(scores).numpy()


def _connected(recordings: list[Recording], coupled: bool) -> Float[Tensor, "neuron source"]:
    """1 where a source may feed a neuron: in the same session, or itself alone."""
    counts = torch.tensor([recording.n_neurons for recording in recordings])
    session = torch.arange(len(counts)).repeat_interleave(counts)
    return (session[:, None] == session).float() if coupled else torch.eye(len(session))


def _spike_regressors(rows: Rows, basis: Float[Tensor, "basis spike_history"]) -> Float[Tensor, "row source_basis"]:
    """What every neuron fired before each row, filtered by every function of the basis."""
    before = F.pad(rows.responses, (0, 0, basis.shape[1], 0))[:-1]
    return torch.einsum("tsh,bh->tsb", before.unfold(0, basis.shape[1], 1), basis).flatten(1)
