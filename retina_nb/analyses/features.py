"""A twin's own words: its core's activity as sums of few of many features, and what each of these means.

A sparse autoencoder of the core's activity in single places and bins finds the features. What a feature means is asked
from both sides: which stimuli evoke it, and which cells respond less without it (Bricken et al. 2023,
transformer-circuits.pub; for retina models Melander et al. 2026).
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch
from jaxtyping import Float
from scipy.stats import rankdata
from torch import Tensor

from retina_nb.analyses.subjects import One, Subject, frozen, subject
from retina_nb.errors import UserError
from retina_nb.evaluation import evaluate
from retina_nb.models.activations import collect_activations, replaced_activations
from retina_nb.models.core_readout import CoreReadout
from retina_nb.models.sparse_autoencoder import SparseAutoencoder, SparseFit, fit_sparse_autoencoder
from retina_nb.recording import Recording
from retina_nb.representations import one_line
from retina_nb.tensors import as_tensor

# Bins of stimulus that a core is given at once.
_BLOCK = 600


@one_line
@dataclass(frozen=True)
class Features:
    """Features of a twin's core.

    Args:
        fit: the autoencoder, its share of variance ``r2``, mean number of features ``l0`` and share of ``dead`` ones.
        share: how often each feature is there, of all places and bins.
        strength: its mean when it is there, in units of the core's activity.
        filters: mean gradient of the feature in the middle of the screen, over bins in which it is there (per unit of
            contrast); the last lag is the present.
        effect: by how much each neuron's mean rate changes if the feature is there as it is, and not gone (events per
            bin): negative if the feature silences the neuron.
        mean_rate: of each neuron during the stimulus (events per bin).
        neurons: a row for each neuron: ``session`` and ``neuron``.
        rate: bins per second (Hz).
    """

    fit: SparseFit
    share: Float[np.ndarray, " feature"]
    strength: Float[np.ndarray, " feature"]
    filters: Float[np.ndarray, "feature channel lag height width"]
    effect: Float[np.ndarray, "feature neuron"]
    mean_rate: Float[np.ndarray, " neuron"]
    neurons: pd.DataFrame
    rate: float

    @property
    def polarity(self) -> Float[np.ndarray, " feature"]:
        """Balance of each filter in its strongest lag: 1 if nothing in it is negative, -1 if nothing is positive."""
        lag = np.square(self.filters).sum(axis=(1, 3, 4)).argmax(axis=1)
        strongest = self.filters[np.arange(len(lag)), :, lag].reshape(len(lag), -1)
        size = np.abs(strongest).sum(axis=1)
        return np.divide(strongest.sum(axis=1), size, out=np.zeros_like(size), where=size > 0)

    @property
    def relative_effect(self) -> Float[np.ndarray, "feature neuron"]:
        """The effect as a share of the neuron's mean rate."""
        return self.effect / np.maximum(self.mean_rate, 1e-12)

    def to_dataframe(self) -> pd.DataFrame:
        """A row for each feature: ``feature``, ``share``, ``strength``, ``polarity``, and how many cells it matters to.

        ``readers`` is the effective number of cells that it changes: the squared sum of absolute relative effects over
        the sum of their squares, 1 if there is a single one.
        """
        size = np.abs(self.relative_effect)
        squares = np.square(size).sum(axis=1)
        readers = np.divide(size.sum(axis=1) ** 2, squares, out=np.zeros_like(squares), where=squares > 0)
        columns = {"share": self.share, "strength": self.strength, "polarity": self.polarity, "readers": readers}
        return pd.DataFrame({"feature": np.arange(len(self.share)), **columns})


