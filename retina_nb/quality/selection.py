"""Which neurons to keep, and what became of the others."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from retina_nb.arrays import as_array, as_flag, as_number, as_seed
from retina_nb.errors import UserError, unknown
from retina_nb.quality.cells import most_repeated, neuron_quality
from retina_nb.recording import Recording, by_name

KEPT = "kept_neurons"


def select_neurons(
    recordings: Recording | Mapping[str, Recording],
    *,
    quality_index: float | None = None,
    reliability: float | None = None,
    reliability_low: float | None = None,
    explainable_variance_ratio: float | None = None,
    signal_to_noise: float | None = None,
    types: str | Sequence[str] | None = None,
    responding: bool = True,
    level: float = 0.95,
    seed: int = 0,
) -> tuple[Any, pd.DataFrame]:
    """Keep the neurons that are good enough, and tell which were dropped and why.

    A recording of which neurons were dropped has the numbers of the others, as they were before, in
    ``about["kept_neurons"]``.

    Args:
        recordings: a session, or several by name.
        quality_index: the least that a neuron must have (Baden et al. 2016 take 0.45 for the chirp, 0.6 for bars).
        reliability: the least.
        reliability_low: the least lower end of its confidence interval; at 0 only neurons are kept that are reliable
            for sure.
        explainable_variance_ratio: the least (Cadena et al. 2019 take 0.15).
        signal_to_noise: the least.
        types: of which a neuron may be, one or several, as the recordings' ``neurons["type"]`` has them.
        responding: whether neurons that never change their response, or are not finite, are dropped.
        level: of the confidence interval.
        seed: of the bootstrap by which it is found.

    Returns:
        What was given with the neurons that are left, but for sessions that have none; and a table of those that were
        dropped: ``session``, ``neuron``, ``reason``, and what `neuron_quality` tells of them.

    Raises:
        UserError: if no neuron is left, or a criterion cannot be judged, because nothing was repeated or the types of
            the neurons are not known.

    Example:
        >>> import retina_nb as rnb
        >>> recordings = rnb.load_recordings("simulated", sessions=2, cells_per_session=12, size=(13, 15))
        >>> kept, dropped = rnb.select_neurons(recordings, reliability_low=0.0)
        >>> sum(one.n_neurons for one in kept.values()) + len(dropped)
        24
    """
    least = {
        "quality_index": quality_index,
        "reliability": reliability,
        "reliability_low": reliability_low,
        "explainable_variance_ratio": explainable_variance_ratio,
        "signal_to_noise": signal_to_noise,
    }
    limits = {
        metric: as_number(value, metric, "the least", least=-1e6, most=1e6)
        for metric, value in least.items()
        if value is not None
    }
    if types is not None:
        types = [types] if isinstance(types, str) else as_array(types, "types").astype(str).ravel().tolist()
    responding, seed = as_flag(responding, "responding"), as_seed(seed)
    sessions = by_name(recordings)
    _check(sessions, limits, types)
    tables = {name: neuron_quality(one, level=level, seed=seed).assign(session=name) for name, one in sessions.items()}
    for table in tables.values():
        table.insert(2, "reason", _reasons(table, limits, types, responding))
    kept = {name: _keep(one, (tables[name]["reason"] == "").to_numpy()) for name, one in sessions.items()}
    left = {name: one for name, one in kept.items() if one is not None}
    table = pd.concat(tables.values(), ignore_index=True)
    dropped = table[table["reason"] != ""].reset_index(drop=True)
    if not left:
        reasons = dropped["reason"].str.split(";").str[0].str.split(" ").str[0].value_counts()
        account = ", ".join(f"{number} for {reason}" for reason, number in reasons.items())
        raise UserError(f"no neuron is left: of {len(table)}, {account} were dropped; loosen the criteria")
    return (left[recordings.session] if isinstance(recordings, Recording) else left), dropped


def _check(sessions: Mapping[str, Recording], limits: Mapping[str, float], types: Sequence[str] | None) -> None:
    for name, recording in sessions.items():
        if limits and most_repeated(recording) is None:
            raise UserError(
                f"session {name} has no repeated stimulus, from which {next(iter(limits))} is told; give repeats="
            )
        if types is not None and "type" not in recording.neurons:
            raise unknown(f"property of the neurons of session {name}", "type", recording.neurons)
    if types is not None:
        known = {str(kind) for recording in sessions.values() for kind in recording.neurons["type"]}
        for kind in types:
            if str(kind) not in known:
                raise unknown("type of neurons", str(kind), known)


def _reasons(
    table: pd.DataFrame, limits: Mapping[str, float], types: Sequence[str] | None, responding: bool
) -> list[str]:
    """Why each neuron is dropped; empty if it is kept. What cannot be told of a neuron is not good enough."""
    wanted = None if types is None else {str(kind) for kind in types}
    reasons = []
    for row in table.to_dict("records"):
        found = []
        if responding and (row["constant"] or not row["finite"]):
            found.append("response is constant" if row["constant"] else "response is not finite")
        if wanted is not None and str(row["type"]) not in wanted:
            found.append(f"type {row['type']}")
        found += [f"{name} {row[name]:.4g} < {limit:g}" for name, limit in limits.items() if not row[name] >= limit]
        reasons.append("; ".join(found))
    return reasons


def _keep(recording: Recording, keep: np.ndarray) -> Recording | None:
    if keep.all() or not keep.any():
        return recording if keep.any() else None
    before = recording.about.get(KEPT, range(recording.n_neurons))
    return replace(
        recording,
        responses=recording.responses[:, keep],
        neurons={name: values[keep] for name, values in recording.neurons.items()},
        about={**recording.about, KEPT: [int(number) for number, kept in zip(before, keep, strict=True) if kept]},
    )
