"""Score a model against what the cells did, against the noise ceiling, and beside a linear-nonlinear baseline."""

from collections.abc import Mapping
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
import torch
from jaxtyping import Float

from retina_nb.arrays import as_seed, describe
from retina_nb.errors import UserError
from retina_nb.metrics import bootstrap_interval, check_level, compare_models, score_card
from retina_nb.models.linear_nonlinear import fit_linear_nonlinear
from retina_nb.recording import Recording, by_name
from retina_nb.tensors import as_tensor

BASELINE = "linear_nonlinear"
# Bins predicted at once, which bounds the memory for long stimuli.
_BLOCK = 1500


def predict(model: Any, stimulus: Any, session: str | None = None) -> Float[np.ndarray, "time_out neuron"]:
    """What a model makes of one stimulus, without gradients; ``time_out = time - model.lag``.

    Args:
        model: a twin, a baseline or a truth.
        stimulus: an array (channel, time, height, width) of numbers, in the recording's normalised units.
        session: whose neurons; all sessions' in sorted order if None.

    Raises:
        UserError: if the stimulus does not fit the model, is not longer than its lag, or is not of finite real numbers.

    Example:
        >>> import retina_nb as rnb
        >>> twin = rnb.load_twin("simulated")
        >>> bar = rnb.stimuli.moving_bar(rnb.stimuli.Screen.of(twin), direction=0)
        >>> rates = rnb.predict(twin, bar.frames, "simulated_1")  # (time_out, neuron), events per bin
        >>> len(rates) == bar.frames.shape[1] - twin.lag
        True
    """
    if getattr(stimulus, "ndim", None) != 4:
        found = getattr(stimulus, "shape", type(stimulus).__name__)
        raise UserError(f"predict needs one stimulus (channel, time, height, width), not {found}")
    lag, time = model.lag, stimulus.shape[1]
    if time <= lag:
        raise UserError(f"the model needs more than {lag} bins of stimulus, this one has {time}")
    parameter = next(
        (one for one in (*model.parameters(), *model.buffers()) if one.is_floating_point()), torch.zeros(0)
    )
    blocks = []
    with torch.no_grad():
        for start in range(lag, time, _BLOCK):
            part = _numbers(stimulus[:, start - lag : start + _BLOCK], start - lag)
            blocks.append(model(part[None].to(parameter), session)[0].float().cpu().numpy())
    return np.concatenate(blocks)


def _numbers(frames: Any, first: int) -> Float[torch.Tensor, "channel time height width"]:
    """Frames in single precision, of which the first has the number `first`."""
    array = np.asarray(frames)
    if array.dtype.kind not in "biuf":
        raise UserError(f"the stimulus must be of real numbers, not {array.dtype}; convert it with .astype('float32')")
    with np.errstate(over="ignore"):  # which is told below
        array = np.ascontiguousarray(array, np.float32)
    finite = np.isfinite(array).all(axis=(0, 2, 3))
    if not finite.all():
        raise UserError(
            f"the stimulus is NaN, infinite or beyond 3e38 in bin {first + int(finite.argmin())}; replace such values"
        )
    return as_tensor(array)


def evaluate(
    model: Any,
    recordings: Recording | Mapping[str, Recording],
    *,
    stimulus: str = "test",
    baseline: Any = BASELINE,
    level: float = 0.95,
    seed: int = 0,
) -> pd.DataFrame:
    """Scores of every neuron on the test stimulus, a row for each.

    Bins without full history are left out; the bins of a split that was not repeated are predicted from what the cells
    saw before each of them. Columns: ``session``, ``neuron``, what the recording knows of its neurons, the scores of
    `retina_nb.metrics.score_card`, the confidence intervals ``correlation_low``, ``correlation_high``,
    ``cc_norm_low``, ``cc_norm_high`` by bootstrap over blocks of time, and the same scores of the baseline with the
    prefix ``linear_nonlinear_``. A property of several numbers for each neuron has a column for each, ``position_0``,
    ``position_1``; one that has the name of another column is there with the prefix ``recorded_``.

    Args:
        model: a twin, a baseline or a truth: anything that is called as ``model(stimulus, session)`` and has a ``lag``.
        recordings: the sessions to score, or one.
        stimulus: the name of the test stimulus, or ``"train"`` or ``"validation"``.
        baseline: a fitted baseline; by default one is fitted to the training bins, which takes seconds; None for none.
        level: of the confidence intervals.
        seed: of the bootstrap.

    Raises:
        UserError: if a session is unknown to the model, or has no such test stimulus, or one that is too short.

    Example:
        >>> import retina_nb as rnb
        >>> recordings = rnb.load_recordings("simulated", sessions=2, cells_per_session=12, size=(13, 15))
        >>> truth = rnb.load_truth(sessions=2, cells_per_session=12, size=(13, 15))
        >>> scores = rnb.evaluate(truth, recordings, baseline=None)
        >>> len(scores), bool(scores["cc_norm"].median() > 0.9)
        (24, True)
    """
    check_level(level)
    as_seed(seed)
    recordings = by_name(recordings)
    for session, recording in recordings.items():
        bins = recording.bins(stimulus)  # looked for before a baseline is fitted for nothing
        if recording.signed and recording.responses[bins].min() < 0:
            raise UserError(
                f"session {session} has responses below zero, which scores of rates and counts cannot use: make them "
                "positive, or score rnb.predict by a correlation of retina_nb.metrics"
            )
    if isinstance(baseline, str):
        baseline = fit_linear_nonlinear(recordings)
    return pd.concat(
        [_evaluate_session(model, recording, stimulus, baseline, level, seed) for recording in recordings.values()],
        ignore_index=True,
    )


