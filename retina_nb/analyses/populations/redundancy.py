"""How much of what cells tell they tell twice."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import torch
from jaxtyping import Float, Int
from scipy.special import gammaln
from tqdm.auto import tqdm

from retina_nb.analyses.subjects import Many, subject
from retina_nb.errors import UserError
from retina_nb.representations import one_line

# Neurons, with all pairs of which progress is shown if there are more.
_LONG = 60


@one_line
@dataclass(frozen=True)
class Redundancy:
    """Information of cells and of pairs of cells about the stimulus, in the counts of one bin.

    Args:
        information: of each cell (bits per bin).
        shared: information that two cells both have (bits per bin); NaN on the diagonal.
        chance: mean over pairs of what is shared when one of the two is shifted in time.
        neurons: a row for each neuron: ``session`` and ``neuron``.
    """

    information: Float[np.ndarray, " neuron"]
    shared: Float[np.ndarray, "neuron neuron"]
    chance: float
    neurons: pd.DataFrame

    @property
    def fraction(self) -> Float[np.ndarray, "neuron neuron"]:
        """Shared information over the largest that is possible: that of the cell which has less of it."""
        least = np.minimum.outer(self.information, self.information)
        return np.where(least > 0, self.shared / np.where(least > 0, least, 1), np.nan)

    def to_dataframe(self) -> pd.DataFrame:
        """A row for each neuron: its information (bits per bin) and mean and largest fraction shared with another."""
        fraction = self.fraction
        return self.neurons.assign(
            information=self.information, mean_shared=np.nanmean(fraction, axis=1), most=np.nanmax(fraction, axis=1)
        )


@one_line
@dataclass(frozen=True)
class PopulationInformation:
    """Information of groups of cells, if signal and noise were Gaussian.

    Args:
        sizes: number of cells in a group.
        together: information of each group (bits per bin).
        apart: sum of the information of its cells one by one (bits per bin).
    """

    sizes: Int[np.ndarray, " size"]
    together: Float[np.ndarray, "size draw"]
    apart: Float[np.ndarray, "size draw"]

    @property
    def redundancy(self) -> Float[np.ndarray, "size draw"]:
        """Share of the sum that is told more than once: ``1 - together / apart``; 0 for independent cells."""
        return 1 - self.together / self.apart

    def to_dataframe(self) -> pd.DataFrame:
        """A row for each size: means over groups."""
        columns = {name: getattr(self, name).mean(axis=1) for name in ("together", "apart", "redundancy")}
        return pd.DataFrame({"size": self.sizes, **columns})


def pair_redundancy(
    model: Any,
    stimuli: Many,
    *,
    session: str | None = None,
    neurons: int | Iterable[int] | None = None,
    device: str | torch.device | None = None,
    batch_size: int = 16,
    seed: int = 0,
) -> Redundancy:
    """Redundancy ``I(a) + I(b) - I(a, b)`` of all pairs of cells (Puchalla et al. 2005, Neuron 46:493).

    Information is about which of the shown bins the counts come from. The model's rates give the distribution of
    Poisson counts in every bin, hence exact sums, not samples of responses. Noise is taken as independent, so that
    redundancy is the mutual information of the two counts, never negative, and synergy cannot appear. Too few stimuli
    bias it upwards; `Redundancy.chance` says by how much.

    Args:
        model: a twin, ensemble, baseline or truth of spike counts.
        stimuli: what is shown (batch, channel, time, height, width), or `Stimulus` objects, each after its first frame
            has been on screen for long.
        session, neurons, device: see `retina_nb.analyses.subjects.subject`.
        batch_size: stimuli shown at once.
        seed: of the shifts for the chance level.

    Raises:
        UserError: if there are fewer than two neurons, one does not exist, or the stimuli do not fit.
    """
    chosen = subject(model, session=session, neurons=neurons, device=device)
    if len(chosen.neurons) < 2:
        raise UserError("redundancy is of pairs: choose at least two neurons")
    rates = chosen.show(stimuli, batch_size=batch_size).reshape(-1, len(chosen.neurons)).astype(float)
    counts = _count_probabilities(rates)
    entropy = _entropy(counts.mean(axis=0), axis=1)
    information = entropy - _entropy(counts, axis=2).mean(axis=0)
    shared = entropy[:, None] + entropy - _joint_entropy(counts, counts)
    shift = np.random.default_rng(seed).integers(len(counts) // 4, len(counts) - len(counts) // 4)
    chance = entropy[:, None] + entropy - _joint_entropy(counts, np.roll(counts, shift, axis=0))
    off = ~np.eye(len(shared), dtype=bool)
    return Redundancy(information, np.where(off, shared, np.nan), float(chance[off].mean()), chosen.table())


def population_information(
    model: Any,
    stimuli: Many,
    *,
    sizes: Sequence[int] | None = None,
    draws: int = 20,
    session: str | None = None,
    neurons: int | Iterable[int] | None = None,
    device: str | torch.device | None = None,
    batch_size: int = 16,
    seed: int = 0,
) -> PopulationInformation:
    """Information of groups of cells against the sum over their cells, in a linear-Gaussian approximation.

    ``log2 det(1 + S / N) / 2`` bits per bin, with S the covariance of the rates over bins and N the variance of
    independent Poisson noise, the mean rate. It counts what cells share by second order only, within a bin.

    Args:
        model: a twin, ensemble, baseline or truth of spike counts.
        stimuli: what is shown (batch, channel, time, height, width), or `Stimulus` objects, each after its first frame
            has been on screen for long.
        sizes: numbers of cells in a group; by default 1 to 20, as far as there are so many.
        draws: groups of each size, drawn from the chosen neurons.
        session, neurons, device: see `retina_nb.analyses.subjects.subject`.
        batch_size: stimuli shown at once.
        seed: fixes the groups.

    Raises:
        UserError: if a size is not possible, a neuron does not exist, or the stimuli do not fit.
    """
    chosen = subject(model, session=session, neurons=neurons, device=device)
    sizes = [size for size in (1, 2, 5, 10, 20) if size <= len(chosen.neurons)] if sizes is None else sizes
    check_sizes(sizes, len(chosen.neurons))
    rates = chosen.show(stimuli, batch_size=batch_size).reshape(-1, len(chosen.neurons)).astype(float)
    scale = 1 / np.sqrt(np.maximum(rates.mean(axis=0), 1e-12))
    signal = np.atleast_2d(np.cov(rates.T)) * np.outer(scale, scale)
    alone, random = np.log2(1 + np.diag(signal)) / 2, np.random.default_rng(seed)
    together, apart = np.empty((2, len(sizes), draws))
    for row, size in enumerate(sizes):
        for draw in range(draws):
            group = random.permutation(len(signal))[:size]
            together[row, draw] = np.linalg.slogdet(np.eye(size) + signal[np.ix_(group, group)])[1] / np.log(4)
            apart[row, draw] = alone[group].sum()
    return PopulationInformation(np.asarray(sizes), together, apart)


def check_sizes(sizes: Sequence[int], available: int) -> None:
    """Refuse sizes of groups that cannot be drawn from so many neurons."""
    wrong = [size for size in sizes if not 1 <= size <= available]
    if wrong or not len(sizes):
        raise UserError(f"sizes must be from 1 to {available}, the number of neurons, not {list(sizes)}")


def _count_probabilities(rates: Float[np.ndarray, "time neuron"]) -> Float[np.ndarray, "time neuron count"]:
    """Probability of each count in each bin; the last stands for all above, which are hardly ever seen."""
    if (rates < 0).any():
        raise UserError("the model expects negative responses: information in counts is for rates")
    top = int(rates.max() + 6 * np.sqrt(rates.max()) + 6)
    count, rate = np.arange(top), np.maximum(rates, 1e-12)[..., None]
    below = np.exp(count * np.log(rate) - rate - gammaln(count + 1))
    return np.concatenate([below, np.maximum(1 - below.sum(axis=2, keepdims=True), 0)], axis=2)


def _entropy(probability: np.ndarray, axis: int | tuple[int, ...]) -> np.ndarray:
    return -(probability * np.log2(np.where(probability > 0, probability, 1))).sum(axis=axis)


def _joint_entropy(
    a: Float[np.ndarray, "time neuron count"], b: Float[np.ndarray, "time neuron count"]
) -> Float[np.ndarray, "neuron neuron"]:
    """Entropy (bits) of the counts of every neuron in a together with every one in b, independent within a bin."""
    flat = b.reshape(len(b), -1)
    rows = [  # one neuron with all at once, so that memory stays small
        _entropy((a[:, n].T @ flat / len(a)).reshape(a.shape[2], *b.shape[1:]), axis=(0, 2))
        for n in tqdm(range(a.shape[1]), disable=a.shape[1] <= _LONG, leave=False)
    ]
    return np.stack(rows)
