"""Recordings of one's own as HDF5 and numpy files, in openretina's layout.

FOLDER/stimuli/NAME.npy     (channel, time, height, width), a stimulus that sessions may share
FOLDER/SESSION.h5           or .hdf5, with
    responses_NAME          (neuron, time), one for every stimulus that the session saw
    stimulus_NAME           (channel, time, height, width), if the session saw another one of this name
    session_info/KEY        what else is known: of every neuron, if it has an entry for each, or of the session
"""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from retina_nb.errors import UserError, unknown
from retina_nb.files import expand_path
from retina_nb.loaders import h5
from retina_nb.loaders.formats import session_files
from retina_nb.loaders.joined import JoinedFrames
from retina_nb.loaders.normalize import ZscoredFrames
from retina_nb.loaders.npy import open_npy
from retina_nb.loaders.on_disk import OnDiskFrames, fits_in_memory
from retina_nb.loaders.splits import training_labels
from retina_nb.recording import Frames, Movie, Recording


@np.errstate(over="ignore", invalid="ignore")  # what is too large for float32 is told as not finite
def load(
    path: str | Path,
    *,
    rate: float | None = None,
    test_names: Sequence[str] = (),
    norm_mean: float | None = None,
    norm_std: float | None = None,
    sessions: Sequence[str] | None = None,
    n_validation_clips: int | None = None,
    clip_length: int = 100,
    seed: int = 42,
    channels: Sequence[str] = (),
    pixel_um: float = float("nan"),
    unit: str = "spikes/bin",
    signed: bool = False,
) -> dict[str, Recording]:
    """Read recordings, one for each session file.

    All stimuli together are one movie, which the sessions share; each is a presentation of its own. A recording's
    timeline has those for training, in the order of their names, and then those for testing. Stimuli that together
    do not fit into memory stay in their files.

    Args:
        path: the folder, or one session's file.
        rate: frames and bins per second (Hz), which the files do not tell.
        test_names: names of the stimuli for testing; the recordings have them as repeats of one trial.
        norm_mean, norm_std: stimuli become ``(stimulus - norm_mean) / norm_std``; by default they stay as they are.
        sessions: names of the sessions to read; by default all.
        n_validation_clips: number of clips of the training stimuli that are for validation, the same as openretina
            draws; by default a tenth of them.
        clip_length: length of these clips (bins).
        seed: which clips.
        channels: a name for each channel of the stimuli.
        pixel_um: side of a pixel on the retina (µm).
        unit: unit of the responses.
        signed: whether responses may be negative.

    Raises:
        UserError: naming the file and the key, if something is missing, damaged or does not fit together; or if a
            setting is not possible.
    """
    path = expand_path(path)
    if rate is None:
        raise UserError(f"{path} does not tell how many frames a second it has; give rate=")
    mean, std = norm_mean or 0.0, 1.0 if norm_std is None else norm_std
    if not (np.isfinite(mean) and np.isfinite(std) and std > 0):
        raise UserError(f"norm_mean must be a number and norm_std one above 0, not {norm_mean} and {norm_std}")
    files = session_files(path, sessions)
    folder = (path if path.is_dir() else path.parent) / "stimuli"
    shown = {session: _stimuli(file, folder) for session, file in files.items()}
    for name in test_names:
        if name not in (known := {name for stimuli in shown.values() for name in stimuli}):
            raise unknown(f"stimulus of {path}", name, known)
    movie, spans = _movie([source for stimuli in shown.values() for source in stimuli.values()], mean, std, channels)
    facts: dict[str, Any] = {"rate": rate, "pixel_um": pixel_um, "unit": unit, "signed": signed}
    recordings = {}
    for session, file in files.items():
        mine = {name: spans[source] for name, source in shown[session].items()}
        responses, neurons, about = _session(file, mine)
        order = sorted(mine, key=lambda name: (name in test_names, name))
        n_train = sum(length for name, (_, length) in mine.items() if name not in test_names)
        labels = training_labels(n_train, clip_length, n_validation_clips, seed, where=f"what {file} has for training")
        recordings[session] = Recording(
            session=session,
            movie=movie,
            responses=np.concatenate([responses[name] for name in order]),
            neurons=neurons,
            about=about,
            **_timeline({name: mine[name] for name in order}, labels, test_names),
            **facts,
        )
    return recordings


# A stimulus: a .npy file and "", or a session's file and the key in it.
_Source = tuple[Path, str]


def _stimuli(file: Path, folder: Path) -> dict[str, _Source]:
    """Where the stimuli are that a session has responses to, by name."""
    with h5.open_h5(file) as opened:
        keys = h5.keys(opened)
        for name in (key.removeprefix("responses_") for key in keys if key.startswith("responses_")):
            if f"stimulus_{name}" in keys:
                _check_axes(opened, name)
    _check_spelling(file, keys, folder)
    stimuli: dict[str, _Source] = {}
    for name in (key.removeprefix("responses_") for key in keys if key.startswith("responses_")):
        own, shared = f"stimulus_{name}", folder / f"{name}.npy"
        if own not in keys and not shared.is_file():
            raise UserError(
                f"{file} has responses_{name}, but neither has it {own} nor is there a file {shared}; add one"
            )
        stimuli[name] = (file, own) if own in keys else (shared, "")
    return stimuli


