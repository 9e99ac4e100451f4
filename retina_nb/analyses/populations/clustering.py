"""Sorting cells into types by how they respond, and how far such a sorting can be trusted."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import torch
from jaxtyping import Float, Int
from scipy.cluster.hierarchy import fcluster, linkage
from scipy.special import comb

from retina_nb.analyses.subjects import subject
from retina_nb.errors import UserError
from retina_nb.representations import one_line
from retina_nb.stimuli import Screen, batch, chirp, drifting_grating

DIRECTIONS = tuple(range(0, 360, 45))
WAVELENGTHS = (300.0, 600.0)  # µm: fine and coarse for a receptive field
# Components of each part of the battery that are kept, as far as they carry variance.
_COMPONENTS = 8


@one_line
@dataclass(frozen=True)
class Clusters:
    """Cells sorted by their features.

    Args:
        labels: number of each neuron's cluster, from 0.
        stability: how well each cluster returns when neurons are drawn anew: the mean over bootstrap samples of the
            Jaccard index with the most similar cluster. Above 0.75 a cluster is stable, below 0.6 it is not to be
            trusted (Hennig 2007, Comput. Stat. Data Anal. 52:258).
        features: what was clustered.
        neurons: a row for each neuron: ``session`` and ``neuron``.
    """

    labels: Int[np.ndarray, " neuron"]
    stability: Float[np.ndarray, " cluster"]
    features: Float[np.ndarray, "neuron feature"]
    neurons: pd.DataFrame

    def to_dataframe(self) -> pd.DataFrame:
        """A row for each neuron: its cluster and the cluster's stability."""
        return self.neurons.assign(cluster=self.labels, stability=self.stability[self.labels])


def cluster_cells(
    model: Any,
    *,
    clusters: int,
    session: str | None = None,
    neurons: int | Iterable[int] | None = None,
    device: str | torch.device | None = None,
    batch_size: int = 16,
    bootstraps: int = 50,
    seed: int = 0,
) -> Clusters:
    """Sort cells of all sessions into types by their responses to stimuli that do not depend on where a cell looks.

    The battery has the chirp in each channel alone and in all (polarity, kinetics, adaptation and colour) and drifting
    gratings of two wavelengths in eight directions (selectivity for motion, size and fine patterns).
    See `response_features` and `cluster_features`.

    Args:
        model: a twin, ensemble, baseline or truth.
        clusters: how many.
        session, neurons, device: see `retina_nb.analyses.subjects.subject`.
        batch_size: stimuli shown at once.
        bootstraps: samples of neurons for the stability.
        seed: fixes them.

    Raises:
        UserError: if a neuron or session does not exist, the model does not know its screen, or there are fewer
            neurons than clusters.
    """
    chosen = subject(model, session=session, neurons=neurons, device=device)
    check_clusters(clusters, len(chosen.neurons))
    features = response_features(model, session=session, neurons=neurons, device=device, batch_size=batch_size)
    labels, stability = cluster_features(features, clusters, bootstraps=bootstraps, seed=seed)
    return Clusters(labels, stability, features, chosen.table())


def response_features(
    model: Any,
    *,
    session: str | None = None,
    neurons: int | Iterable[int] | None = None,
    device: str | torch.device | None = None,
    batch_size: int = 16,
) -> Float[np.ndarray, "neuron feature"]:
    """Features of each cell's responses to the battery of `cluster_cells`.

    They have three parts: the courses of the responses to the chirps, divided by their standard deviation; the
    direction selectivity vector for each wavelength of the gratings; and mean and modulation of the responses to the
    gratings in the same units as the courses. Each part is reduced to its principal components over cells and weighs
    the same, whatever its number of bins.

    Args:
        model, session, neurons, device, batch_size: see `cluster_cells`.

    Raises:
        UserError: if a neuron or session does not exist, or the model does not know its screen.
    """
    chosen, screen = subject(model, session=session, neurons=neurons, device=device), Screen.of(model)
    colours = [tuple(row) for row in np.eye(screen.channels)] + [(1.0,) * screen.channels]
    chirps, _ = batch([chirp(screen, colour=colour) for colour in dict.fromkeys(colours)])
    courses = chosen.show(chirps, batch_size=batch_size).astype(float)  # (colour, time, neuron)
    gratings, _ = batch(
        [
            drifting_grating(screen, direction=direction, wavelength=wavelength)
            for wavelength in WAVELENGTHS
            for direction in DIRECTIONS
        ]
    )
    drifting = chosen.show(gratings, batch_size=batch_size).astype(float)[
        :, round(screen.rate / 2) :
    ]  # after the onset
    scale = courses.std(axis=(0, 1)).clip(min=1e-12)
    drifting = (drifting / scale).reshape(len(WAVELENGTHS), len(DIRECTIONS), *drifting.shape[1:])
    vector = np.exp(1j * np.deg2rad(DIRECTIONS)) @ drifting.mean(axis=2)  # (wavelength, neuron)
    vector = vector / drifting.mean(axis=2).sum(axis=1).clip(min=1e-12)
    strength = [drifting.mean(axis=(1, 2)), drifting.std(axis=2).mean(axis=1)]
    parts = [(courses / scale).reshape(-1, len(scale)), [*vector.real, *vector.imag], np.concatenate(strength)]
    return np.concatenate([_components(np.asarray(part).T) for part in parts], axis=1)