def find_features(
    twin: CoreReadout,
    stimulus: One,
    *,
    features: int = 32,
    top_k: int = 4,
    steps: int = 2000,
    samples: int = 50_000,
    operating_points: int = 16,
    session: str | None = None,
    neurons: int | Iterable[int] | None = None,
    device: str | torch.device | None = None,
    seed: int = 0,
) -> Features:
    """Fit a sparse autoencoder to a twin's core, and ask what its features respond to and who reads them.

    Args:
        twin: the model.
        stimulus: what it is shown (channel, time, height, width), e.g. the movie of a recording, or a `Stimulus`.
        features: number of features.
        top_k: how many of them a place has in a bin at most.
        steps: of the fit.
        samples: places and bins, drawn at random, to which the autoencoder is fitted.
        operating_points: bins in which a feature's gradient is taken.
        session: of whose cells the effects are computed; all sessions' if None.
        neurons: their numbers; all if None.
        device: where to compute.
        seed: fixes everything.

    Raises:
        UserError: if the model is not a twin with one core for all sessions, or the stimulus does not fit.
    """
    if not isinstance(twin, CoreReadout) or twin.core.per_session:
        raise UserError("features are those of a core: give a twin whose core does not depend on the session")
    one = subject(twin, session=session, neurons=neurons, device=device)
    stimulus = one.frames(stimulus)
    one.examine(stimulus[None])
    shown = as_tensor(np.ascontiguousarray(stimulus)).float()[None]
    # The core alone is needed, whoever reads it.
    activity = collect_activations(
        twin, "core", [shown], session=session or twin.sessions[0], samples=samples, seed=seed
    )
    fit = fit_sparse_autoencoder(activity, features, top_k=top_k, steps=steps, seed=seed)
    autoencoder = fit.autoencoder.to(one.device).eval()
    middle, share, strength, effect, mean_rate = _present(one, autoencoder, shown)
    filters = _filters(one, autoencoder, shown, middle, operating_points, seed)
    return Features(fit, share, strength, filters, effect, mean_rate, one.table(), one.rate)


def feature_clips(
    twin: CoreReadout,
    found: Features,
    stimulus: One,
    feature: int,
    *,
    count: int = 4,
) -> tuple[Float[np.ndarray, "clip channel lag height width"], Float[np.ndarray, "clip 3"]]:
    """The stretches of a stimulus that evoke a feature most, one after the other in order of strength.

    Args:
        twin: the model.
        found: its features.
        stimulus: where to look.
        feature: which.
        count: how many clips; fewer if the feature is not there so often. None overlaps another.

    Returns:
        The clips, of as many bins as the core remembers, and when and where the feature is: the last bin of the clip
        in the stimulus, and the pixel (y, x) on which what the feature sees is centred.

    Raises:
        UserError: if there is no such feature or the stimulus does not fit.
    """
    if not 0 <= feature < len(found.share):
        raise UserError(f"there is no feature {feature}: there are features 0 to {len(found.share) - 1}")
    one, lag = subject(twin), twin.core.lag
    stimulus = one.frames(stimulus)
    one.examine(stimulus[None])
    shown = as_tensor(np.ascontiguousarray(stimulus)).float()[None]
    with torch.no_grad():
        parts = [found.fit.autoencoder.encode(rows)[..., feature] for rows in _activity(one, shown)]
    code = torch.cat(parts).cpu().numpy()  # (time, height, width)
    peak = code.max(axis=(1, 2))
    chosen: list[tuple[int, ...]] = []
    while len(chosen) < count and peak.max(initial=0) > 0:
        bin_ = int(peak.argmax())
        chosen.append((bin_ + one.lag, *np.unravel_index(code[bin_].argmax(), code.shape[1:])))
        peak[max(0, bin_ - lag) : bin_ + lag + 1] = 0
    where = np.array(chosen, dtype=float).reshape(-1, 3)
    made = np.zeros((len(where), len(stimulus), lag + 1, *stimulus.shape[2:]), dtype=np.float32)
    for clip, (last, *_) in zip(made, chosen, strict=True):
        clip[:] = stimulus[:, last - lag : last + 1]
    # Places of the feature movie are in the middle of the screen, `stride` pixels from one to the next.
    stride = np.broadcast_to(twin.core.stride, 2)
    around = np.array(stimulus.shape[2:]) - 1 - stride * (np.array(code.shape[1:]) - 1)
    where[:, 1:] = where[:, 1:] * stride + around / 2
    return made, where


def score_with_features(
    twin: CoreReadout, found: Features, recordings: Recording | Mapping[str, Recording], *, stimulus: str = "test"
) -> pd.DataFrame:
    """How well the twin predicts if its readouts hear the features alone, and not all that the core does.

    Args:
        twin: the model.
        found: its features.
        recordings: of the cells.
        stimulus: which of the recordings' test stimuli.

    Returns:
        A row for each neuron: those of `evaluate`, and ``features_`` before the name for the same with features.
    """
    whole = evaluate(twin, recordings, stimulus=stimulus, baseline=None)
    with replaced_activations(twin, "core", found.fit.autoencoder):
        reduced = evaluate(twin, recordings, stimulus=stimulus, baseline=None)
    scores = [name for name in ("correlation", "cc_norm") if name in whole]
    return whole.join(reduced[scores].add_prefix("features_"))


