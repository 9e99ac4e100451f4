"""Which stimulus do these spikes mean? Bayes' answer, with a model as the likelihood."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import torch
from jaxtyping import Float
from scipy.special import logsumexp
from torch import Tensor

from retina_nb.analyses.subjects import Many, Subject, frozen, subject
from retina_nb.errors import UserError
from retina_nb.representations import one_line

# Expected counts below this are taken as this (events per bin): a spike must not make a stimulus impossible.
_LEAST = 1e-4


@one_line
@dataclass(frozen=True)
class Identification:
    """Which of some stimuli single trials come from.

    Args:
        posterior: probability of each stimulus given the spikes of a trial in which `shown` was on screen.
        rate: bins per second (Hz).
    """

    posterior: Float[np.ndarray, "shown trial stimulus"]
    rate: float

    @property
    def confusion(self) -> Float[np.ndarray, "shown stimulus"]:
        """Share of trials in which each stimulus is the most probable."""
        best = self.posterior.argmax(axis=2)
        return (best[..., None] == np.arange(self.posterior.shape[2])).mean(axis=1)

    @property
    def accuracy(self) -> float:
        """Share of trials that are identified; chance is one over the number of stimuli."""
        return float(np.diag(self.confusion).mean())

    @property
    def information(self) -> float:
        """Bits per trial that the posterior holds of the stimulus: ``log2(stimuli) + mean log2 p(shown)``.

        What remains of the mutual information if spikes are read with this model: a lower bound if the model is not
        the truth, and below 0 if it misleads (Merhav et al. 1994). Not biased by the number of trials.
        """
        shown = np.einsum("sts->st", self.posterior)
        return float(np.log2(len(shown)) + np.log2(np.maximum(shown, 1e-300)).mean())

    def to_dataframe(self) -> pd.DataFrame:
        """A row for each stimulus: share of its trials that were identified, mean posterior probability."""
        shown = np.einsum("sts->st", self.posterior)
        columns = {"stimulus": range(len(shown)), "identified": np.diag(self.confusion)}
        return pd.DataFrame({**columns, "probability": shown.mean(axis=1)})


@one_line
@dataclass(frozen=True)
class StimulusPrior:
    """A Gaussian prior of stimuli by their spectrum, as of natural scenes, whose amplitude falls as 1/f (Field 1987).

    Args:
        amplitude: standard deviation of each frequency of (time, height, width).
        mixing: square root of the covariance of the channels.
    """

    amplitude: Float[Tensor, "time height width_frequency"]
    mixing: Float[Tensor, "channel channel"]

    @classmethod
    def of(cls, examples: Float[np.ndarray, "example channel time height width"], bins: int) -> "StimulusPrior":
        """The prior of stimuli of `bins` bins with the mean spectrum and channel covariance of examples.

        It is stationary and wraps around the screen's edges, so that it is sampled by Fourier transforms.

        Raises:
            UserError: if the examples are shorter.
        """
        if examples.shape[2] < bins:
            raise UserError(f"a prior for {bins} bins needs examples as long, these have {examples.shape[2]}")
        parts = [examples[:, :, start : start + bins] for start in range(0, examples.shape[2] - bins + 1, bins)]
        pieces = torch.from_numpy(np.concatenate(parts)).float()
        power = torch.fft.rfftn(pieces, dim=(2, 3, 4)).abs().square().mean(dim=(0, 1)) / pieces[0, 0].numel()
        covariance = torch.cov(pieces.transpose(0, 1).flatten(1))
        strength, axes = torch.linalg.eigh(covariance / covariance.diagonal().mean())
        return cls(power.sqrt(), axes * strength.clamp(min=0).sqrt() @ axes.T)

    def stimulus(
        self, white: Float[Tensor, "batch channel time height width"]
    ) -> Float[Tensor, "batch channel time height width"]:
        """A stimulus from white noise: every sample of the prior is one of standard normal numbers."""
        shaped = torch.fft.rfftn(white, dim=(2, 3, 4)) * self.amplitude
        coloured = torch.fft.irfftn(shaped, s=white.shape[2:], dim=(2, 3, 4))
        return torch.einsum("cd,bdthw->bcthw", self.mixing, coloured)


@one_line
@dataclass(frozen=True)
class DecodedStimulus:
    """The most probable stimuli given the spikes.

    Args:
        stimulus: what was decoded; the first bins of it, before the first response, are history.
        objective: negative log posterior (nats, up to a constant) of all together, whenever the optimiser asked for it.
        rate: bins per second (Hz).
    """

    stimulus: Float[np.ndarray, "batch channel time height width"]
    objective: Float[np.ndarray, " evaluation"]
    rate: float

    def to_dataframe(self) -> pd.DataFrame:
        """A row for each evaluation of the objective."""
        return pd.DataFrame({"evaluation": range(len(self.objective)), "objective": self.objective})


def identify(
    model: Any,
    stimuli: Many,
    *,
    source: Any = None,
    trials: int = 20,
    session: str | None = None,
    neurons: int | Iterable[int] | None = None,
    device: str | torch.device | None = None,
    batch_size: int = 16,
    seed: int = 0,
) -> Identification:
    """Tell from the spikes of single trials which of some stimuli was on screen, all being as probable before.

    The posterior has the likelihood of Poisson counts around the model's rates, neurons and bins being independent
    given the stimulus. Spikes are drawn from the rates of the source. If that is the truth and the model a twin,
    accuracy says what the twin knows of the code.

    Args:
        model: a twin, ensemble, baseline or truth, which reads the spikes.
        stimuli: what may have been shown (batch, channel, time, height, width), or `Stimulus` objects, each after its
            first frame has been on screen for long.
        source: what fires the spikes, with the same sessions and neurons; the model itself if None.
        trials: of each stimulus.
        session, neurons, device: see `retina_nb.analyses.subjects.subject`.
        batch_size: stimuli shown at once.
        seed: fixes the spikes.

    Raises:
        UserError: if there are fewer than two stimuli or they do not fit, or a neuron does not exist.
    """
    reader = subject(model, session=session, neurons=neurons, device=device)
    stimuli = reader.movies(stimuli)
    if len(stimuli) < 2:
        raise UserError("there is nothing to identify: give two stimuli or more")
    rates = reader.show(stimuli, batch_size=batch_size).astype(float)
    fired = rates
    if source is not None:
        cells = subject(source, session=session, neurons=neurons, device=device)
        fired = cells.show(stimuli, batch_size=batch_size).astype(float)
    random = np.random.default_rng(seed)
    expected = np.maximum(rates, _LEAST).reshape(len(rates), -1)  # (stimulus, bin and neuron)
    posterior = np.empty((len(rates), trials, len(rates)))
    for shown, rate in enumerate(fired):
        counts = random.poisson(np.maximum(rate, 0), (trials, *rate.shape)).reshape(trials, -1)
        likelihood = counts @ np.log(expected).T - expected.sum(axis=1)
        posterior[shown] = np.exp(likelihood - logsumexp(likelihood, axis=1, keepdims=True))
    return Identification(posterior, reader.rate)


def decode_most_probable(
    model: Any,
    counts: Float[np.ndarray, "batch time neuron"],
    prior: StimulusPrior,
    *,
    steps: int = 60,
    session: str | None = None,
    neurons: int | Iterable[int] | None = None,
    device: str | torch.device | None = None,
) -> DecodedStimulus:
    """The stimulus of largest posterior probability given spikes, found by following the model's gradient.

    Maximises the Poisson log-likelihood of the counts under the model's rates plus the log of the prior, starting from
    grey, with L-BFGS in the coordinates in which the prior is white (Pillow et al. 2011, Neural Comput. 23:1). For a
    linear-nonlinear model with a log-concave likelihood that is the only maximum; for others it may be a local one.

    Args:
        model: a twin, ensemble, baseline or truth of spike counts, through which gradients flow.
        counts: spikes of each trial in ``time`` bins; the stimulus has ``time + model.lag`` bins.
        prior: for stimuli of as many bins.
        steps: iterations of the optimiser, at most.
        session, neurons, device: see `retina_nb.analyses.subjects.subject`; whose counts they are.

    Raises:
        UserError: if counts and neurons, or prior and counts, do not fit, counts are no counts, or a neuron does not
            exist.
    """
    chosen = subject(model, session=session, neurons=neurons, device=device)
    _check(chosen, counts, prior)
    prior = StimulusPrior(prior.amplitude.to(chosen.device), prior.mixing.to(chosen.device))
    spikes = torch.from_numpy(np.asarray(counts, dtype=np.float32)).to(chosen.device)
    shape = (len(counts), chosen.stimulus_shape[0], counts.shape[1] + chosen.lag, *chosen.stimulus_shape[1:])
    white = torch.zeros(shape, device=chosen.device, requires_grad=True)
    optimizer = torch.optim.LBFGS([white], max_iter=steps, history_size=20, line_search_fn="strong_wolfe")
    objective: list[float] = []

    def loss() -> Tensor:
        optimizer.zero_grad()
        rates = chosen.respond(prior.stimulus(white)).clamp(min=_LEAST)
        value = (rates - spikes * rates.log()).sum() + white.square().sum() / 2
        value.backward()
        objective.append(value.item())
        return value

    with frozen(model), torch.enable_grad():
        optimizer.step(loss)
    with torch.no_grad():
        return DecodedStimulus(prior.stimulus(white).cpu().numpy(), np.array(objective), chosen.rate)


def _check(chosen: Subject, counts: np.ndarray, prior: StimulusPrior) -> None:
    if counts.ndim != 3 or counts.shape[2] != len(chosen.neurons):
        raise UserError(f"the counts must be (batch, time, {len(chosen.neurons)}), not {tuple(counts.shape)}")
    if not (np.isfinite(counts) & (counts >= 0)).all():
        raise UserError("the counts must be finite and not below 0: these are no spikes")
    channel, height, width = chosen.stimulus_shape
    wanted = (counts.shape[1] + chosen.lag, height, width // 2 + 1)
    if tuple(prior.amplitude.shape) != wanted or len(prior.mixing) != channel:
        raise UserError(
            f"the prior is for another stimulus: make it with StimulusPrior.of(examples, {wanted[0]}), of examples "
            f"(example, {channel}, time, {height}, {width})"
        )
