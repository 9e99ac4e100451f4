"""Recordings: a movie kept once, the frame on screen in every time bin, and the responses.

A recording is one session's timeline. Train, validation and test are labels of its bins, never
copies, so the history of every bin is the history that the cells really saw.
"""

import copy
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol, runtime_checkable

import numpy as np

from retina_nb.arrays import (
    as_array,
    as_flag,
    as_float32,
    as_integers,
    as_mapping,
    as_name,
    as_number,
    as_text,
    describe,
)
from retina_nb.errors import UserError, unknown
from retina_nb.representations import as_html, one_line

SPLITS = ("train", "validation", "test")
UNUSED = ""

RATES = (1e-3, 1e6)  # bins per second that are possible
PIXELS = (1e-3, 1e6)  # sides of pixels (µm) that are possible


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
        UserError: if `frames` does not have four axes, is not of real numbers, or has pixels that are not finite in
            float32 (looked for in memory only), or another argument does not fit.
    """

    frames: Frames
    mean: float = 0.0
    std: float = 1.0
    channels: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if hasattr(self.frames, "detach") or isinstance(self.frames, np.ma.MaskedArray):
            object.__setattr__(self, "frames", as_array(self.frames, "a movie's frames"))
        check_frames(self.frames)
        channels = as_array(() if self.channels is None else self.channels, "a movie's channels")
        names = [as_text(one, "the name of a channel") for one in np.atleast_1d(channels).tolist()]
        object.__setattr__(self, "channels", tuple(names))
        if self.channels and len(self.channels) != self.frames.shape[0]:
            raise UserError(f"a movie of {self.frames.shape[0]} channels has {len(self.channels)} channel names")
        greatest = float(np.finfo(np.float32).max)
        for name, least in (("mean", -greatest), ("std", 0.0)):
            level = as_number(
                getattr(self, name), f"a movie's {name}", "grey levels", least=least, most=greatest, unknown=True
            )
            object.__setattr__(self, name, level)

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

        put("session", as_name(self.session, "the name of a session"))
        where = f"session {self.session}: "
        if not isinstance(self.movie, Movie):
            raise UserError(f"{where}movie must be a Movie(frames), not {describe(self.movie)}")
        put("responses", as_float32(self.responses, f"{where}responses"))
        put("frames", self._whole_movie() if self.frames is None else as_integers(self.frames, f"{where}frames"))
        labels = np.full(len(self), "train") if self.split is None else as_array(self.split, f"{where}split")
        put("split", labels.astype(str, copy=False))
        for name in ("repeats", "neurons", "about"):
            put(name, as_mapping(getattr(self, name), f"{where}{name}"))
        trials = {name: (bins, f"{where}repeats[{name!r}]") for name, bins in self.repeats.items()}
        put("repeats", {name: as_integers(bins, what, "(trial, time)") for name, (bins, what) in trials.items()})
        onsets = as_array(self.onsets, f"{where}onsets")
        onsets = as_integers(onsets, f"{where}onsets") if onsets.size else np.zeros(0, dtype=np.int64)
        put("onsets", np.unique(np.append(onsets, 0)))
        put("neurons", {name: as_array(one, f"{where}neurons[{name!r}]") for name, one in self.neurons.items()})
        put("rate", as_number(self.rate, f"{where}rate", "bins per second", *RATES))
        if isinstance(self.pixel_um, tuple | list) or (isinstance(self.pixel_um, np.ndarray) and self.pixel_um.ndim):
            raise UserError(f"{where}pixel_um must be one number (µm): bring the movie to square pixels")
        side = as_number(self.pixel_um, f"{where}pixel_um", "µm", *PIXELS, unknown=True)
        put("pixel_um", side)
        put("unit", as_text(self.unit, f"{where}unit"))
        for name in ("mirrored", "signed"):
            put(name, as_flag(getattr(self, name), f"{where}{name}"))
        self._validate()

    def __len__(self) -> int:
        return len(self.responses)

    def named(self, session: str) -> "Recording":
        """The same recording, of which nothing is copied, under another name."""
        if session == self.session:
            return self
        other = copy.copy(self)
        object.__setattr__(other, "session", session)
        return other

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

    def _whole_movie(self) -> np.ndarray:
        """Nobody said what was shown when: then it is the movie from its start to its end, a frame in each bin."""
        if (bins := len(self)) != len(self.movie):
            hint = "cut the longer of them, or say by frames= which frame was on screen in each bin"
            if self.n_neurons == len(self.movie):
                hint = "responses are (time, neuron), so transpose them"
            if self.movie.frames.shape[0] == bins:
                hint = _axes_of(self.movie)
            raise UserError(
                f"session {self.session}: responses have {bins} bins, the movie has {len(self.movie)} frames; {hint}"
            )
        return np.arange(bins)

    def _validate(self) -> None:
        where = f"session {self.session}"
        if not self.signed and self.responses.min() < 0:
            bin_, neuron = np.argwhere(self.responses < 0)[0]
            raise UserError(
                f"{where}: responses of neuron {neuron} are negative at bin {bin_}; rates and counts must be >= 0, "
                "other responses are given as signed=True"
            )
        for name in ("frames", "split"):
            labels = getattr(self, name)
            if labels.ndim != 1:
                raise UserError(f"{where}: {name} must have one label for each bin, (time,), not {labels.shape}")
            if len(labels) != len(self):
                raise UserError(
                    f"{where}: {name} has {len(labels)} bins, responses have {len(self)}; responses are (time, neuron)"
                )
        if self.frames.min() < 0 or self.frames.max() >= len(self.movie):
            hint = ""
            if self.frames.min() < 0:
                hint = "; for a gray screen, add a gray frame to the movie and give its number"
            elif self.frames.max() < self.movie.frames.shape[0]:
                hint = f"; {_axes_of(self.movie)}"
            raise UserError(
                f"{where}: frames run from {self.frames.min()} to {self.frames.max()}, "
                f"the movie has {len(self.movie)} frames, counted from 0{hint}"
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
            if values.shape[:1] != (self.n_neurons,):
                entries = len(values) if values.ndim else "no"
                raise UserError(f"{where}: neurons[{name!r}] has {entries} entries for {self.n_neurons} neurons")


def by_name(recordings: Any) -> dict[str, Recording]:
    """Recordings by the names of their sessions. One may come alone.

    The key in a dict is the session's name: a recording that calls itself otherwise gets that name here, and so in all
    that is made of it. Two of one name under two keys are two sessions.

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
    return {as_name(name, "the name of a session"): one.named(name) for name, one in recordings.items()}