def compare_all_models(scores: pd.DataFrame, *, n: int = 2000, level: float = 0.95, seed: int = 0) -> pd.DataFrame:
    """Compare several models on the same neurons, each with the first of them.

    Args:
        scores: a row for each neuron, a column for each model.
        n, level, seed: of the bootstrap over neurons, see `retina_nb.metrics.compare_models`.

    Returns:
        A row for each model: ``median`` with ``low`` and ``high``, and the median of its ``gain`` neuron by neuron
        over the first model, with ``gain_low`` and ``gain_high``.

    Raises:
        UserError: if there is no score, or see `retina_nb.metrics.compare_models`.
    """
    if not isinstance(scores, pd.DataFrame) or scores.empty:
        raise UserError(f"scores must be a table with a column for each model, not {describe(scores)}")
    compare, rows = partial(compare_models, n=n, level=level, seed=seed), {}
    first = scores.iloc[:, 0].to_numpy()
    for name, values in scores.items():
        own, gain = compare(values.to_numpy(), np.zeros(len(scores))), compare(values.to_numpy(), first)
        rows[name] = {
            **{"median": own.median_difference, "low": own.low, "high": own.high},
            **{"gain": gain.median_difference, "gain_low": gain.low, "gain_high": gain.high},
        }
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis("model")


def _evaluate_session(
    model: Any, recording: Recording, stimulus: str, baseline: Any, level: float, seed: int
) -> pd.DataFrame:
    models = {"": model} if baseline is None else {"": model, f"{BASELINE}_": baseline}
    trials, predictions = _predictions(models, recording, stimulus)
    prediction = predictions[""]
    if prediction.shape[1] != recording.n_neurons:
        raise UserError(
            f"session {recording.session} has {recording.n_neurons} neurons, the model predicts {prediction.shape[1]}"
        )
    if trials.shape[1] < 2:
        raise UserError(
            f"session {recording.session}: {stimulus} has {trials.shape[1]} bins to score after "
            f"{max(one.lag for one in models.values())} bins of history; score a longer stimulus"
        )
    scores = score_card(trials, prediction)
    for metric in ("correlation", "cc_norm"):
        low, high = bootstrap_interval(trials, prediction, metric, level=level, seed=seed)
        scores |= {f"{metric}_low": low, f"{metric}_high": high}
    if baseline is not None:
        card = score_card(trials, predictions[f"{BASELINE}_"])
        scores |= {f"{BASELINE}_{name}": values for name, values in card.items()}
    names = {"session": np.full(recording.n_neurons, recording.session), "neuron": np.arange(recording.n_neurons)}
    return pd.DataFrame(names | _properties(recording, {*names, *scores}) | scores)


def _properties(recording: Recording, taken: set[str]) -> dict[str, np.ndarray]:
    """What a recording knows of its neurons as columns of a table that has some others."""
    columns: dict[str, np.ndarray] = {}
    for name, values in recording.neurons.items():
        parts = {name: values}
        if values.ndim > 1:
            flat = values.reshape(len(values), -1)
            parts = {f"{name}_{number}": column for number, column in enumerate(flat.T)}
        for part, column in parts.items():
            while part in taken or part in columns:
                part = f"recorded_{part}"
            columns[part] = column
    return columns


def _predictions(
    models: Mapping[str, Any], recording: Recording, stimulus: str
) -> tuple[Float[np.ndarray, "trial time neuron"], dict[str, Float[np.ndarray, "time _"]]]:
    """Trials and every model's prediction, in the bins for which all have their history.

    A repeated stimulus is one stretch. The bins of a split come in many, and each has the history that the cells saw.
    """
    lag = max(model.lag for model in models.values())
    if stimulus in recording.repeats:
        shown, trials = recording.stimulus(stimulus), recording.trials(stimulus)
        made = {name: predict(model, shown, recording.session) for name, model in models.items()}
        return trials[:, lag:], {name: one[lag - models[name].lag :] for name, one in made.items()}
    stretches = _stretches(recording, stimulus, lag)

    def along(model: Any) -> np.ndarray:
        histories = (recording.stimulus_at(np.arange(one[0] - model.lag, one[-1] + 1)) for one in stretches)
        return np.concatenate([predict(model, shown, recording.session) for shown in histories])

    return recording.responses[np.concatenate(stretches)][None], {name: along(one) for name, one in models.items()}


def _stretches(recording: Recording, split: str, lag: int) -> list[np.ndarray]:
    """The bins of a split that have `lag` bins of history in their presentation, in stretches without a join."""
    bins = recording.bins_with_history(split, lag)
    joins = np.flatnonzero((np.diff(bins) > 1) | (np.diff(recording.presentation[bins]) > 0)) + 1
    return np.split(bins, joins)
