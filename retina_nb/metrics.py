"""How well a prediction agrees with repeated responses, and how well any prediction could.

Responses are ``trials`` (trial, time, neuron), predictions (time, neuron); every score is (neuron,).

Three rules hold throughout. A prediction that does not vary has correlation 0: it explains nothing. What
cannot be known is NaN: the scores of a neuron that never responds differently, ceilings from a single
trial, and whatever is divided by a signal power or explainable variance that is not positive. Nothing is
clipped unless its name says so.

Every score takes ``weights`` (time,) or (sample, time), each row adding up to 1: how much each bin counts.
Weighted means over time are matrix products, so thousands of bootstrap samples cost little more than one.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import combinations
from math import ceil, comb
from numbers import Real

import numpy as np
from jaxtyping import Float
from numpy.typing import ArrayLike
from scipy import stats

from retina_nb.arrays import as_array, as_count, as_numbers, as_seed, as_text, describe
from retina_nb.errors import UserError, unknown
from retina_nb.representations import one_line

# Predicted rates below this are taken as this by the Poisson scores, whose logarithm needs positive rates.
SMALLEST_RATE = 1e-8
# At most this many ways to halve the trials are averaged.
_MAX_SPLITS = 50
# Bins that are resampled together, if there are twice as many.
_BLOCK = 30
# Bootstrap samples computed at once, which bounds the memory needed for many trials.
_SAMPLES_AT_ONCE = 50
# Numbers of split halves in memory together, which bounds it for many neurons.
_VALUES_AT_ONCE = 2**22

Scores = Float[np.ndarray, " neuron"] | Float[np.ndarray, "sample neuron"]
Weights = Float[np.ndarray, " time"] | Float[np.ndarray, "sample time"] | None


def pearson(a: np.ndarray, b: np.ndarray, weights: Weights = None) -> Scores:
    """Pearson correlation over time of `a` with `b`, both (time, neuron).

    0 where `a`, the prediction, does not vary; NaN where `b`, the response, does not.

    Raises:
        UserError: if the shapes differ or a value is not finite.
    """
    b, a = _checked(np.asarray(b)[None], a)
    return _pearson(a, b[0], _normed(weights, a))


def correlation(trials: np.ndarray, prediction: np.ndarray, weights: Weights = None) -> Scores:
    """Pearson correlation of the prediction with the average over trials; its ceiling is `cc_max`."""
    trials, prediction = _checked(trials, prediction)
    return _pearson(prediction, trials.mean(axis=0), _normed(weights, trials))


def correlation_single_trial(trials: np.ndarray, prediction: np.ndarray, weights: Weights = None) -> Scores:
    """Mean over trials of the correlation of the prediction with each; compare with `jackknife_oracle`.

    Trials in which the neuron was silent have no correlation and are left out.
    """
    trials, prediction = _checked(trials, prediction)
    return _mean_of_defined(_pearson(prediction[None], trials, _normed(weights, trials)))


def signal_power(trials: np.ndarray, weights: Weights = None) -> Scores:
    """Variance over time of the response that repeats, an unbiased estimate that can be negative.

    ``SP = (N var(mean over trials) - mean over trials of var(trial)) / (N - 1)`` for N trials, NaN for one
    (Sahani & Linden 2003, NIPS; Schoppe et al. 2016, Front. Comput. Neurosci. 10:10). In response units².
    """
    trials = _checked_trials(trials)
    return _signal_power(trials, _normed(weights, trials)) * _unbiased(trials.shape[1])


def noise_power(trials: np.ndarray, weights: Weights = None) -> Scores:
    """Variance over time of what does not repeat: mean variance of a trial minus `signal_power`."""
    trials = _checked_trials(trials)
    weights = _normed(weights, trials)
    total = _variance(_centered(trials), weights).mean(axis=0)
    return (total - _signal_power(trials, weights)) * _unbiased(trials.shape[1])


def cc_max(trials: np.ndarray, weights: Weights = None) -> Scores:
    """Correlation that the true rate would have with the average of these trials: the ceiling of `correlation`.

    ``sqrt(SP / var(mean over trials))`` (Hsu et al. 2004; Schoppe et al. 2016). At most 1 but for noise in SP.
    """
    trials = _checked_trials(trials)
    weights = _normed(weights, trials)
    average = _variance(_centered(trials.mean(axis=0)), weights)
    return np.sqrt(_ratio(_positive(_signal_power(trials, weights)), average))


def cc_norm(trials: np.ndarray, prediction: np.ndarray, weights: Weights = None) -> Scores:
    """Correlation with the average, normalised by the noise ceiling: `correlation` over `cc_max`.

    ``cov(prediction, average) / sqrt(var(prediction) SP)`` (Schoppe et al. 2016, eq. 5). 1 for the true rate
    whatever the noise, up to chance, by which it can exceed 1.
    """
    trials, prediction = _checked(trials, prediction)
    weights = _normed(weights, trials)
    x, average = _centered(prediction), _centered(trials.mean(axis=0))
    power = _positive(_signal_power(trials, weights))
    variance = _variance(x, weights)
    score = _ratio(_covariance(x, average, weights), np.sqrt(variance * power))
    return np.where((variance == 0) & (power > 0), 0.0, score)


def explainable_variance(trials: np.ndarray, weights: Weights = None) -> Scores:
    """Variance of the responses that a function of the stimulus could explain, in response units².

    Variance over all bins of all trials minus the mean over bins of the variance over trials (Cadena et al.
    2019, PLoS Comput. Biol. 15:e1006897). Unlike `signal_power` it counts drifts between trials as noise.
    """
    trials = _checked_trials(trials)
    total, noise = _total_and_noise_variance(trials, _normed(weights, trials))
    return total - noise


def explainable_variance_ratio(trials: np.ndarray, weights: Weights = None) -> Scores:
    """`explainable_variance` as a fraction of the variance of the responses; NaN for a silent neuron."""
    trials = _checked_trials(trials)
    total, noise = _total_and_noise_variance(trials, _normed(weights, trials))
    return _ratio(total - noise, total)


def quality_index(trials: np.ndarray, weights: Weights = None) -> Scores:
    """Variance over time of the mean over trials, over the mean over trials of the variance over time.

    1 if all trials are alike; about 1 / N if the responses are random, so that values from different numbers N of
    trials do not compare (Baden et al. 2016, Nature 529:345). NaN for a silent neuron.
    """
    trials = _checked_trials(trials)
    weights = _normed(weights, trials)
    if len(trials) < 2:
        return _undefined(trials, weights)
    of_average = _variance(_centered(trials.mean(axis=0)), weights)
    return _ratio(of_average, _variance(_centered(trials), weights).mean(axis=0))


def signal_to_noise(trials: np.ndarray, weights: Weights = None) -> Scores:
    """`signal_power` over `noise_power` of a single trial (Sahani & Linden 2003); like the former it can be negative.

    NaN for a neuron whose responses are alike in all trials.
    """
    return _ratio(signal_power(trials, weights), _positive(noise_power(trials, weights)))


def fano_factor(trials: np.ndarray, weights: Weights = None) -> Scores:
    """Mean over bins of the variance over trials, over the mean response: 1 for counts of a Poisson process.

    Other units than counts per bin give other numbers. NaN for a silent neuron.
    """
    trials = _checked_trials(trials)
    weights = _normed(weights, trials)
    if len(trials) < 2:
        return _undefined(trials, weights)
    return _ratio(weights @ trials.var(axis=0, ddof=1), weights @ trials.mean(axis=0))


def feve(trials: np.ndarray, prediction: np.ndarray, weights: Weights = None) -> Scores:
    """Fraction of the explainable variance explained, neither clipped below 0 nor above 1.

    ``1 - (mean squared error - noise variance) / explainable variance`` (Cadena et al. 2019). Unlike a
    correlation it asks for the right scale and offset, too.
    """
    trials, prediction = _checked(trials, prediction)
    weights = _normed(weights, trials)
    total, noise = _total_and_noise_variance(trials, weights)
    error = (weights @ (trials - prediction) ** 2).mean(axis=0)
    return 1 - _ratio(error - noise, _positive(total - noise))


def feve_clipped(trials: np.ndarray, prediction: np.ndarray, weights: Weights = None) -> Scores:
    """`feve` clipped to [0, 1], as some papers report it: it hides bad predictions and caps lucky ones."""
    return np.clip(feve(trials, prediction, weights), 0, 1)


def reliability(trials: np.ndarray, weights: Weights = None) -> Scores:
    """Split-half correlation, extended to all trials by Spearman and Brown: about `cc_max` squared.

    The mean correlation r between the averages of two disjoint halves of n trials (all such pairs up to 50,
    otherwise 50 drawn with a fixed seed) becomes ``k r / (1 + (k - 1) r)`` with k = trials / n. A negative r,
    which the formula is not made for, is given as it is.
    """
    trials = _checked_trials(trials)
    weights = _normed(weights, trials)
    if len(trials) < 2:
        return _undefined(trials, weights)
    halves = _halves(len(trials))
    step = max(1, _VALUES_AT_ONCE // (len(halves[0]) * trials.shape[1]))

    def correlations(some: np.ndarray) -> np.ndarray:
        first, second = (np.tensordot(half, some, axes=1) for half in halves)
        return _mean_of_defined(_pearson(first, second, weights, of_flat=np.nan))

    starts = range(0, trials.shape[2], step)
    r = np.concatenate([correlations(trials[..., start : start + step]) for start in starts], axis=-1)
    k = len(trials) / (len(trials) // 2)
    return np.where(r > 0, k * r / (1 + (k - 1) * np.maximum(r, 0)), r)


def jackknife_oracle(trials: np.ndarray, weights: Weights = None) -> Scores:
    """Correlation of each trial with the average of the others, pooled over trials.

    A lower bound of what `correlation_single_trial` can reach, and no ceiling of `correlation`.
    """
    trials = _checked_trials(trials)
    weights = _normed(weights, trials)
    n = len(trials)
    if n < 2:
        return _undefined(trials, weights)
    others = (n * trials.mean(axis=0) - trials) / (n - 1)
    return _pearson(_pooled(others), _pooled(trials), _pooled_weights(weights, n))


def poisson_deviance_explained(trials: np.ndarray, prediction: np.ndarray, weights: Weights = None) -> Scores:
    """Fraction of the Poisson deviance of single trials explained beyond their mean rate.

    ``1 - D(prediction) / D(mean)`` with ``D(x) = 2 sum(y log(y / x) - y + x)`` (Cameron & Windmeijer 1997,
    J. Econometrics 77:329). Noise keeps it below 1 even for the true rate. Predictions are taken as at least
    `SMALLEST_RATE`, in response units.
    """
    trials, prediction = _checked(trials, prediction)
    _check_positive(trials)
    weights = _normed(weights, trials)
    gain = _poisson_gain(trials, prediction, weights)
    mean = (weights @ trials).mean(axis=0)
    saturated = (weights @ (trials * np.log(np.where(trials > 0, trials, 1)))).mean(axis=0)
    deviance_of_mean = saturated - mean * np.log(np.maximum(mean, SMALLEST_RATE))
    # Rounding leaves the deviance of a response that does not vary close to 0 on either side.
    return _ratio(gain, np.where(deviance_of_mean > 1e-12 * mean, deviance_of_mean, np.nan))


def bits_per_spike(trials: np.ndarray, prediction: np.ndarray, weights: Weights = None) -> Scores:
    """Information per spike that the predicted rate gives beyond the mean rate, in bits.

    ``mean(y log2(x / mean(y)) - (x - mean(y)) / ln 2) / mean(y)`` over all trials: the Poisson log-likelihood
    gained per spike (Pillow et al. 2008, Nature 454:995). Predictions are taken as at least `SMALLEST_RATE`.
    """
    trials, prediction = _checked(trials, prediction)
    _check_positive(trials)
    weights = _normed(weights, trials)
    return _ratio(_poisson_gain(trials, prediction, weights), (weights @ trials).mean(axis=0)) / np.log(2)


_CEILINGS: dict[str, Callable[..., np.ndarray]] = {
    "cc_max": cc_max,
    "explainable_variance": explainable_variance,
    "explainable_variance_ratio": explainable_variance_ratio,
    "reliability": reliability,
    "jackknife_oracle": jackknife_oracle,
}
_PROPERTIES: dict[str, Callable[..., np.ndarray]] = {
    "quality_index": quality_index,
    "signal_to_noise": signal_to_noise,
    "fano_factor": fano_factor,
}
_PREDICTION_SCORES: dict[str, Callable[..., np.ndarray]] = {
    "correlation": correlation,
    "correlation_single_trial": correlation_single_trial,
    "cc_norm": cc_norm,
    "feve": feve,
    "feve_clipped": feve_clipped,
    "poisson_deviance_explained": poisson_deviance_explained,
    "bits_per_spike": bits_per_spike,
}


def score_card(trials: np.ndarray, prediction: np.ndarray) -> dict[str, Float[np.ndarray, " neuron"]]:
    """Every score of a prediction, then what limits it, by the name of the function that computes it.

    Args:
        trials: (trial, time, neuron) responses, finite and not negative. With one trial, all that needs
            repeats is NaN.
        prediction: (time, neuron) predicted rates in the same units.

    Raises:
        UserError: if the shapes do not fit or a value cannot be scored.
    """
    trials, prediction = _checked(trials, prediction)
    scores = {name: score(trials, prediction) for name, score in _PREDICTION_SCORES.items()}
    return scores | {name: ceiling(trials) for name, ceiling in _CEILINGS.items()}


def bootstrap_scores(
    trials: np.ndarray,
    prediction: np.ndarray | None,
    metric: str,
    *,
    block: int | None = None,
    n: int = 500,
    seed: int = 0,
) -> Float[np.ndarray, "sample neuron"]:
    """A score in `n` resamplings of the time bins, drawn as circular blocks (Politis & Romano 1992).

    Blocks keep neighbouring bins together, because responses are correlated in time.

    Args:
        trials: (trial, time, neuron).
        prediction: (time, neuron); None for what is known of the trials alone.
        metric: a name in `score_card`, or ``"quality_index"``, ``"signal_to_noise"``, ``"fano_factor"``.
        block: bins in a block; should exceed the time over which the responses are correlated. By default 30, or half
            of the bins if there are less than 60.
        n: number of resamplings.
        seed: of the resampling.

    Raises:
        UserError: if there is no such metric, it needs a prediction, or the block does not fit in the recording.
    """
    score = _score_named(metric, trials, prediction)
    bins = np.shape(trials)[1]
    block = min(_BLOCK, bins // 2) if block is None else block
    as_count(n, "n, the number of resamplings,", least=1, most=10**6)
    if not isinstance(block, int | np.integer) or not 1 <= block <= bins // 2:
        raise UserError(f"block must be between 1 and half of the {bins} bins, not {describe(block)}")
    starts = np.random.default_rng(as_seed(seed)).integers(bins, size=(n, ceil(bins / block), 1))
    drawn = ((starts + np.arange(block)) % bins).reshape(n, -1)[:, :bins]
    counts = np.zeros((n, bins))
    np.add.at(counts, (np.arange(n)[:, None], drawn), 1 / bins)
    chunks = [counts[i : i + _SAMPLES_AT_ONCE] for i in range(0, n, _SAMPLES_AT_ONCE)]
    return np.concatenate([score(weights=chunk) for chunk in chunks])


def bootstrap_interval(
    trials: np.ndarray,
    prediction: np.ndarray | None,
    metric: str,
    *,
    block: int | None = None,
    n: int = 500,
    level: float = 0.95,
    seed: int = 0,
) -> tuple[Float[np.ndarray, " neuron"], Float[np.ndarray, " neuron"]]:
    """Lower and upper end of the percentile interval of `bootstrap_scores`.

    Resamplings without a defined score are left out; NaN for neurons that have none at all.
    """
    check_level(level)
    return _interval(bootstrap_scores(trials, prediction, metric, block=block, n=n, seed=seed), level)


def check_level(level: float) -> None:
    """Refuse the level of a confidence interval that cannot be.

    Raises:
        UserError: if it is not between 0 and 1.
    """
    if not isinstance(level, Real) or not 0 < level < 1:
        raise UserError(f"level must be between 0 and 1, e.g. 0.95, not {describe(level)}")


@one_line
@dataclass(frozen=True)
class Comparison:
    """A paired comparison over neurons: positive differences favour the first model.

    Args:
        median_difference: median over neurons of first minus second.
        low, high: bootstrap interval of that median, from resampling neurons.
        p_value: two-sided Wilcoxon signed-rank test that the differences are centred on 0.
        neurons: how many were compared; those without a score in both models are not.
    """

    median_difference: float
    low: float
    high: float
    p_value: float
    neurons: int


def compare_models(
    first: ArrayLike, second: ArrayLike, *, n: int = 2000, level: float = 0.95, seed: int = 0
) -> Comparison:
    """Compare the scores (neuron,) of two models on the same neurons.

    Neurons of one retina are not independent, so that intervals and p are for these retinas, not for all.

    Raises:
        UserError: if the scores are not numbers, the lengths differ or no neuron has both scores.
    """
    check_level(level)
    as_count(n, "n, the number of resamplings,", least=1, most=10**6)
    first, second = (as_numbers(one, "the scores of a model", "(neuron,)").astype(float) for one in (first, second))
    if first.shape != second.shape:
        raise UserError(f"the models must be scored on the same neurons, not {first.shape} and {second.shape}")
    difference = (first - second)[np.isfinite(first) & np.isfinite(second)]
    if not len(difference):
        raise UserError("no neuron has a defined score in both models; check that the trials repeat and respond")
    drawn = np.random.default_rng(as_seed(seed)).integers(len(difference), size=(n, len(difference)))
    low, high = np.quantile(np.median(difference[drawn], axis=1), [(1 - level) / 2, (1 + level) / 2])
    p_value = stats.wilcoxon(difference).pvalue if difference.any() else 1.0
    return Comparison(float(np.median(difference)), float(low), float(high), float(p_value), len(difference))


def _score_named(metric: str, trials: np.ndarray, prediction: np.ndarray | None) -> Callable[..., np.ndarray]:
    of_trials, metric = _CEILINGS | _PROPERTIES, as_text(metric, "metric")
    if metric in of_trials:
        return partial(of_trials[metric], _checked_trials(trials))
    if metric not in _PREDICTION_SCORES:
        raise unknown("metric", metric, {**_PREDICTION_SCORES, **of_trials})
    if prediction is None:
        raise UserError(f"{metric} is the score of a prediction, and none is given")
    return partial(_PREDICTION_SCORES[metric], *_checked(trials, prediction))


def _interval(samples: np.ndarray, level: float) -> tuple[np.ndarray, np.ndarray]:
    defined = np.isfinite(samples).any(axis=0)
    ends = np.full((2, samples.shape[1]), np.nan)
    ends[:, defined] = np.nanquantile(samples[:, defined], [(1 - level) / 2, (1 + level) / 2], axis=0)
    return ends[0], ends[1]


def _halves(n_trials: int) -> tuple[np.ndarray, np.ndarray]:
    """Two (split, trial) arrays of weights that average two disjoint halves of the trials."""
    size, trials = n_trials // 2, set(range(n_trials))
    pairs: list[tuple[Sequence[int], Sequence[int]]]
    if comb(n_trials, size) * comb(n_trials - size, size) <= 2 * _MAX_SPLITS:
        firsts = list(combinations(range(n_trials), size))
        pairs = [(a, b) for a in firsts for b in combinations(sorted(trials - {*a}), size) if a < b]
    else:
        random = np.random.default_rng(0)
        orders = [random.permutation(n_trials).tolist() for _ in range(_MAX_SPLITS)]
        pairs = [(order[:size], order[size : 2 * size]) for order in orders]
    halves = np.zeros((2, len(pairs), n_trials))
    for split, pair in enumerate(pairs):
        for half, members in enumerate(pair):
            halves[half, split, [*members]] = 1 / size
    return halves[0], halves[1]


def _poisson_gain(trials: np.ndarray, prediction: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Mean Poisson log-likelihood per bin of the prediction minus that of the mean rate, in nats."""
    rate = np.maximum(prediction, SMALLEST_RATE)
    average = trials.mean(axis=0)
    mean = weights @ average
    of_rate = weights @ (average * np.log(rate) - rate)
    return of_rate - (mean * np.log(np.maximum(mean, SMALLEST_RATE)) - mean)