def tell_types(
    values: Float[np.ndarray, "row neuron"], types: Iterable[str], *, shuffles: int = 20, seed: int = 0
) -> pd.DataFrame:
    """How well single rows of values, e.g. effects of features, tell the cells of each type from all others.

    Args:
        values: for every neuron.
        types: of the neurons.
        shuffles: of the types, for what the best of so many rows reaches by chance.
        seed: fixes them.

    Returns:
        A row for each type: ``area`` under the ROC curve of the best row of values (1: all cells of the type have
        larger values than any other cell), its number ``row``, and ``chance``, the mean area with shuffled types.

    Raises:
        UserError: if there are not two types or more.
    """
    names, kind = np.unique(list(types), return_inverse=True)
    if len(names) < 2:
        raise UserError(f"there must be two types or more to tell apart, not {len(names)}")
    ranks = rankdata(values, axis=1)
    rng = np.random.default_rng(seed)
    areas = _areas(ranks, kind)
    chance = np.mean([_areas(ranks, rng.permutation(kind)).max(axis=1) for _ in range(shuffles)], axis=0)
    columns = {"area": areas.max(axis=1), "row": areas.argmax(axis=1), "chance": chance}
    return pd.DataFrame(columns, index=pd.Index(names, name="type"))


def _areas(ranks: np.ndarray, kind: np.ndarray) -> np.ndarray:
    """Area under the ROC curve of every row for each kind (kind, row)."""
    member = np.eye(kind.max() + 1)[kind]  # (neuron, kind)
    count = member.sum(axis=0)[:, None]
    return ((ranks @ member).T - count * (count + 1) / 2) / (count * (len(kind) - count))


def _activity(one: Subject, shown: Tensor) -> Iterator[Tensor]:
    """The core's activity in the bins in which the twin responds, in parts (time, height, width, unit)."""
    for start in range(one.lag, shown.shape[2], _BLOCK):
        part = shown[:, :, start - one.lag : start + _BLOCK].to(one.device)
        made = one.model.features(part)[0, :, -(part.shape[2] - one.lag) :]
        yield made.movedim(0, -1)


@torch.no_grad()
def _present(one: Subject, autoencoder: SparseAutoencoder, shown: Tensor) -> tuple[np.ndarray, ...]:
    """Features in the middle of the screen (time, feature), their share and strength, their effects and mean rates."""
    index = torch.from_numpy(one.neurons)
    count = len(autoencoder.decoder)
    middle, there, total, places = [], torch.zeros(count), torch.zeros(count), 0
    sums = torch.zeros(count + 1, len(index), device=one.device)  # of rates: whole, then without each feature
    for rows in _activity(one, shown):
        code = autoencoder.encode(rows)
        middle.append(code[:, code.shape[1] // 2, code.shape[2] // 2].cpu())
        there += (code > 0).sum(dim=(0, 1, 2)).cpu()
        total += code.sum(dim=(0, 1, 2)).cpu()
        places += code[..., 0].numel()

        def rates(made: Tensor) -> Tensor:
            return one.model.read(made.movedim(-1, 0)[None], one.session, index)[0].sum(dim=0)

        sums[0] += rates(rows)
        for feature in range(count):
            sums[1 + feature] += rates(rows - code[..., feature, None] * autoencoder.decoder[feature])
    mean = sums.cpu().numpy() / (shown.shape[2] - one.lag)
    strength = (total / there.clamp(min=1)).numpy()
    return torch.cat(middle).numpy(), (there / places).numpy(), strength, mean[0] - mean[1:], mean[0]


def _filters(
    one: Subject, autoencoder: SparseAutoencoder, shown: Tensor, middle: np.ndarray, points: int, seed: int
) -> np.ndarray:
    """Mean gradient of each feature in the middle of the screen, where it is there; zero if it never is."""
    rng, lag = np.random.default_rng(seed), one.model.core.lag
    made = np.zeros((middle.shape[1], shown.shape[1], lag + 1, *shown.shape[3:]), dtype=np.float32)
    with frozen(one.model), frozen(autoencoder), torch.enable_grad():
        for feature, code in enumerate(middle.T):
            bins = np.flatnonzero(code > 0)
            if not len(bins):
                continue
            ends = one.lag + rng.choice(bins, min(points, len(bins)), replace=False)
            windows = torch.stack([shown[0, :, end - lag : end + 1] for end in ends]).to(one.device).requires_grad_()
            activity = one.model.features(windows)[:, :, -1]
            place = activity[:, :, activity.shape[2] // 2, activity.shape[3] // 2]
            response = autoencoder.encode(place)[:, feature].sum()
            made[feature] = torch.autograd.grad(response, windows)[0].mean(dim=0).cpu().numpy()
    return made