def cluster_features(
    features: Float[np.ndarray, "neuron feature"], clusters: int, *, bootstraps: int = 50, seed: int = 0
) -> tuple[Int[np.ndarray, " neuron"], Float[np.ndarray, " cluster"]]:
    """Ward's hierarchical clustering (Ward 1963), and the stability of each cluster (Hennig 2007).

    Args:
        features: of each neuron, in comparable units.
        clusters: how many.
        bootstraps: samples of neurons, with replacement, that are clustered anew.
        seed: fixes them.

    Returns:
        Labels from 0, and the mean Jaccard index of each cluster with its most similar one in the samples, over the
        neurons that are in the sample; NaN for a cluster of which no sample has a neuron.

    Raises:
        UserError: if there are fewer neurons than clusters, no samples, or a feature is not finite.
    """
    check_clusters(clusters, len(features))
    if bootstraps < 1:
        raise UserError(f"stability needs one bootstrap sample or more, not bootstraps={bootstraps}")
    if not np.isfinite(features).all():
        raise UserError(f"the features of neuron {np.argwhere(~np.isfinite(features))[0, 0]} are not finite")
    labels, random = _ward(features, clusters), np.random.default_rng(seed)
    jaccard = np.full((bootstraps, labels.max() + 1), np.nan)
    for sample in range(bootstraps):
        drawn = np.unique(random.integers(len(features), size=len(features)))
        again = _ward(features[drawn], clusters)
        for cluster in np.unique(labels[drawn]):
            member = labels[drawn] == cluster
            found = [again == other for other in np.unique(again)]
            jaccard[sample, cluster] = max((member & one).sum() / (member | one).sum() for one in found)
    times = np.isfinite(jaccard).sum(axis=0)
    return labels, np.divide(np.nansum(jaccard, axis=0), times, out=np.full(len(times), np.nan), where=times > 0)


def adjusted_rand_index(first: Sequence | np.ndarray | pd.Series, second: Sequence | np.ndarray | pd.Series) -> float:
    """How far two sortings of the same cells agree: 1 if they are the same, 0 on average by chance.

    The share of pairs that both put together, corrected for chance (Hubert & Arabie 1985, J. Classif. 2:193).

    Raises:
        UserError: if the lengths differ or are less than 2.
    """
    if len(first) != len(second) or len(first) < 2:
        raise UserError(f"the sortings must be of the same cells, two or more, not {len(first)} and {len(second)}")
    table = pd.crosstab(np.asarray(first), np.asarray(second)).to_numpy()
    both, one, other = (comb(counts, 2).sum() for counts in (table, table.sum(axis=1), table.sum(axis=0)))
    chance, most = one * other / comb(len(first), 2), (one + other) / 2
    return 1.0 if most == chance else float((both - chance) / (most - chance))


def check_clusters(clusters: int, neurons: int) -> None:
    """Refuse more clusters than there are neurons, or fewer than two."""
    if neurons < 2:
        raise UserError("one neuron cannot be sorted into clusters: choose two or more")
    if not 2 <= clusters <= neurons:
        raise UserError(f"clusters must be from 2 to the number of neurons, {neurons}, not {clusters}")


def _ward(features: np.ndarray, clusters: int) -> np.ndarray:
    if len(features) == 1:
        return np.zeros(1, dtype=np.int32)
    return fcluster(linkage(features, "ward"), clusters, criterion="maxclust") - 1


def _components(values: Float[np.ndarray, "neuron value"]) -> Float[np.ndarray, "neuron component"]:
    """Principal components over neurons, of variance 1 together."""
    left, strength, _ = np.linalg.svd(values - values.mean(axis=0), full_matrices=False)
    kept = (left * strength)[:, :_COMPONENTS]
    return kept / max(np.sqrt((kept**2).sum() / len(kept)), 1e-12)
