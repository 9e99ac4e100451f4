"""Recordings in Neurodata Without Borders files (NWB 2, read through pynwb), a session each.

The stimulus is what the file has under stimulus/presentation: ImageSeries (OpticalSeries too), or IndexSeries that
show the frames of a template in any order. The responses are the spikes of the units, counted in every bin, or a series
of ROI responses, interpolated at the middle of every bin. A frame is a bin, unless a rate is given. A bin has the
spikes from its start on up to its end, without it; the end of a bin is the start of the next, see
`retina_nb.loaders.binning`. Tables of intervals tell what is for testing, and what was repeated.
"""

import math
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from retina_nb.errors import UserError
from retina_nb.files import expand_path
from retina_nb.loaders import h5
from retina_nb.loaders.formats import session_files
from retina_nb.loaders.normalize import ZscoredFrames
from retina_nb.loaders.nwb.intervals import label_bins
from retina_nb.loaders.nwb.responses import read_responses
from retina_nb.loaders.nwb.stimulus import read_stimulus
from retina_nb.loaders.on_disk import fits_in_memory
from retina_nb.recording import Frames, Movie, Recording

_BLOCK = 2**24  # pixels that are read at once
_TOLD = 200  # letters of an error of pynwb
_ABOUT = ("identifier", "session_id", "session_description", "session_start_time", "experiment_description", "notes")
_SUBJECT = ("subject_id", "species", "strain", "genotype", "sex", "age", "weight", "description")


@dataclass(frozen=True)
class _Session:
    """What a file has: its frames as they are stored, and what a `Recording` needs besides its movie."""

    frames: Frames
    recording: dict[str, Any]


def load(
    path: str | Path,
    *,
    sessions: Sequence[str] | None = None,
    stimulus: str | Sequence[str] | None = None,
    responses: str | None = None,
    test: Sequence[str] = (),
    intervals: str | None = None,
    split_column: str | None = None,
    stimulus_column: str | None = None,
    rate: float | None = None,
    axes: str | None = None,
    normalize: bool = True,
    n_validation_clips: int | None = None,
    clip_length: int = 100,
    seed: int = 42,
    channels: Sequence[str] = (),
    pixel_um: float = float("nan"),
) -> dict[str, Recording]:
    """Read recordings, one for each file, named after it.

    Sessions with the same frames share one movie. What a file says of units, electrodes or ROIs is in `neurons`, what
    it says of the session in `about`.

    Args:
        path: a file, or a folder of files.
        sessions: which files, by name without the ending; by default all.
        stimulus: names of the series that were shown; by default all under stimulus/presentation.
        responses: ``"units"``, or the name of a RoiResponseSeries; by default the units, if there are none the only
            such series.
        test: names of the series that are for testing.
        intervals: the table that tells what is for testing and what was repeated, see `label_bins`; by default the
            trials, if there are none the epochs.
        split_column: the column of the table with ``"train"``, ``"validation"`` or ``"test"``; by default ``"split"``
            if there is one.
        stimulus_column: the column of the table with the name of what was shown, the same for repeats; by default
            ``"stimulus"`` or ``"stimulus_name"`` if there is one.
        rate: bins per second (Hz), for stimuli whose frames last long or not all equally long; by default a frame is
            a bin. A presentation then has the whole number of bins that is closest to its length, and its last bin is
            cut where the next presentation starts.
        axes: ``"xy"`` if images are stored with their width before their height, as the standard has it, ``"yx"`` if
            after it; by default as their attribute dimension tells, or else as the standard has it.
        normalize: whether frames are z-scored, by the mean and the standard deviation of those shown for training.
        n_validation_clips: number of clips of the training bins that are for validation, where no table tells;
            by default a tenth of them.
        clip_length: length of these clips (bins).
        seed: which clips.
        channels: a name for each channel of the frames.
        pixel_um: side of a pixel on the retina (µm).

    Raises:
        UserError: naming the file and what is in it, if something is missing, damaged or does not fit together; or if
            a setting is not possible.
    """
    if axes not in (None, "xy", "yx"):
        raise UserError(f"axes must be 'xy' or 'yx', not {axes!r}")
    clips = {"n_clips": n_validation_clips, "clip_length": clip_length, "seed": seed}
    table = {"test": test, "table": intervals, "split_column": split_column, "stimulus_column": stimulus_column}
    names = [stimulus] if isinstance(stimulus, str) else stimulus
    files = session_files(expand_path(path), sessions)
    read = [_read(file, names, responses, rate, axes, table | clips) for file in files.values()]
    return {
        session: Recording(session=session, movie=movie, pixel_um=pixel_um, **one.recording)
        for session, one, movie in zip(files, read, _movies(read, normalize, tuple(channels)), strict=True)
    }


