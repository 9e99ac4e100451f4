"""Spikes of units and responses of ROIs in NWB files, bin by bin, and what is known of the cells."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Bool, Float32, Float64

from retina_nb.errors import UserError, unknown
from retina_nb.loaders import h5
from retina_nb.loaders.binning import check_rate, count_spikes, even_edges
from retina_nb.memory import check_memory

UNITS = "units"
_log = logging.getLogger(__name__)

# Columns of a table of units that are about single spikes, or links to other tables.
_NOT_OF_CELLS = {"spike_times", "obs_intervals", "electrodes", "electrode_group", "waveforms"}


@dataclass(frozen=True)
class Responses:
    """What the cells did in every bin.

    Args:
        values: responses.
        known: whether the cells were recorded during all of a bin; values are 0 where they were not.
        unit: of the values.
        neurons: for each property, an array with an entry for each cell.
    """

    values: Float32[np.ndarray, "time neuron"]
    known: Bool[np.ndarray, " time"]
    unit: str
    neurons: dict[str, np.ndarray]


def read_responses(file: Any, name: str | None, edges: Sequence[Float64[np.ndarray, " _"]]) -> Responses:
    """Read the responses in bins.

    Args:
        file: an open NWB file.
        name: ``"units"`` or a series of ROI responses; by default the units, or the only such series.
        edges: of the bins of every presentation (s).

    Raises:
        UserError: if there are none or several, they are empty, or were all recorded at other times.
    """
    traces = _roi_series(file)
    choices = ([UNITS] if file.units is not None else []) + list(traces)
    if name is None and (UNITS in choices or len(choices) == 1):
        name = choices[0]
    if name is None:
        raise UserError(
            f"there is more than one series of ROI responses ({', '.join(choices)}); name one as responses="
            if choices
            else "there are neither units nor ROI responses"
        )
    if name not in choices:
        raise unknown("responses", name, choices)
    found = _of_units(file.units, edges) if name == UNITS else _of_rois(traces[name], edges)
    if not found.known.any():
        raise UserError(
            f"{name} were not recorded while the stimulus was shown, from {edges[0][0]:.6g} to {edges[-1][-1]:.6g} s; "
            "do their clocks agree?"
        )
    return found


def _roi_series(file: Any) -> dict[str, Any]:
    """All series of ROI responses by name; by container and name, where a name is used twice."""
    from pynwb.ophys import RoiResponseSeries

    found = [one for one in file.objects.values() if isinstance(one, RoiResponseSeries)]
    names = [one.name for one in found]
    return {
        one.name if names.count(one.name) == 1 else f"{one.parent.name}/{one.name}": one
        for one in sorted(found, key=lambda one: (one.name, one.parent.name))
    }


def _of_units(units: Any, edges: Sequence[np.ndarray]) -> Responses:
    if "spike_times" not in units.colnames or not len(units):
        raise UserError(f"the units have {'no column spike_times' if len(units) else 'no rows'}")
    check_ragged(units)
    starts, ends = (np.concatenate([one[cut] for one in edges]) for cut in (np.s_[:-1], np.s_[1:]))
    check_memory(8 * len(starts) * len(units), f"{len(units)} units in {len(starts)} bins")
    counts = np.zeros((len(starts), len(units)), np.float32)
    for unit in range(len(units)):
        times = np.sort(np.asarray(units["spike_times"][unit], dtype=np.float64))
        if not np.isfinite(times).all():
            raise UserError(f"unit {unit} has spike times that are not finite")
        counts[:, unit] = np.concatenate([count_spikes(times, one) for one in edges])
    known, observed = np.ones(len(starts), bool), np.ones(len(units), bool)
    if "obs_intervals" in units.colnames:
        known, observed = _observed(units, starts, ends)
    elif not counts.any():
        known[:] = False
    counts[~known] = 0
    neurons = {name: values[observed] for name, values in (_columns(units) | _electrodes(units)).items()}
    return Responses(counts[:, observed], known, "spikes/bin", neurons)


def _observed(
    units: Any, starts: np.ndarray, ends: np.ndarray
) -> tuple[Bool[np.ndarray, " time"], Bool[np.ndarray, " unit"]]:
    """Bins in which all units were observed that are kept, and which these are: those observed during the stimulus.

    A unit whose list of intervals is empty does not tell, and counts as observed all the time.
    """
    known, observed, silent = np.ones(len(starts), bool), np.ones(len(units), bool), []
    for unit in range(len(units)):
        intervals = np.asarray(units["obs_intervals"][unit], dtype=np.float64)
        if intervals.size % 2 or not np.isfinite(intervals).all():
            raise UserError(f"unit {unit} must have a start and a stop (s) for each of its obs_intervals")
        if not intervals.size:
            silent.append(unit)
            continue
        inside = _inside(intervals.reshape(-1, 2), starts, ends)
        observed[unit] = inside.any()
        known &= inside if observed[unit] else True
    if not observed.any():
        return observed[:1].repeat(len(starts)), ~observed
    if silent:
        _log.warning("%s no obs_intervals: taken as recorded all the time", _named(silent, units, "has", "have"))
    if left_out := np.flatnonzero(~observed).tolist():
        _log.warning("%s not observed while the stimulus was shown: left out", _named(left_out, units, "was", "were"))
    return known, observed


def _named(numbers: list[int], units: Any, one: str, several: str) -> str:
    who = f"unit {numbers[0]} {one}" if len(numbers) == 1 else f"units {', '.join(map(str, numbers))} {several}"
    return f"{units.container_source}: {who}"


def _inside(intervals: np.ndarray, starts: np.ndarray, ends: np.ndarray) -> Bool[np.ndarray, " time"]:
    """Whether a bin is within one of some intervals, but for a tenth of it."""
    slack = 0.1 * (ends - starts)
    begin, end = intervals[np.argsort(intervals[:, 0])].T
    latest = np.append(-np.inf, np.maximum.accumulate(end))  # of the intervals that have begun
    return ends - slack <= latest[np.searchsorted(begin, starts + slack, side="right")]


def _of_rois(series: Any, edges: Sequence[np.ndarray]) -> Responses:
    traces = h5.values(series.data).astype(np.float64) * series.conversion + series.offset
    traces = traces[:, None] if traces.ndim == 1 else traces
    rois = None if series.rois is None else _table_of_rois(series)
    if traces.ndim != 2 or not traces.size or (rois is not None and len(rois) != traces.shape[1]):
        raise UserError(
            f"{series.name} must be (time, ROI) of {'any' if rois is None else len(rois)} ROIs, its shape is "
            f"{series.data.shape}"
        )
    if series.rate is not None:
        rate = check_rate(series.rate, f"the rate of {series.name}")
        times = even_edges(float(series.starting_time or 0.0), len(traces), rate)[:-1]
    else:
        times = h5.values(series.timestamps).astype(np.float64)
    if len(times) != len(traces) or not np.isfinite(times).all() or (np.diff(times) <= 0).any():
        raise UserError(
            f"{series.name} must have a time for each of its {len(traces)} samples, each later than the one before"
        )
    middle = np.concatenate([(one[:-1] + one[1:]) / 2 for one in edges])
    values = np.stack([np.interp(middle, times, trace) for trace in traces.T], axis=1).astype(np.float32)
    known = (middle >= times[0]) & (middle <= times[-1])
    values[~known] = 0
    return Responses(values, known, str(series.unit), {} if rois is None else _rois(rois))


def _table_of_rois(series: Any) -> Any:
    """The rows of the table of ROIs that a series has traces of."""
    table, numbers = series.rois.table, h5.values(series.rois.data)
    if numbers.dtype.kind not in "iu" or (len(numbers) and not (numbers.min() >= 0 and numbers.max() < len(table))):
        raise UserError(f"{series.name} must have traces of ROIs 0 to {len(table) - 1}, its rois are {numbers}")
    check_ragged(table)
    return table[numbers]


def check_ragged(table: Any) -> None:
    """Check the columns of a table whose rows are lists, or numbers of rows of another table.

    Raises:
        UserError: if the ends of the lists fall, or are beyond what there is; or there is no such row.
    """
    for column in table.columns:
        data = getattr(column, "data", ())
        if hasattr(column, "target"):  # the ends of the lists in another column
            ends, n = h5.values(data), len(column.target.data)
            if ends.dtype.kind not in "iu" or ends.ndim != 1 or (np.diff(ends.astype(object)) < 0).any():
                raise UserError(
                    f"{column.name} of {table.name} must have ends of lists that never fall; is it damaged?"
                )
            if len(ends) and not (ends[0] >= 0 and ends[-1] <= n):
                raise UserError(f"{column.name} of {table.name} ends at {ends[-1]}, {column.target.name} has {n} rows")
        elif hasattr(column, "table"):  # rows of another table
            rows, n = h5.values(data), len(column.table)
            if rows.dtype.kind not in "iu" or (len(rows) and not (rows.min() >= 0 and rows.max() < n)):
                raise UserError(f"{column.name} of {table.name} has rows that {column.table.name} does not have")
        else:
            h5.check_size(data)


def _columns(table: Any) -> dict[str, np.ndarray]:
    """The columns of a table that have a number or a text for each row, and its ids."""
    columns = {"id": np.asarray(table.id[:])}
    for name in table.colnames:
        if name not in _NOT_OF_CELLS and f"{name}_index" not in (column.name for column in table.columns):
            columns[name] = np.asarray(table[name][:])
    return {name: _as_text(values) for name, values in columns.items() if _is_plain(values, len(table))}


def _is_plain(values: np.ndarray, rows: int) -> bool:
    text = values.dtype == object and all(isinstance(one, str | bytes) for one in values.flat)
    return values.shape == (rows,) and (values.dtype.kind in "fiubUS" or text)


def _as_text(values: np.ndarray) -> np.ndarray:
    return np.array([h5.text(one) for one in values]) if values.dtype.kind in "OS" else values


def _electrodes(units: Any) -> dict[str, np.ndarray]:
    """Where the electrodes of each unit are: the middle of their positions, and the region of the first."""
    if "electrodes" not in units.colnames:
        return {}
    tables = [units["electrodes"][unit] for unit in range(len(units))]
    found = {}
    for name in ("x", "y", "z", "rel_x", "rel_y", "rel_z"):
        if all(name in table.columns and len(table) for table in tables):
            found[f"electrode_{name}"] = np.array([table[name].mean() for table in tables], dtype=np.float64)
    for name in ("location", "group_name"):
        if all(name in table.columns and len(table) for table in tables):
            found[f"electrode_{name}"] = np.array([h5.text(table[name].iloc[0]) for table in tables])
    return found


def _rois(table: Any) -> dict[str, np.ndarray]:
    """What a table of ROIs says of each, and the centres of their masks (pixels)."""
    found = {"id": table.index.to_numpy()}
    for name in table.columns:
        values = table[name].to_numpy()
        if _is_plain(values, len(table)):
            found[name] = _as_text(values)
    if "pixel_mask" in table.columns:
        masks = [np.array([tuple(pixel)[:3] for pixel in mask], dtype=np.float64) for mask in table["pixel_mask"]]
    elif "image_mask" in table.columns:
        masks = [np.column_stack([*np.nonzero(mask), mask[np.nonzero(mask)]]) for mask in table["image_mask"]]
    else:
        return found
    if all(len(mask) and mask[:, 2].sum() > 0 for mask in masks):
        centres = np.array([np.average(mask[:, :2], axis=0, weights=mask[:, 2]) for mask in masks])
        found |= {"roi_x": centres[:, 0], "roi_y": centres[:, 1]}
    return found
