"""Spikes of units and responses of ROIs in NWB files, bin by bin, and what is known of the cells."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Bool, Float32, Float64

from retina_nb.errors import UserError, unknown

UNITS = "units"

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


def read_responses(
    file: Any, name: str | None, starts: Float64[np.ndarray, " time"], ends: Float64[np.ndarray, " time"]
) -> Responses:
    """Read the responses in bins.

    Args:
        file: an open NWB file.
        name: ``"units"`` or a series of ROI responses; by default the units, or the only such series.
        starts, ends: of each bin (s).

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
    found = _of_units(file.units, starts, ends) if name == UNITS else _of_rois(traces[name], starts, ends)
    if not found.known.any():
        raise UserError(
            f"{name} were not recorded while the stimulus was shown, from {starts[0]:.6g} to {ends[-1]:.6g} s; do "
            "their clocks agree?"
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


def _of_units(units: Any, starts: np.ndarray, ends: np.ndarray) -> Responses:
    if "spike_times" not in units.colnames or not len(units):
        raise UserError(f"the units have {'no column spike_times' if len(units) else 'no rows'}")
    counts = np.zeros((len(starts), len(units)), np.float32)
    for unit in range(len(units)):
        times = np.sort(np.asarray(units["spike_times"][unit], dtype=np.float64))
        if not np.isfinite(times).all():
            raise UserError(f"unit {unit} has spike times that are not finite")
        counts[:, unit] = np.searchsorted(times, ends) - np.searchsorted(times, starts)
    known = np.ones(len(starts), bool)
    if "obs_intervals" in units.colnames:
        for unit in range(len(units)):
            known &= _inside(np.asarray(units["obs_intervals"][unit]).reshape(-1, 2), starts, ends)
    elif not counts.any():
        known[:] = False
    counts[~known] = 0
    return Responses(counts, known, "spikes/bin", _columns(units) | _electrodes(units))


def _inside(intervals: np.ndarray, starts: np.ndarray, ends: np.ndarray) -> np.ndarray:
    """Whether a bin is within one of some intervals, but for a tenth of it."""
    slack = 0.1 * (ends - starts)
    begin, end = intervals.T[:, :, None]
    return ((starts + slack >= begin) & (ends - slack <= end)).any(axis=0)


def _of_rois(series: Any, starts: np.ndarray, ends: np.ndarray) -> Responses:
    traces = np.asarray(series.data[:], dtype=np.float64) * series.conversion + series.offset
    traces = traces[:, None] if traces.ndim == 1 else traces
    rois = series.rois.table[np.asarray(series.rois.data[:])] if series.rois is not None else None
    if traces.ndim != 2 or not traces.size or (rois is not None and len(rois) != traces.shape[1]):
        raise UserError(
            f"{series.name} must be (time, ROI) of {'any' if rois is None else len(rois)} ROIs, its shape is "
            f"{series.data.shape}"
        )
    if series.rate is not None:
        times = float(series.starting_time or 0.0) + np.arange(len(traces)) / series.rate
    else:
        times = np.asarray(series.timestamps[:], dtype=np.float64)
    if len(times) != len(traces) or not np.isfinite(times).all() or (np.diff(times) <= 0).any():
        raise UserError(
            f"{series.name} must have a time for each of its {len(traces)} samples, each later than the one before"
        )
    middle = (starts + ends) / 2
    values = np.stack([np.interp(middle, times, trace) for trace in traces.T], axis=1).astype(np.float32)
    known = (middle >= times[0]) & (middle <= times[-1])
    values[~known] = 0
    return Responses(values, known, str(series.unit), {} if rois is None else _rois(rois))


def _columns(table: Any) -> dict[str, np.ndarray]:
    """The columns of a table that have a number or a text for each row, and its ids."""
    columns = {"id": np.asarray(table.id[:])}
    for name in table.colnames:
        if name not in _NOT_OF_CELLS and f"{name}_index" not in (column.name for column in table.columns):
            columns[name] = np.asarray(table[name][:])
    return {name: _as_text(values) for name, values in columns.items() if _is_plain(values, len(table))}


def _is_plain(values: np.ndarray, rows: int) -> bool:
    text = values.dtype == object and all(isinstance(one, str) for one in values.flat)
    return values.shape == (rows,) and (values.dtype.kind in "fiubUS" or text)


def _as_text(values: np.ndarray) -> np.ndarray:
    return values.astype(str) if values.dtype.kind in "OS" else values


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
            found[f"electrode_{name}"] = np.array([str(table[name].iloc[0]) for table in tables])
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
