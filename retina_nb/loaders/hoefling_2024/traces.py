"""The traces of cells, brought to the frames of the stimulus.

The microscope takes about eight images a second; a trigger tells when a clip of the movie, a chirp or a bar started.
Traces are interpolated linearly to 30 times a second, at the frames between the triggers, and divided by their own
standard deviation.
"""

from dataclasses import dataclass

import h5py
import numpy as np
from jaxtyping import Float, Float32

from retina_nb.errors import UserError, unknown
from retina_nb.loaders import h5

RATE = 30.0
TRACES = ("spikes", "raw", "preprocessed", "detrended")

_LATE = 0.1  # seconds by which a trigger may miss the end of what it follows


@dataclass(frozen=True)
class Shown:
    """How a stimulus is found in a session.

    Args:
        prefix: what its keys start with.
        seconds: time from the first to the last frame after a trigger.
        bins: number of these frames.
        every: of so many triggers, the first starts it.
    """

    prefix: str
    seconds: float
    bins: int
    every: int = 1


@dataclass(frozen=True)
class Responses:
    """What cells did in the bins of a stimulus, one presentation after the other.

    Args:
        values: (time, neuron) in standard deviations; not finite if the trace is not, or is constant.
        gaps: presentations that did not follow at once on the one before, among them the first.
        recorded: for each presentation, whether the traces were recorded all through it.
    """

    values: Float32[np.ndarray, "time neuron"]
    gaps: np.ndarray
    recorded: np.ndarray


def read_responses(session: h5py.Group, shown: Shown, trace: str, kept: np.ndarray) -> Responses:
    """Responses of some cells of a session to a stimulus.

    Args:
        session: the group of the session.
        shown: how the stimulus is found in it.
        trace: one of `TRACES`: inferred spikes, or fluorescence.
        kept: (cell,) which cells.

    Raises:
        UserError: naming the file, session and key, if anything is missing, damaged or does not fit.
    """
    n = len(kept)
    traces = _traces(session, shown.prefix, trace, n)[kept]
    times = _times(session, shown.prefix, n, traces.shape[1])[kept]
    triggers = h5.read(session, f"{shown.prefix}_trigger_times", axes="cell trigger", shape=(n, None))
    starts = triggers[kept][0, :: shown.every]  # in the precision of the file, as openretina has it
    if (np.diff(starts) <= 0).any():
        raise UserError(
            f"{h5.place(session, f'{shown.prefix}_trigger_times')} does not run forward in time; get the file again"
        )
    frames = np.linspace(starts, starts + shown.seconds, shown.bins, axis=1)  # (presentation, bin)
    with np.errstate(all="ignore"):  # what is not finite is found by whoever needs the cell
        values = np.stack([np.interp(frames.ravel(), t, x) for t, x in zip(times, traces, strict=True)])
        values = (values / np.std(values, axis=1, keepdims=True)).astype(np.float32)
    sample = np.diff(times, axis=1).max()
    recorded = (frames[:, 0] >= times[:, 0].max() - sample) & (frames[:, -1] <= times[:, -1].min() + sample)
    late = np.abs(np.diff(starts) - shown.seconds - 1 / RATE) > _LATE
    return Responses(np.ascontiguousarray(values.T), np.append(True, late).nonzero()[0], recorded)


def _traces(session: h5py.Group, prefix: str, trace: str, n: int) -> np.ndarray:
    """(cell, sample) the traces as recorded; numbers that are not finite are left to whoever needs the cell."""

    def read(key: str, shape: tuple[int | None, ...] = (n, None)) -> np.ndarray:
        return h5.read(session, f"{prefix}_{key}", axes="cell sample", shape=shape, finite=False)

    if trace not in TRACES:
        raise unknown("trace of hoefling_2024", trace, TRACES)
    if trace == "spikes":
        old = f"{prefix}_inferred_spikes" in h5.keys(session)
        return read("inferred_spikes" if old else "spikes")
    if trace == "detrended":
        raw = read("raw_traces")
        with np.errstate(all="ignore"):
            return raw - read("smoothed_traces", raw.shape)
    return read(f"{trace}_traces")


def _times(session: h5py.Group, prefix: str, n: int, samples: int) -> Float[np.ndarray, "cell sample"]:
    """When each sample of each trace was taken (s)."""
    key = f"{prefix}_traces_times"
    if key in h5.keys(session):
        times = h5.read(session, key, axes="cell sample", shape=(n, samples))
    else:
        first, step = (
            h5.read(session, f"{prefix}_traces_{name}", axes="cell", shape=(n,))[:, None] for name in ("t0", "dt")
        )
        times = np.arange(samples) * step + first
    if samples < 2 or (np.diff(times, axis=1) <= 0).any():
        raise UserError(f"{h5.place(session, key)} does not run forward in time; get the file again")
    return times