def _axes_of(movie: Movie) -> str:
    """What to do about a movie with as many channels as there should be frames."""
    order = "moveaxis(frames, -1, 0)" if movie.frames.shape[-1] < movie.frames.shape[1] else "swapaxes(frames, 0, 1)"
    return f"a movie is (channel, frame, height, width), not {tuple(movie.frames.shape)}: use numpy.{order}"


def check_frames(frames: Any) -> None:
    """Refuse frames that no model can be shown."""
    if not hasattr(frames, "shape") or len(frames.shape) != 4:
        found = getattr(frames, "shape", type(frames).__name__)
        hint = "; of one channel they are frames[None]" if len(getattr(frames, "shape", ())) == 3 else ""
        raise UserError(f"a movie's frames must be (channel, frame, height, width), not {found}{hint}")
    if 0 in frames.shape:
        raise UserError(f"a movie's frames must not be empty, their shape is {tuple(frames.shape)}")
    kind = getattr(frames, "dtype", None)
    if isinstance(kind, np.dtype) and kind.kind not in "fiub":
        hint = "convert them by .astype('float32')" if kind.kind == "O" else "take their absolute or real part"
        raise UserError(f"a movie's frames must be real numbers, not {kind}; {hint}")
    if type(frames).__module__.startswith("h5py"):
        raise UserError("a movie's frames are a dataset of HDF5, which is not indexed as an array is: read it by [:]")
    # Only of what is in memory: a movie on disk would be read as a whole.
    if type(frames) is np.ndarray:
        ends = np.array([frames.min(), frames.max()])
        if not np.isfinite(ends).all():
            raise UserError("a movie's frames must be finite, some are NaN or infinite: fix them")
        if np.abs(ends.astype(np.float64)).max() > np.finfo(np.float32).max:
            raise UserError(f"a movie's frames must fit in float32, they run from {ends[0]:g} to {ends[1]:g}")


def sessions_that_share(recordings: Mapping[str, Recording]) -> list[list[str]]:
    """Names of the sessions, grouped by what they saw: the same frames, labels and onsets at the same times."""
    groups: dict[tuple, list[str]] = {}
    for name, one in recordings.items():
        timeline = (one.frames.tobytes(), one.split.tobytes(), one.onsets.tobytes())
        groups.setdefault((id(one.movie), one.mirrored, one.pixel_um, *timeline), []).append(name)
    return list(groups.values())