def _check_axes(file: h5py.File, name: str) -> None:
    """Tell axes in reverse, as MATLAB writes them, before sizes that do not fit together are told."""
    responses = h5.dataset(file, f"responses_{name}", axes="neuron time").shape
    stimulus = h5.dataset(file, f"stimulus_{name}", axes="channel time height width", kind=h5.NUMBERS + "b").shape
    fits, fits_reversed = responses[1] == stimulus[1], responses[0] == stimulus[2]
    if fits_reversed and not (fits and stimulus[1] >= stimulus[2]):
        raise UserError(
            f"{file.filename}: responses_{name} {responses} and stimulus_{name} {stimulus} have their axes in reverse, "
            "(time, neuron) and (width, height, time, channel), as MATLAB writes arrays; permute them in MATLAB, or "
            "read them here and write their .T as (neuron, time) and (channel, time, height, width)"
        )


def _check_spelling(file: Path, keys: Sequence[str], folder: Path) -> None:
    """Responses to a stimulus that is there must not be lost by a misspelt key."""
    own = {key.removeprefix("stimulus_") for key in keys if key.startswith("stimulus_")}
    for name in own | {path.stem for path in folder.glob("*.npy")}:
        like = [key for key in keys if key.endswith(f"_{name}") and not key.startswith(("responses_", "stimulus_"))]
        if like and f"responses_{name}" not in keys:
            raise UserError(
                f"{file} has {like[0]}, but no responses_{name} to the stimulus {name}; rename it, or the stimulus"
            )


def _movie(
    sources: Iterable[_Source], mean: float, std: float, channels: Sequence[str]
) -> tuple[Movie, dict[_Source, tuple[int, int]]]:
    """All stimuli as one movie, and the first frame and number of frames of each in it."""
    parts = {source: _open(source) for source in dict.fromkeys(sources)}
    first, like = next(iter(parts.items()))
    spans, start = {}, 0
    for source, part in parts.items():
        if (part.shape[0], *part.shape[2:]) != (like.shape[0], *like.shape[2:]):
            raise UserError(
                f"the stimuli must have the same channels, height and width, but (channel, time, height, width) is "
                f"{part.shape} in {_place(source)} and {like.shape} in {_place(first)}"
            )
        spans[source] = (start, part.shape[1])
        start += part.shape[1]
    frames: Any = JoinedFrames(list(parts.values()))
    if frames.dtype.kind == "f" or (mean, std) != (0.0, 1.0):
        frames = ZscoredFrames(frames, mean, std)
    if fits_in_memory(frames.shape, frames.dtype):
        frames = np.asarray(frames[:])
        _check_finite(frames, spans)
    return Movie(frames, mean=mean, std=std, channels=tuple(channels)), spans


def _open(source: _Source) -> Frames:
    path, key = source
    return OnDiskFrames(path, key) if key else open_npy(path, "channel time height width")


def _place(source: _Source) -> str:
    return f"{source[0]}: {source[1]}" if source[1] else str(source[0])


def _check_finite(frames: np.ndarray, spans: dict[_Source, tuple[int, int]]) -> None:
    for source, (start, length) in spans.items():
        if not np.isfinite(frames[:, start : start + length]).all():
            raise UserError(f"{_place(source)} has pixels that are not finite; mend the stimulus")


def _session(
    file: Path, spans: dict[str, tuple[int, int]]
) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray], dict[str, Any]]:
    """Responses (time, neuron) to every stimulus, the properties of the neurons, and what else is known."""
    with h5.open_h5(file) as opened:
        responses = {name: h5.read(opened, f"responses_{name}", axes="neuron time").T for name in spans}
        info = _info(h5.tree(h5.group(opened, "session_info"))) if "session_info" in h5.keys(opened) else {}
    first, like = next(iter(responses.items()))
    for name, (_, length) in spans.items():
        time, neurons = responses[name].shape
        if time != length:
            swapped = "; are its axes (neuron, time)?" if neurons == length else "; cut the longer one"
            raise UserError(f"{file}: responses_{name} has {time} bins, its stimulus has {length} frames{swapped}")
        if neurons != like.shape[1]:
            raise UserError(
                f"{file}: responses_{name} has {neurons} neurons, responses_{first} has {like.shape[1]}; give all "
                "neurons in each"
            )
    neurons = {key: value for key, value in info.items() if np.shape(value)[:1] == like.shape[1:]}
    return responses, neurons, {key: value for key, value in info.items() if key not in neurons}


def _info(held: dict[str, Any]) -> dict[str, Any]:
    """What a group holds, as arrays, numbers and text; groups in it as dictionaries."""
    return {key: _info(one) if isinstance(one, dict) else _value(one) for key, one in sorted(held.items())}


def _value(found: h5py.Dataset) -> Any:
    if h5py.check_ref_dtype(found.dtype) is not None:
        raise UserError(
            f"{found.file.filename}: {found.name} has references to other things in the file, as MATLAB's cell arrays "
            "have; store what they stand for as an array of numbers or text, or leave it out"
        )
    values = h5.read_part(found, ())
    if found.attrs.get("MATLAB_class") == b"char":
        return "".join(map(chr, values.ravel()))
    if values.dtype.kind in "SO":
        values = np.array([h5.text(one) for one in values.flat]).reshape(values.shape)
    return values if values.ndim else values.item()


def _timeline(spans: dict[str, tuple[int, int]], labels: np.ndarray, test_names: Sequence[str]) -> dict[str, Any]:
    """What a `Recording` needs of its bins, from the first frame and number of frames of each presentation."""
    onsets = np.cumsum([0, *(length for _, length in spans.values())])
    bins = {
        name: onset + np.arange(length) for (name, (_, length)), onset in zip(spans.items(), onsets[:-1], strict=True)
    }
    return {
        "frames": np.concatenate([start + np.arange(length) for start, length in spans.values()]),
        "split": np.concatenate([labels, np.full(onsets[-1] - len(labels), "test")]),
        "onsets": onsets[:-1],
        "repeats": {name: one[None] for name, one in bins.items() if name in test_names},
    }