def _signal_power(trials: np.ndarray, weights: np.ndarray) -> np.ndarray:
    n = len(trials)
    if n < 2:
        return _undefined(trials, weights)
    of_average = _variance(_centered(trials.mean(axis=0)), weights)
    return (n * of_average - _variance(_centered(trials), weights).mean(axis=0)) / (n - 1)


def _total_and_noise_variance(trials: np.ndarray, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    n = len(trials)
    if n < 2:
        return _undefined(trials, weights), _undefined(trials, weights)
    total = _variance(_centered(_pooled(trials)), _pooled_weights(weights, n))
    return total * _unbiased(n * trials.shape[1]), weights @ trials.var(axis=0, ddof=1)


def _pearson(a: np.ndarray, b: np.ndarray, weights: np.ndarray, of_flat: float = 0.0) -> np.ndarray:
    """Correlation of a with b; `of_flat` where a does not vary, NaN where b does not."""
    a, b = _centered(a), _centered(b)
    variance_a, variance_b = _variance(a, weights), _variance(b, weights)
    r = _ratio(_covariance(a, b, weights), np.sqrt(variance_a) * np.sqrt(variance_b))
    return np.where((variance_a == 0) & (variance_b > 0), of_flat, r)


def _centered(x: np.ndarray) -> np.ndarray:
    """Minus the mean over time, and exactly 0 where x does not vary, whatever the rounding of its mean."""
    return np.where(np.ptp(x, axis=-2, keepdims=True) == 0, 0.0, x - x.mean(axis=-2, keepdims=True))


def _covariance(a: np.ndarray, b: np.ndarray, weights: np.ndarray) -> np.ndarray:
    return weights @ (a * b) - (weights @ a) * (weights @ b)


def _variance(x: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Of centred x; rounding errors of bins that do not vary are 0."""
    square = weights @ (x * x)
    variance = square - (weights @ x) ** 2
    return np.where(variance > 1e-12 * square, variance, 0.0)


def _pooled(x: np.ndarray) -> np.ndarray:
    return x.reshape(-1, x.shape[-1])


def _pooled_weights(weights: np.ndarray, n: int) -> np.ndarray:
    return np.concatenate([weights] * n, axis=-1) / n


def _unbiased(bins: int) -> float:
    return bins / (bins - 1)


def _positive(x: np.ndarray) -> np.ndarray:
    return np.where(x > 0, x, np.nan)


def _ratio(numerator: np.ndarray, denominator: np.ndarray) -> np.ndarray:
    """NaN where the denominator is 0 or not defined."""
    defined = np.abs(denominator) > 0
    return np.where(defined, numerator / np.where(defined, denominator, 1), np.nan)


def _mean_of_defined(x: np.ndarray) -> np.ndarray:
    defined = np.isfinite(x)
    return _ratio(np.where(defined, x, 0).sum(axis=0), defined.sum(axis=0))


def _undefined(trials: np.ndarray, weights: np.ndarray) -> np.ndarray:
    return np.full(weights.shape[:-1] + trials.shape[-1:], np.nan)


def _normed(weights: Weights, values: np.ndarray) -> np.ndarray:
    bins = values.shape[-2]
    if weights is None:
        return np.full(bins, 1 / bins)
    if weights.shape[-1] != bins:
        raise UserError(f"weights count {weights.shape[-1]} bins, the responses have {bins}")
    return weights


def _checked_trials(trials: np.ndarray) -> np.ndarray:
    trials = as_array(trials, "trials")
    if trials.ndim != 3 or trials.dtype.kind not in "fiub" or trials.shape[1] < 2 or 0 in trials.shape:
        raise UserError(
            f"trials must be numbers (trial, time, neuron) with two bins or more, not {trials.dtype} {trials.shape}; "
            "give a single trial as responses[None]"
        )
    trials = trials.astype(np.float64, copy=False)
    if not np.isfinite(trials).all():
        raise UserError(f"trials of neuron {np.argwhere(~np.isfinite(trials))[0, 2]} have values that are not finite")
    return trials


def _checked(trials: np.ndarray, prediction: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    trials, prediction = _checked_trials(trials), as_array(prediction, "the prediction")
    if prediction.shape != trials.shape[1:] or prediction.dtype.kind not in "fiub":
        raise UserError(
            f"the prediction must be numbers (time, neuron) {trials.shape[1:]} like the trials, not {prediction.dtype} "
            f"{prediction.shape}; drop the first bins of the trials that a model with a lag does not predict"
        )
    if not np.isfinite(prediction).all():
        neuron = np.argwhere(~np.isfinite(prediction))[0, 1]
        raise UserError(f"the prediction of neuron {neuron} has values that are not finite; has training diverged?")
    return trials, prediction.astype(np.float64, copy=False)


def _check_positive(trials: np.ndarray) -> None:
    if (trials < 0).any():
        neuron = np.argwhere(trials < 0)[0, 2]
        raise UserError(f"responses of neuron {neuron} are negative, which Poisson scores cannot use")
