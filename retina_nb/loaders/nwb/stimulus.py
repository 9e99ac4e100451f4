"""The frames of NWB files, and when each was on screen."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from jaxtyping import Float64, Int64

from retina_nb.errors import UserError, unknown
from retina_nb.loaders import h5
from retina_nb.loaders.binning import check_rate, even_edges
from retina_nb.loaders.joined import JoinedFrames
from retina_nb.loaders.on_disk import OnDiskFrames, fits_in_memory
from retina_nb.memory import check_memory
from retina_nb.recording import Frames

# A step of so many frames is a pause, after which a new presentation starts.
_PAUSE = 1.5
# Seconds after the start of a session that nobody records; times of day since 1970 are earlier.
_LATEST = 1e11
_BYTES_PER_BIN = 64  # of edges, numbers and labels
# Frames that are so much shorter or longer than the others are not a rate.
_JITTER = 0.2


@dataclass(frozen=True)
class Shown:
    """What was on screen in every bin, in the order of time.

    Args:
        frames: (channel, frame, height, width) all frames, as they are stored.
        numbers: which frame each bin showed.
        edges: for every presentation, the edges of its bins (s): bins share them, and presentations do not overlap.
        onsets: bins with which a presentation starts.
        names: for every presentation, the name of its series.
        rate: bins per second.
    """

    frames: Frames
    numbers: Int64[np.ndarray, " time"]
    edges: tuple[Float64[np.ndarray, " _"], ...]
    onsets: Int64[np.ndarray, " presentation"]
    names: tuple[str, ...]
    rate: float

    @property
    def middles(self) -> Float64[np.ndarray, " time"]:
        """The middle of each bin (s)."""
        return np.concatenate([(one[:-1] + one[1:]) / 2 for one in self.edges])


@dataclass(frozen=True)
class _Part:
    """The frames of a series or of a container of images, and the number that the first gets among all frames."""

    name: str
    frames: Frames
    first: int


@dataclass(frozen=True)
class _Presentation:
    """The bins of a series that follow one another without a pause."""

    name: str
    numbers: Int64[np.ndarray, " time"]
    edges: Float64[np.ndarray, " edge"]


def read_stimulus(file: Any, names: Sequence[str] | None, rate: float | None, axes: str | None) -> Shown:
    """Read what was shown.

    Args:
        file: an open NWB file.
        names: of the series; by default all that are under stimulus/presentation.
        rate: bins per second; by default a frame is a bin.
        axes: ``"xy"`` or ``"yx"``; by default as the file tells.

    Raises:
        UserError: if a series is missing, empty or of another kind, its times are not possible, or series do not
            fit together.
    """
    if rate is not None:
        check_rate(rate, "rate")
    parts: dict[str, _Part] = {}
    presentations: list[_Presentation] = []
    for series in _series(file, names):
        source, numbers = _source_and_numbers(series)
        if source.object_id not in parts:
            first = sum(part.frames.shape[1] for part in parts.values())
            parts[source.object_id] = _Part(source.name, _frames(source, axes), first)
        part = parts[source.object_id]
        if numbers.min() < 0 or numbers.max() >= part.frames.shape[1]:
            raise UserError(
                f"{series.name} shows the frames {numbers.min()} to {numbers.max()}, {source.name} has "
                f"{part.frames.shape[1]}"
            )
        presentations += _presentations(series, part.first + numbers, rate)
    presentations.sort(key=lambda one: one.edges[0])
    lengths = np.concatenate([np.diff(one.edges) for one in presentations])
    found_rate = rate or float(f"{1 / np.median(lengths):.9g}")  # without the noise of subtractions
    _check_times(presentations, found_rate)
    for one, following in pairwise(presentations):  # rounding must not count a spike in both
        one.edges[-1] = min(one.edges[-1], following.edges[0])
    return Shown(
        frames=_joined(list(parts.values())),
        numbers=np.concatenate([one.numbers for one in presentations]),
        edges=tuple(one.edges for one in presentations),
        onsets=np.cumsum([0, *(len(one.numbers) for one in presentations)])[:-1],
        names=tuple(one.name for one in presentations),
        rate=float(found_rate),
    )


def _series(file: Any, names: Sequence[str] | None) -> list[Any]:
    from pynwb.image import ImageSeries, IndexSeries

    there = {name: one for name, one in file.stimulus.items() if isinstance(one, ImageSeries | IndexSeries)}
    if names is not None:
        others = file.stimulus_template | file.acquisition if names else {}
        for name in names:
            if name not in there | others:
                raise unknown("series of images", name, there | others)
        there = {name: (there | others)[name] for name in names}
    if not there:
        has = ", ".join(file.stimulus) or "nothing"
        raise UserError(f"stimulus/presentation has {has}, but no ImageSeries or IndexSeries; name one as stimulus=")
    return list(there.values())


def _source_and_numbers(series: Any) -> tuple[Any, np.ndarray]:
    """Where the frames of a series are, and which of them it shows one after the other."""
    from pynwb.image import IndexSeries

    if not isinstance(series, IndexSeries):
        _check_inside(series)
        return series, np.arange(len(series.data))
    numbers = h5.values(series.data)
    if numbers.dtype.kind not in "iu" or numbers.ndim != 1 or not len(numbers):
        raise UserError(f"{series.name} must have numbers of frames (time,), not {numbers.dtype} {numbers.shape}")
    source = series.indexed_images if series.indexed_images is not None else series.indexed_timeseries
    if source is None:
        raise UserError(f"{series.name} has numbers of frames, but no link to the frames")
    if series.indexed_images is None:
        _check_inside(source)
    return source, numbers.astype(np.int64)


def _check_inside(series: Any) -> None:
    if getattr(series, "external_file", None) is not None:
        files = ", ".join(str(one) for one in series.external_file[:])
        raise UserError(f"the frames of {series.name} are in other files ({files}); put them into the NWB file")
    if not hasattr(series, "data") or series.data is None or not len(series.data):
        raise UserError(f"{series.name} has no frames")


def _frames(source: Any, axes: str | None) -> Frames:
    """(channel, frame, height, width) frames of an ImageSeries, or images of an Images container in their order."""
    order = {"xy": "width height", "yx": "height width"}
    if hasattr(source, "images"):
        return _images(source, axes or "xy")
    shape = source.data.shape
    if len(shape) not in (3, 4):
        raise UserError(f"{source.name} must be (frame, x, y) or (frame, x, y, channel), its shape is {shape}")
    names = f"frame {order[axes or _told_axes(source)]}" + (" channel" if len(shape) == 4 else "")
    found = OnDiskFrames(source.data.file.filename, source.data.name.lstrip("/"), names)
    return np.ascontiguousarray(found[:]) if fits_in_memory(found.shape, found.dtype) else found


def _told_axes(source: Any) -> str:
    """The order of the axes by the numbers of pixels on x and y that a series may tell."""
    told = () if source.dimension is None else tuple(int(n) for n in source.dimension[:2])
    stored = tuple(source.data.shape[1:3])
    if told and sorted(told) != sorted(stored):
        raise UserError(f"{source.name} tells {told} pixels on x and y, but has {stored}; give axes='xy' or 'yx'")
    return "yx" if told and told != stored else "xy"


def _images(source: Any, axes: str) -> np.ndarray:
    if source.order_of_images is None:
        raise UserError(f"the images of {source.name} have no order (order_of_images), so that numbers tell nothing")
    images = [h5.values(image.data) for image in source.order_of_images[:]]
    if not images or len({image.shape for image in images}) > 1 or images[0].ndim not in (2, 3):
        shapes = ", ".join(sorted({str(image.shape) for image in images})) or "nothing"
        raise UserError(f"the images of {source.name} must be of one size (x, y) or (x, y, channel), there is {shapes}")
    stack = np.stack(images).reshape(len(images), *images[0].shape[:2], -1)  # (frame, x, y, channel)
    return np.ascontiguousarray(stack.transpose((3, 0, 2, 1) if axes == "xy" else (3, 0, 1, 2)))


def _joined(parts: Sequence[_Part]) -> Frames:
    like = parts[0].frames
    for part in parts:
        if (part.frames.shape[0], *part.frames.shape[2:]) != (like.shape[0], *like.shape[2:]):
            raise UserError(
                f"the frames of {parts[0].name} and {part.name} are not alike, (channel, frame, height, width) is "
                f"{like.shape} and {part.frames.shape}; choose one by stimulus="
            )
    if len(parts) == 1:
        return like
    joined = JoinedFrames([part.frames for part in parts])
    return joined[:] if fits_in_memory(joined.shape, joined.dtype) else joined


def _presentations(series: Any, numbers: np.ndarray, rate: float | None) -> list[_Presentation]:
    edges, duration = _frame_edges(series, len(numbers))
    cuts = [0, *(np.flatnonzero(np.diff(edges[:-1]) > _PAUSE * duration) + 1), len(numbers)]
    found = []
    for first, last in pairwise(cuts):
        mine, part = edges[first : last + 1].copy(), numbers[first:last]
        if last < len(numbers):  # what follows comes after a pause
            mine[-1] = mine[-2] + duration
        if rate is not None:
            starts, bins = mine[:-1], max(1, round((mine[-1] - mine[0]) * rate))
            check_memory(_BYTES_PER_BIN * bins, f"{series.name} in {bins} bins (rate={rate:g})")
            mine = even_edges(mine[0], bins, rate)
            part = part[np.searchsorted(starts, (mine[:-1] + mine[1:]) / 2, side="right") - 1]
        found.append(_Presentation(series.name, part, mine))
    return found


def _check_times(presentations: Sequence[_Presentation], rate: float) -> None:
    for one in presentations:
        lengths = np.diff(one.edges)
        if (abs(lengths * rate - 1) > _JITTER).any():
            raise UserError(
                f"the frames of {one.name} last from {lengths.min():.3g} to {lengths.max():.3g} s, the median of all "
                f"stimuli is {1 / rate:.3g} s; give rate= to bin them evenly, or choose series by stimulus="
            )
    for one, following in pairwise(presentations):
        if following.edges[0] < one.edges[-1] - 0.5 / rate:
            raise UserError(
                f"{following.name} starts at {following.edges[0]:.6g} s, before {one.name} ends at "
                f"{one.edges[-1]:.6g} s; choose one by stimulus="
            )


def _frame_edges(series: Any, n: int) -> tuple[np.ndarray, float]:
    """When each frame appeared and the last one went, and for how long a frame was on screen (s)."""
    if series.rate is not None:
        rate, start = check_rate(series.rate, f"the rate of {series.name}"), float(series.starting_time or 0.0)
        if not abs(start) < _LATEST:
            raise UserError(f"{series.name} starts at {start:g} s; correct its starting_time")
        return even_edges(start, n, rate), 1 / rate
    times = h5.values(series.timestamps).astype(np.float64)
    if times.shape != (n,):
        raise UserError(f"{series.name} has {n} frames, but {len(times)} timestamps")
    if n < 2 or not (np.abs(times) < _LATEST).all() or (np.diff(times) <= 0).any():
        raise UserError(f"the timestamps of {series.name} must be at least two and each later than the one before")
    duration = float(np.median(np.diff(times)))
    check_rate(1 / duration, f"one frame per {duration:g} s, as the timestamps of {series.name} have it,")
    return np.append(times, times[-1] + duration), duration