def _read(
    path: Path, stimulus: Sequence[str] | None, responses: str | None, rate: float | None, axes: str | None, labels: Any
) -> _Session:
    from pynwb import NWBHDF5IO  # takes a second

    with h5.open_h5(path):  # refuses a file that draws on others, which pynwb would follow
        pass
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of files written by other versions
            with NWBHDF5IO(path, "r") as opened:
                return _session(opened.read(), stimulus, responses, rate, axes, labels)
    except UserError as error:
        raise UserError(str(error) if str(path) in str(error) else f"{path}: {error}") from None
    except Exception as error:  # pynwb has no error of its own
        # What it was building is told at length, and then why that could not be.
        reason = (str(error).rsplit("due to:", 1)[-1].strip().splitlines() or [""])[0][:_TOLD]
        raise UserError(
            f"cannot read {path} as NWB: {type(error).__name__} {reason}; is it damaged, or does it need an extension?"
        ) from None


def _session(
    file: Any, names: Sequence[str] | None, responses: str | None, rate: float | None, axes: str | None, labels: Any
) -> _Session:
    shown = read_stimulus(file, names, rate, axes)
    answer = read_responses(file, responses, shown.edges)
    split, repeats = label_bins(file, shown, answer.known, **labels)
    return _Session(
        frames=shown.frames,
        recording={
            "responses": answer.values,
            "rate": shown.rate,
            "frames": shown.numbers,
            "split": split,
            "repeats": repeats,
            "onsets": shown.onsets,
            "unit": answer.unit,
            "neurons": answer.neurons,
            "signed": bool((answer.values < 0).any()),
            "about": _about(file),
        },
    )


def _about(file: Any) -> dict[str, str]:
    subject = [] if file.subject is None else [(name, getattr(file.subject, name)) for name in _SUBJECT]
    facts = dict(
        [(name, getattr(file, name)) for name in _ABOUT] + [(f"subject {name}", value) for name, value in subject]
    )
    return {name: str(value) for name, value in facts.items() if value not in (None, "")}


def _movies(sessions: Sequence[_Session], normalize: bool, channels: tuple[str, ...]) -> list[Movie]:
    """A movie for each session, the same one where the frames are the same."""
    distinct: list[Frames] = []
    places = []
    for session in sessions:
        equal = (place for place, frames in enumerate(distinct) if _same(frames, session.frames))
        places.append(next(equal, len(distinct)))
        distinct += [session.frames] if places[-1] == len(distinct) else []
    movies = []
    for place, frames in enumerate(distinct):
        shown = [one.recording for one, other in zip(sessions, places, strict=True) if other == place]
        train = np.unique(np.concatenate([one["frames"][one["split"] == "train"] for one in shown]))
        movies.append(_movie(frames, train, normalize, channels))
    return [movies[place] for place in places]


def _same(a: Frames, b: Frames) -> bool:
    return isinstance(a, np.ndarray) and isinstance(b, np.ndarray) and a.dtype == b.dtype and np.array_equal(a, b)


def _movie(frames: Any, train: np.ndarray, normalize: bool, channels: tuple[str, ...]) -> Movie:
    if not normalize:
        return Movie(frames, channels=channels)
    mean, std = _statistics(frames, train if len(train) else np.arange(frames.shape[1]))
    scaled = ZscoredFrames(frames, mean, std)
    in_memory = isinstance(frames, np.ndarray) and fits_in_memory(scaled.shape, scaled.dtype)
    return Movie(np.asarray(scaled) if in_memory else scaled, mean=mean, std=std, channels=channels)


def _statistics(frames: Frames, numbers: np.ndarray) -> tuple[float, float]:
    """Mean and standard deviation over all pixels of some frames, which need not fit into memory."""
    sums = np.zeros(3)
    step = max(1, _BLOCK // math.prod((frames.shape[0], *frames.shape[2:])))
    for start in range(0, len(numbers), step):
        with np.errstate(over="ignore", invalid="ignore"):
            pixels = np.asarray(frames[:, numbers[start : start + step]], dtype=np.float32).ravel()
            sums += pixels.size, pixels.sum(dtype=np.float64), np.einsum("i,i->", pixels, pixels, dtype=np.float64)
    mean = sums[1] / sums[0]
    with np.errstate(invalid="ignore"):  # of pixels that are not finite
        std = np.sqrt(np.maximum(sums[2] / sums[0] - mean**2, 0))
    if not (np.isfinite(std) and std > 1e-7 * abs(mean)):
        raise UserError(
            f"the frames shown for training have mean {mean:g} and standard deviation {std:g}, which cannot be "
            "normalised; fix them, or give normalize=False"
        )
    return float(mean), float(std)
