"""Recordings: a movie kept once, the frame on screen in every time bin, and the responses.

A recording is one session's timeline. Train, validation and test are labels of its bins, never
copies, so the history of every bin is the history that the cells really saw.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol, runtime_checkable

import numpy as np

from retina_nb.errors import UserError, unknown
from retina_nb.representations import as_html, one_line

SPLITS = ("train", "validation", "test")
UNUSED = ""


@runtime_checkable
class Frames(Protocol):
    """Anything that looks like a (channel, frame, height, width) array: in memory, mapped, packed or lazy."""

    @property
    def shape(self) -> tuple[int, ...]: ...

    def __getitem__(self, index: Any, /) -> Any: ...


@one_line
@dataclass(frozen=True, eq=False)
class Movie:
    """Frames that exist once and are shared by every session that saw them.

    Args:
        frames: (channel, frame, height, width), in the units that models are trained on. Any array-like
            that can be indexed as ``frames[:, frame_numbers]``.
        mean, std: what the original grey levels were normalised by: ``original = frames * std + mean``.
        channels: one name for each channel.

    Raises:
        UserError: if `frames` does not have four axes, or has pixels that are not finite (looked for in memory only),
            or `channels` has another length.
    """

    frames: Frames
    mean: float = 0.0
    std: float = 1.0
    channels: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not hasattr(self.frames, "shape") or len(self.frames.shape) != 4:
            found = getattr(self.frames, "shape", type(self.frames).__name__)
            raise UserError(f"a movie's frames must be (channel, frame, height, width), not {found}")
        if 0 in self.frames.shape:
            raise UserError(f"a movie's frames must not be empty, their shape is {tuple(self.frames.shape)}")
        if self.channels and len(self.channels) != self.frames.shape[0]:
            raise UserError(f"a movie of {self.frames.shape[0]} channels has {len(self.channels)} channel names")
        # Only of what is in memory: a movie on disk would be read as a whole.
        if type(self.frames) is np.ndarray and not np.isfinite([self.frames.min(), self.frames.max()]).all():
            raise UserError("a movie's frames must be finite, some are NaN or infinite: mend them")

    @property
    def frame_shape(self) -> tuple[int, int, int]:
        """(channel, height, width)."""
        channel, _, height, width = self.frames.shape
        return channel, height, width

    def __len__(self) -> int:
        return self.frames.shape[1]

    def _in_words(self) -> str:
        channel, height, width = self.frame_shape
        names = f" ({', '.join(self.channels)})" if self.channels else ""
        return f"{len(self):,} frames of {channel} x {height} x {width} (channel, height, width){names}"

    def original(self, frames: Any) -> np.ndarray:
        """Frames of this movie, or anything in its units, in the grey levels from before it was normalised.

        Args:
            frames: numbers of any shape, e.g. ``movie.frames[:, :10]`` or a stimulus made for a twin.
        """
        return np.asarray(frames, dtype=np.float32) * np.float32(self.std) + np.float32(self.mean)


@one_line
@dataclass(frozen=True, eq=False)
class Recording:
    """One session: what was on screen and what the cells did, bin by bin.

    Args:
        session: the session's name.
        movie: the frames that were shown.
        responses: (time, neuron) rates or counts per bin, finite and, unless `signed`, not negative.
        rate: bins per second (Hz).
        frames: (time,) the movie frame on screen in each bin; by default the movie from start to end.
        split: (time,) label of each bin: ``"train"``, ``"validation"``, ``"test"`` or ``""`` (unused);
            by default all ``"train"``.
        repeats: for each test stimulus that was repeated, the bins of every repeat, (trial, time).
        onsets: bins at which a presentation starts, that is, whose history is not known.
        mirrored: whether the movie was shown left-right mirrored (a left eye).
        pixel_um: side of a pixel on the retina (µm).
        unit: unit of the responses.
        neurons: for each property of the neurons, an array with one entry for each neuron.
        signed: whether responses may be negative, as calcium traces are; rates and counts may not.
        about: what else is known of the session, e.g. the eye, the field of the scan, or cells that were left out.

    Raises:
        UserError: naming the session and the field, if anything does not fit together.
    """

    session: str
    movie: Movie
    responses: np.ndarray
    rate: float
    frames: np.ndarray = None  # type: ignore[assignment]  # filled in __post_init__
    split: np.ndarray = None  # type: ignore[assignment]
    repeats: Mapping[str, np.ndarray] = field(default_factory=dict)
    onsets: np.ndarray = (0,)  # type: ignore[assignment]
    mirrored: bool = False
    pixel_um: float = float("nan")
    unit: str = "spikes/bin"
    neurons: Mapping[str, np.ndarray] = field(default_factory=dict)
    signed: bool = False
    about: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        def put(name: str, value: Any) -> None:
            object.__setattr__(self, name, value)

        put("responses", self._numbers("responses", self.responses, ndim=2))
        put("frames", self._whole_movie() if self.frames is None else self._bins("frames", self.frames, ndim=1))
        labels = np.full(len(self), "train") if self.split is None else np.asarray(self.split)
        put("split", labels.astype(str, copy=False))
        put("repeats", {name: self._bins(f"repeats[{name!r}]", bins, ndim=2) for name, bins in self.repeats.items()})
        put("onsets", np.unique(np.append(self._bins("onsets", self.onsets, ndim=1), 0)))
        put("neurons", {name: np.asarray(values) for name, values in self.neurons.items()})
        self._validate()

    def __len__(self) -> int:
        return len(self.responses)

    @property
    def n_neurons(self) -> int:
        return self.responses.shape[1]

    @property
    def presentation(self) -> np.ndarray:
        """(time,): the number of the presentation that each bin belongs to."""
        return np.searchsorted(self.onsets, np.arange(len(self)), side="right") - 1

    @property
    def history(self) -> np.ndarray:
        """(time,): how many bins of its own presentation came before each bin."""
        return np.arange(len(self)) - self.onsets[self.presentation]

    def bins_with_history(self, split: str, history: int) -> np.ndarray:
        """The bins of a split that so many bins of their own presentation came before.

        Raises:
            UserError: if there is none.
        """
        bins = self.bins(split)
        bins = bins[self.history[bins] >= history]
        if not len(bins):
            raise UserError(
                f"session {self.session} has no {split} bin with {history} bins of history; label more bins"
            )
        return bins

    def stimulus(self, split: str = "train") -> np.ndarray:
        """What was on screen in the bins of a split, as the retina saw it.

        Args:
            split: ``"train"``, ``"validation"``, ``"test"``, or the name of a repeated test stimulus. A
                repeated stimulus is given once.

        Returns:
            (channel, time, height, width) float32, in normalised units.
        """
        return self.stimulus_at(self.bins(split))

    def stimulus_at(self, bins: np.ndarray) -> np.ndarray:
        """(channel, time, height, width) float32: what was on screen in these bins."""
        frames = np.asarray(self.movie.frames[:, self.frames[bins]], dtype=np.float32)
        return frames[..., ::-1].copy() if self.mirrored else frames

    def response(self, split: str = "train") -> np.ndarray:
        """(time, neuron): the responses in the bins of a split; the mean over trials if it was repeated."""
        if split in self._repeated(split):
            return self.trials(split).mean(axis=0)
        return self.responses[self.bins(split)]

    def trials(self, name: str = "test") -> np.ndarray:
        """(trial, time, neuron): the responses to every repeat of a test stimulus.

        Raises:
            UserError: if no such stimulus was repeated.
        """
        if name not in self.repeats:
            raise unknown(f"repeated stimulus of session {self.session}", name, self.repeats)
        return self.responses[self.repeats[name]]

    def bins(self, split: str) -> np.ndarray:
        """(time,) the bins of a split in order; of a repeated stimulus, those of its first repeat.

        Raises:
            UserError: if no bin has this label.
        """
        if split in self._repeated(split):
            return self.repeats[split][0]
        bins = np.flatnonzero(self.split == split)
        if not len(bins) or split == UNUSED:
            raise unknown(f"split of session {self.session}", split, {*self.split, *self.repeats} - {UNUSED})
        return bins

    def label(self, neuron: int) -> str:
        """What to call a neuron in a figure: its session and number, and its type if known."""
        kind = f": {self.neurons['type'][neuron]}" if "type" in self.neurons else ""
        return f"{self.session}, neuron {neuron}{kind}"

    @property
    def conditions(self) -> dict[str, Any]:
        """What a model has to know of how it was recorded: rate, pixel size, unit, normalisation and channels."""
        return {
            "rate_hz": self.rate,
            "pixel_um": None if np.isnan(self.pixel_um) else self.pixel_um,
            "unit": self.unit,
            "stimulus_mean": self.movie.mean,
            "stimulus_std": self.movie.std,
            "channels": list(self.movie.channels),
        }

    def summary(self) -> str:
        """A few lines: size, rate, length of each split, repeats, mean rate."""
        channel, height, width = self.movie.frame_shape
        minutes = {label: (self.split == label).sum() / self.rate / 60 for label in SPLITS}
        lines = [
            f"{self.session}: {self.n_neurons} neurons, {len(self) / self.rate / 60:.1f} min at {self.rate:g} Hz",
            f"  stimulus  {channel} channels x {height} x {width} pixels of {self.pixel_um:g} µm"
            + (", mirrored" if self.mirrored else ""),
            "  splits    " + ", ".join(f"{label} {length:.1f} min" for label, length in minutes.items() if length),
            f"  responses {self.responses.mean():.3g} {self.unit} on average",
        ]
        for name, bins in self.repeats.items():
            lines.insert(3, f"  repeats   {name}: {bins.shape[0]} trials of {bins.shape[1] / self.rate:.1f} s")
        return "\n".join(lines)

    _repr_html_ = as_html(summary)

    def _in_words(self) -> str:
        size = " x ".join(map(str, self.movie.frame_shape))
        minutes = len(self) / self.rate / 60
        return (
            f"{self.session!r}, {self.n_neurons} cells, {minutes:.1f} min at {self.rate:g} Hz, "
            f"stimulus {size} (channel, height, width), pixels of {self.pixel_um:g} µm, {self.unit}"
        )

    def _repeated(self, split: str) -> tuple[str, ...]:
        return (split,) if split in self.repeats else ()

    def _numbers(self, name: str, values: Any, ndim: int) -> np.ndarray:
        array = np.asarray(values)
        if array.dtype.kind not in "fiub" or array.ndim != ndim or 0 in array.shape:
            axes = {1: "(time,)", 2: "(time, neuron)"}[ndim]
            raise UserError(f"session {self.session}: {name} must be numbers {axes}, not {array.dtype} {array.shape}")
        return array.astype(np.float32, copy=False)

    def _bins(self, name: str, values: Any, ndim: int) -> np.ndarray:
        array = np.asarray(values)
        if array.dtype.kind not in "iu" or array.ndim != ndim or 0 in array.shape:
            axes = {1: "(time,)", 2: "(trial, time)"}[ndim]
            raise UserError(f"session {self.session}: {name} must be integers {axes}, not {array.dtype} {array.shape}")
        return array.astype(np.int64, copy=False)

    def _whole_movie(self) -> np.ndarray:
        """Nobody said what was shown when: then it is the movie from its start to its end, a frame in each bin."""
        if (bins := len(self)) != len(self.movie):
            hint = "cut the longer of them, or say by frames= which frame was on screen in each bin"
            if self.n_neurons == len(self.movie):
                hint = "responses are (time, neuron), so transpose them"
            raise UserError(
                f"session {self.session}: responses have {bins} bins, the movie has {len(self.movie)} frames; {hint}"
            )
        return np.arange(bins)

    def _validate(self) -> None:
        where = f"session {self.session}"
        if not np.isfinite(self.responses).all():
            bin_, neuron = np.argwhere(~np.isfinite(self.responses))[0]
            raise UserError(f"{where}: responses of neuron {neuron} are not finite at bin {bin_}; drop or mend them")
        if not self.signed and (self.responses < 0).any():
            bin_, neuron = np.argwhere(self.responses < 0)[0]
            raise UserError(
                f"{where}: responses of neuron {neuron} are negative at bin {bin_}; rates and counts must be >= 0, "
                "other responses are given as signed=True"
            )
        for name in ("frames", "split"):
            if len(getattr(self, name)) != len(self):
                raise UserError(
                    f"{where}: {name} has {len(getattr(self, name))} bins, responses have {len(self)}; "
                    "responses are (time, neuron)"
                )
        if self.frames.min() < 0 or self.frames.max() >= len(self.movie):
            raise UserError(
                f"{where}: frames run from {self.frames.min()} to {self.frames.max()}, "
                f"the movie has {len(self.movie)} frames, counted from 0"
            )
        if (strange := ~np.isin(self.split, (*SPLITS, UNUSED))).any():
            label = str(self.split[strange.argmax()])
            raise UserError(f"{where}: split has the label {label!r}, allowed are {', '.join(SPLITS)} and ''")
        for name, bins in {**self.repeats, "onsets": self.onsets}.items():
            if bins.min() < 0 or bins.max() >= len(self):
                raise UserError(
                    f"{where}: {name} has bins from {bins.min()} to {bins.max()}, the recording has {len(self)} bins, "
                    "counted from 0"
                )
        for name, bins in self.repeats.items():
            if (self.frames[bins] != self.frames[bins[0]]).any():
                raise UserError(f"{where}: repeats[{name!r}] did not show the same frames in every trial")
        for name, values in self.neurons.items():
            if len(values) != self.n_neurons:
                raise UserError(f"{where}: neurons[{name!r}] has {len(values)} entries for {self.n_neurons} neurons")
        if not (np.isfinite(self.rate) and self.rate > 0):
            raise UserError(f"{where}: rate must be a positive number of bins per second, not {self.rate}")
        if self.pixel_um <= 0:
            raise UserError(f"{where}: pixel_um must be positive (µm), or NaN if it is unknown, not {self.pixel_um}")


def by_name(recordings: Any) -> dict[str, Recording]:
    """Recordings by the names of their sessions. One may come alone.

    Raises:
        UserError: if they are anything else than what `load_recordings` gives, or there is none.
    """
    if isinstance(recordings, Recording):
        return {recordings.session: recordings}
    if not isinstance(recordings, Mapping) or not all(isinstance(one, Recording) for one in recordings.values()):
        raise UserError(
            f"recordings must be a Recording or a dict of them by session, as load_recordings gives them, not a "
            f"{type(recordings).__name__}"
        )
    if not recordings:
        raise UserError("there is no recording: give one or more")
    return dict(recordings)


def sessions_that_share(recordings: Mapping[str, Recording]) -> list[list[str]]:
    """Names of the sessions, grouped by what they saw: the same frames, labels and onsets at the same times."""
    groups: dict[tuple, list[str]] = {}
    for name, one in recordings.items():
        timeline = (one.frames.tobytes(), one.split.tobytes(), one.onsets.tobytes())
        groups.setdefault((id(one.movie), one.mirrored, one.pixel_um, *timeline), []).append(name)
    return list(groups.values())
