"""What the responses of each cell are worth: those that never change, copies, reliability with confidence intervals."""

from collections.abc import Iterator, Mapping
from itertools import combinations

import numpy as np
import pandas as pd
from jaxtyping import Float

from retina_nb import metrics
from retina_nb.quality.findings import FINE, LOOK, PROBLEM, Finding, percent, some
from retina_nb.recording import Recording

METRICS = ("quality_index", "explainable_variance_ratio", "reliability", "signal_to_noise", "fano_factor")
WITH_INTERVAL = ("reliability", "signal_to_noise")

_SAMPLES = 200  # of the bootstrap
_BLOCK = 1.0  # seconds that are resampled together
_TWINS = 0.95  # correlation of single bins beyond which two neurons are taken for one
_NEARLY_ALL, _FEWEST = 0.8, 5  # part and number of the neurons that are not by chance unreliable together
_MOST_BINS = 20_000  # in which neurons are compared


def most_repeated(recording: Recording) -> str | None:
    """The repeated stimulus with the most bins in all trials, of those with two trials or more."""
    sizes = {name: bins.size for name, bins in recording.repeats.items() if len(bins) > 1 and bins.shape[1] > 1}
    return max(sizes, key=lambda name: sizes[name]) if sizes else None


def neuron_quality(recording: Recording, *, level: float = 0.95, seed: int = 0) -> pd.DataFrame:
    """What is known of the quality of each neuron's responses, a row each.

    Columns: ``session``, ``neuron``; ``type`` if the recording tells; ``mean`` response; ``finite``; ``constant``,
    whether all bins are the same; then, from the repeated stimulus with the most trials and NaN without any, the
    `METRICS` of `retina_nb.metrics`, and ``reliability_low``, ``reliability_high``, ``signal_to_noise_low``,
    ``signal_to_noise_high``.

    Args:
        recording: a session.
        level: of the confidence intervals.
        seed: of the bootstrap over time, by which they are found.

    Raises:
        UserError: if the level is not between 0 and 1.
    """
    metrics.check_level(level)
    responses, n = recording.responses, recording.n_neurons
    finite = np.isfinite(responses).all(axis=0)
    known = {"session": [recording.session] * n, "neuron": np.arange(n)}
    if "type" in recording.neurons:
        known["type"] = recording.neurons["type"]
    known |= {"mean": responses.mean(axis=0), "finite": finite, "constant": finite & (np.ptp(responses, axis=0) == 0)}
    name = most_repeated(recording)
    ends = [f"{metric}_{end}" for metric in WITH_INTERVAL for end in ("low", "high")]
    values = {column: np.full(n, np.nan) for column in (*METRICS, *ends)}
    if name is not None and finite.any():
        block = max(1, min(round(_BLOCK * recording.rate), recording.repeats[name].shape[1] // 2))
        for column, found in _of_trials(recording.trials(name)[..., finite], block, level, seed).items():
            values[column][finite] = found
    return pd.DataFrame(known | values)


def _of_trials(trials: np.ndarray, block: int, level: float, seed: int) -> dict[str, Float[np.ndarray, " neuron"]]:
    trials = trials.astype(np.float64)
    values = {metric: getattr(metrics, metric)(trials) for metric in METRICS}
    for metric in WITH_INTERVAL:
        ends = metrics.bootstrap_interval(trials, None, metric, block=block, n=_SAMPLES, level=level, seed=seed)
        values |= {f"{metric}_low": ends[0], f"{metric}_high": ends[1]}
    return values


def judge_cells(recordings: Mapping[str, Recording], neurons: pd.DataFrame) -> list[Finding]:
    """Findings about cells whose responses cannot be used, and about copies of cells and sessions."""
    findings = [*_copied_sessions(recordings)]
    for session, recording in recordings.items():
        table = neurons[neurons["session"] == session]
        findings += [
            Finding("cells", severity, session, f"session {session}: {message}")
            for severity, message in (*_unusable(recording, table), *_twins(recording, table))
        ]
    total = len(neurons)
    return findings or [Finding("cells", FINE, "", f"all {total} neurons respond, and no two in the same way")]


def judge_reliability(recordings: Mapping[str, Recording], neurons: pd.DataFrame) -> list[Finding]:
    """Findings about how much of the responses is repeated."""
    findings = []
    for session, recording in recordings.items():
        if (name := most_repeated(recording)) is None:
            continue
        low = neurons["reliability_low"][neurons["session"] == session]
        doubtful = np.flatnonzero(~(low > 0))
        if len(doubtful) > len(low) / 2:
            severity = PROBLEM if len(doubtful) >= max(_FEWEST, _NEARLY_ALL * len(low)) else LOOK
            reason = "are the trials aligned?" if severity == PROBLEM else "leave them out by select_neurons"
            message = (
                f"the responses of {len(doubtful)} of {len(low)} neurons to the trials of {name!r} may be unreliable "
                f"({some('neuron', doubtful)}); {reason}"
            )
            findings.append(Finding("reliability", severity, session, f"session {session}: {message}"))
    if not findings and neurons["reliability"].notna().any():
        middle, doubtful_part = neurons["reliability"].median(), 1 - (neurons["reliability_low"] > 0).mean()
        message = (
            f"the median reliability is {middle:.2f}, and {percent(doubtful_part)} of the neurons may be unreliable"
        )
        findings.append(Finding("reliability", FINE, "", message))
    return findings


def _unusable(recording: Recording, table: pd.DataFrame) -> Iterator[tuple[str, str]]:
    finite, constant = table["finite"].to_numpy(), table["constant"].to_numpy()
    if not finite.all():
        bin_ = int((~np.isfinite(recording.responses)).any(axis=1).argmax())
        which = some("neuron", np.flatnonzero(~finite))
        yield PROBLEM, f"the response of {which} is not finite, first of all at bin {bin_}; drop or mend it"
    if constant.any():
        which = some("neuron", np.flatnonzero(constant))
        yield PROBLEM, f"the response of {which} never changes; use select_neurons, which leaves such neurons out"
    for split in ("train", "validation", "test"):
        bins = recording.split == split
        if bins.sum() > 1:
            still = finite & ~constant & (np.ptp(recording.responses[bins], axis=0) == 0)
            if still.any():
                which = some("neuron", np.flatnonzero(still))
                harm = {"train": "learned", "validation": "validated", "test": "scored"}[split]
                yield (
                    LOOK,
                    f"the response of {which} does not change in {split} bins, which cannot be {harm}; was it lost?",
                )


def _twins(recording: Recording, table: pd.DataFrame) -> Iterator[tuple[str, str]]:
    """Pairs of neurons whose responses are nearly the same, as if one was sorted twice."""
    usable = np.flatnonzero(table["finite"] & ~table["constant"])
    responses = recording.responses[:: -(-len(recording) // _MOST_BINS), usable].astype(np.float64)
    responses = responses - responses.mean(axis=0)
    norm = np.sqrt(np.square(responses).sum(axis=0))
    alike = np.triu((responses.T @ responses) / np.maximum(np.outer(norm, norm), 1e-12), k=1)
    pairs = np.argwhere(alike > _TWINS)
    if len(pairs):
        one, other = pairs[0]
        more = f", and {len(pairs) - 1} more pairs" if len(pairs) > 1 else ""
        yield (
            LOOK,
            f"neurons {usable[one]} and {usable[other]} respond alike (correlation {alike[one, other]:.2f}{more}); "
            "is it one cell that was sorted twice?",
        )


def _copied_sessions(recordings: Mapping[str, Recording]) -> Iterator[Finding]:
    for (name, one), (other_name, other) in combinations(recordings.items(), 2):
        if one.responses.shape == other.responses.shape and np.array_equal(one.responses, other.responses):
            message = f"sessions {name} and {other_name} have the same responses; leave one out"
            yield Finding("cells", PROBLEM, name, message)
