"""What tables of intervals in NWB files tell of bins: what they are for, and which repeat one another."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from retina_nb.errors import UserError, unknown
from retina_nb.loaders import h5
from retina_nb.loaders.nwb.responses import check_ragged
from retina_nb.loaders.nwb.stimulus import Shown
from retina_nb.loaders.splits import training_labels
from retina_nb.recording import SPLITS, UNUSED

_BLOCK = 2**24  # pixels that are compared at once


@dataclass(frozen=True)
class _Stretch:
    """Bins that belong together: a row of the table, or a presentation."""

    bins: np.ndarray
    label: str  # a split, or "" where nobody tells
    name: str  # of what was shown, or ""


def label_bins(
    file: Any,
    shown: Shown,
    known: np.ndarray,
    *,
    test: Sequence[str],
    table: str | None,
    split_column: str | None,
    stimulus_column: str | None,
    n_clips: int | None,
    clip_length: int,
    seed: int,
) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """Labels of bins, and the repeats of test stimuli.

    Series of the names `test` are for testing. If the table has a column for the split, it tells for the bins of each
    row, and other bins are unused. Otherwise rows that show the same frames are repeats, and for testing; so are
    presentations that do, where there is no row. Of rows for testing those with the same entry in the column for
    the stimulus, or without one those with the same frames, are the repeats of one stimulus. All else is for training,
    a part of it, clip by clip, for validation, unless the table tells. Bins in which the cells were not recorded are
    unused.

    Args:
        file: an open NWB file.
        shown: what was on screen.
        known: (time,) whether the cells were recorded.
        test, table, split_column, stimulus_column, n_clips, clip_length, seed: see `retina_nb.loaders.nwb.load`.

    Returns:
        (time,) labels, and for each test stimulus (trial, time) bins.

    Raises:
        UserError: if there is no such table, column or series, a label is not a split, or repeats do not show the same.
    """
    for name in test:
        if name not in shown.names:
            raise unknown("series that was shown", name, shown.names)
    edges = [*shown.onsets, len(shown.numbers)]
    bins = [np.arange(first, last) for first, last in pairwise(edges)]
    presentations = [
        _Stretch(one, "test" if name in test else "", name if name in test else "")
        for one, name in zip(bins, shown.names, strict=True)
    ]
    told, rows = _rows(file, shown, table, split_column, stimulus_column)
    split = np.full(len(known), UNUSED if told else "train", dtype="<U10")
    covered = np.zeros(len(known), bool)
    _check_labels(shown, [*presentations, *rows])
    for one in [*presentations, *rows]:
        split[one.bins] = one.label or split[one.bins]
    for row in rows:
        covered[row.bins] = True
    stretches = [row for row in rows if row.label or not told] + [
        one for one in presentations if not covered[one.bins].any() and (one.label or not told)
    ]
    repeats = _repeats([one for one in stretches if known[one.bins].all()], shown, split)
    for trials in repeats.values():
        split[trials] = "test"
    split[~known] = UNUSED
    train = np.flatnonzero(split == "train")
    if "validation" not in split:
        split[train] = training_labels(len(train), clip_length, n_clips, seed, where="what is for training")
    return split, repeats


def _check_labels(shown: Shown, stretches: Sequence[_Stretch]) -> None:
    """A bin that is for one thing must not be for another, too."""
    labels = np.full(len(shown.numbers), "", dtype="<U10")
    for one in stretches:
        if not one.label:
            continue
        before = labels[one.bins]
        if (clash := (before != "") & (before != one.label)).any():
            at = shown.middles[one.bins[clash.argmax()]]
            raise UserError(
                f"what was shown at {at:.6g} s is both for {before[clash.argmax()]} and for {one.label}: rows of the "
                "table overlap, or one is of a series in test=; fix the table, or name another one as intervals="
            )
        labels[one.bins] = one.label


def _rows(
    file: Any, shown: Shown, name: str | None, split_column: str | None, stimulus_column: str | None
) -> tuple[bool, list[_Stretch]]:
    """Whether a table tells the split of every bin that is used, and its rows."""
    table = _table(file, name)
    if table is None:
        return False, []
    splits = _column(table, split_column, ("split",))
    names = _column(table, stimulus_column, ("stimulus", "stimulus_name"))
    check_ragged(table)
    rows = []
    for row, (start, stop) in enumerate(zip(table["start_time"][:], table["stop_time"][:], strict=True)):
        if not start <= stop:
            raise UserError(f"row {row} of {table.name} starts at {start} s and stops at {stop} s")
        bins = np.flatnonzero((shown.middles >= start) & (shown.middles < stop))
        label = "" if splits is None else splits[row]
        if label not in (UNUSED, *SPLITS):
            raise UserError(f"row {row} of {table.name} is for {label!r}, known are {', '.join(SPLITS)}")
        if len(bins):
            rows.append(_Stretch(bins, label, "" if names is None else names[row]))
    if not rows:
        raise UserError(f"no row of {table.name} is at a time when a stimulus was shown; do their clocks agree?")
    return splits is not None, rows


def _table(file: Any, name: str | None) -> Any:
    tables = {one: getattr(file, one) for one in ("trials", "epochs") if getattr(file, one) is not None}
    if name is None:
        return next(iter(tables.values()), None)
    tables |= dict(file.intervals or {})
    if name not in tables:
        raise unknown("table of intervals", name, tables)
    return tables[name]


def _column(table: Any, name: str | None, usual: Sequence[str]) -> list[str] | None:
    """A column as text, by default one of the usual names if there is one."""
    if name is not None and name not in table.colnames:
        raise unknown(f"column of {table.name}", name, table.colnames)
    found = name or next((one for one in usual if one in table.colnames), None)
    return None if found is None else [h5.text(value) for value in table[found][:]]


def _repeats(stretches: Sequence[_Stretch], shown: Shown, split: np.ndarray) -> dict[str, np.ndarray]:
    """For each test stimulus, the bins of every repeat, cut to the length of the shortest.

    Where a file has the frames of every repeat, those of the first stand for all from here on.
    """
    numbers = shown.numbers
    groups: dict[tuple[str, int], list[list[_Stretch]]] = {}
    for one in stretches:
        tested = (split[one.bins] == "test").all()
        if one.label in ("", "test"):
            # What is for testing and has a name has to show the same; else it is a repeat if it does.
            same = groups.setdefault((one.name, -1 if tested and one.name else int(numbers[one.bins[0]])), [])
            alike = (group for group in same if (tested and one.name) or _alike(group[0], one, numbers))
            group = next(alike, None)
            if group is None:
                same.append([one])
            else:
                group.append(one)
    found: dict[str, np.ndarray] = {}
    for (name, first), same in groups.items():
        for trials in same:
            if len(trials) == 1 and first >= 0:
                continue
            length = min(len(one.bins) for one in trials)
            bins = np.stack([one.bins[:length] for one in trials])
            if len(np.unique(bins)) < bins.size:
                raise UserError(f"repeats of {name or 'the test stimulus'} overlap in time; fix the table of intervals")
            for one in bins[1:]:
                if np.array_equal(numbers[one], numbers[bins[0]]) or _copies(shown, one, bins[0]):
                    numbers[one] = numbers[bins[0]]
                    continue
                raise UserError(f"the repeats of {name} do not show the same frames; give them other names")
            title = name or "test"
            found[title if title not in found else f"{title}_{len(found) + 1}"] = bins
    return found


def _copies(shown: Shown, bins: np.ndarray, others: np.ndarray) -> bool:
    """Whether frames of different numbers look the same."""
    step = max(1, _BLOCK // math.prod((shown.frames.shape[0], *shown.frames.shape[2:])))
    pairs = ((shown.numbers[one[at : at + step]] for one in (bins, others)) for at in range(0, len(bins), step))
    return all(np.array_equal(*(shown.frames[:, numbers] for numbers in pair)) for pair in pairs)


def _alike(a: _Stretch, b: _Stretch, numbers: np.ndarray) -> bool:
    """Whether two stretches show the same frames, but for the last that may be missing."""
    length = min(len(a.bins), len(b.bins))
    return abs(len(a.bins) - len(b.bins)) <= 1 and np.array_equal(numbers[a.bins[:length]], numbers[b.bins[:length]])
