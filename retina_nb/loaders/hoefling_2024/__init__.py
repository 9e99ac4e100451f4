"""Mouse ganglion cells under natural movies, chirps and moving bars (Höfling et al. 2024, eLife 13:e86860).

Two-photon calcium imaging of 67 fields of the ventral retina, at 30 bins per second after interpolation, with a green
and a UV channel. The movie has 108 training clips of 5 s, which every field saw once, in one of 20 orders, and 5 test
clips, which it saw three times. It was shown without a break, and so a recording's timeline is that of the session: the
movie is in memory once for all of them, in the order of the clips' numbers.

Where openretina differs: it keeps a copy of the movie for each order and eye, and joins clips that were not shown one
after the other. The clips and responses are the same.
"""

import logging
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from retina_nb.errors import UserError, unknown
from retina_nb.loaders import DatasetCard, h5
from retina_nb.loaders.choose import choose
from retina_nb.loaders.download import user_folders
from retina_nb.loaders.hoefling_2024.cells import GANGLION_CELLS, Filter
from retina_nb.loaders.hoefling_2024.movie import TRAIN_CLIPS, VALIDATION_CLIPS, read_movie
from retina_nb.loaders.hoefling_2024.session import read_session
from retina_nb.loaders.hoefling_2024.timelines import NaturalMovie, Repeated, Screen
from retina_nb.loaders.hoefling_2024.traces import RATE, TRACES, Shown
from retina_nb.loaders.hub import ROOTS, dataset_folder
from retina_nb.loaders.unzip import is_unpacked, unpacked
from retina_nb.recording import Recording
from retina_nb.stimuli import baden

CARD = DatasetCard(
    summary="3144 mouse ganglion cells of 67 fields, 9 min of natural movie and 3 repeats of 25 s; chirp, moving bars",
    species="mouse",
    rate=RATE,
    pixel_um=50.0,
    stimulus="natural movie in green and UV, 18 x 16 pixels of 50 µm or 72 x 64 of 12.5 µm",
    citation="Höfling et al. 2024, eLife 13:e86860, doi:10.7554/eLife.86860",
    cells=3144,
    size_mb=889.0,
)

STIMULI = ("natural", "chirp", "moving_bar")
RESOLUTIONS = ("low", "high")

_PIXEL_UM = {"low": 50.0, "high": 12.5}
_RESPONSES = "responses/rgc_natstim_2024-08-14.zip"
_MOVIES = {
    "low": "stimuli/rgc_natstim_18x16_joint_normalized_2024-01-11.zip",
    "high": "stimuli/rgc_natstim_72x64_joint_normalized_2024-10-11.zip",
}
_log = logging.getLogger(__name__)


def wanted(*, stimulus: str = "natural", resolution: str = "low", **_: Any) -> list[str]:
    """What `load` reads, as `dataset_folder` takes it."""
    for name, value, known in (("stimulus", stimulus, STIMULI), ("resolution", resolution, RESOLUTIONS)):
        if value not in known:
            raise unknown(f"{name} of hoefling_2024", value, known)
    return [_RESPONSES, *([_MOVIES[resolution]] if stimulus == "natural" else [])]


def load(
    *,
    data_dir: str | Path | None = None,
    stimulus: str = "natural",
    resolution: str = "low",
    trace: str = "spikes",
    sessions: Sequence[str] | None = None,
    cell_types: Sequence[int] | None = GANGLION_CELLS,
    d_qi: float = 0.6,
    chirp_qi: float = 0.35,
    both_qualities: bool = False,
    confidence: float = 0.25,
    min_neurons: int = 1,
    validation_clips: Sequence[int] = VALIDATION_CLIPS,
    drop_unusable: bool = False,
) -> dict[str, Recording]:
    """Load one recording for each session of which cells are left.

    Chirp and bars are those of `retina_nb.stimuli.baden`, in units of contrast and not of the movie, and are repeats of
    ``"chirp"`` and ``"moving_bar"``; sessions that did not see them are left out. A recording's ``about["dropped"]``
    has the ``roi_ids`` of the cells that were left out, by reason.

    Args:
        data_dir: folder of the published files, see `dataset_folder`. The responses are found there by what they
            hold, in the folder itself or in ``responses``: openretina's subset of the natural movie will do.
        stimulus: one of `STIMULI`.
        resolution: one of `RESOLUTIONS`.
        trace: inferred ``"spikes"``, or the ``"raw"``, ``"preprocessed"`` or ``"detrended"`` fluorescence, in units of
            the cell's own standard deviation.
        sessions: names of the sessions, e.g. ``["session_1_ventral1_20200226"]``; by default all.
        cell_types: groups of Baden et al. 2016, from 1 to 46, to which a cell may belong; by default ganglion cells.
            None for all.
        d_qi: least quality of the responses to moving bars.
        chirp_qi: least quality of the responses to the chirp.
        both_qualities: whether a cell needs both qualities, or one of them.
        confidence: least confidence of the classifier in the cell's group.
        min_neurons: sessions of which fewer cells are left are left out.
        validation_clips: numbers of the training clips, from 0 to 107, that are for validation.
        drop_unusable: whether a cell whose trace is constant or not finite is left out, or an error.

    Raises:
        UserError: if a setting is not possible, no cell is left, or a file is missing, damaged or of another dataset.
    """
    criteria = Filter(cell_types, d_qi, chirp_qi, both_qualities, confidence)
    names = wanted(stimulus=stimulus, resolution=resolution)
    if trace not in TRACES:
        raise unknown("trace of hoefling_2024", trace, TRACES)
    responses = _own_responses(data_dir)
    folder = dataset_folder("hoefling_2024", data_dir, names if responses is None else names[1:])
    screen = _screen(stimulus, resolution, [folder / name for name in names[1:]], validation_clips)
    recordings: dict[str, Recording] = {}
    dropped: Counter[str] = Counter()
    seen = 0
    responses = responses or _content(folder / _RESPONSES, ".h5")
    with h5.open_h5(responses) as file:
        for session in choose(h5.keys(file), sessions, "hoefling_2024"):
            group = h5.group(file, session)
            if sessions is None and stimulus != "natural" and not _saw(group, screen.shown):
                continue
            seen += 1
            kept, why = read_session(group, screen, criteria, trace, _PIXEL_UM[resolution], drop_unusable)
            dropped.update({reason: len(rois) for reason, rois in why.items()})
            if kept is not None and kept.n_neurons >= min_neurons:
                recordings[session] = kept
            elif kept is not None:
                dropped["small session"] += kept.n_neurons
    n = sum(recording.n_neurons for recording in recordings.values())
    account = ", ".join(f"{count} for {reason}" for reason, count in dropped.items() if count) or "none"
    if not seen:
        raise UserError(f"hoefling_2024: no session of {responses} saw the stimulus {stimulus}; get the whole file")
    if not recordings:
        raise UserError(f"hoefling_2024: no cell is left, dropped were {account}; loosen the filters")
    _log.info("hoefling_2024: %d cells of %d sessions; dropped were %s", n, len(recordings), account)
    return recordings


def _own_responses(data_dir: str | Path | None) -> Path | None:
    """The user's file of responses under a name of its own; None where the published one is there, or none is.

    Raises:
        UserError: if there are several.
    """
    for named in user_folders("hoefling_2024", data_dir):
        itself = [named] if data_dir is not None else []
        for place in (*itself, named / "hoefling_2024", named / ROOTS["hoefling_2024"]):
            published = place / _RESPONSES
            if published.exists() or is_unpacked(published):
                return None
            files = sorted(file for folder in (place, published.parent) for file in folder.glob("*.h*5"))
            found = [file for file in files if _has_responses(file)]
            if len(found) > 1:
                both = ", ".join(str(file) for file in found)
                raise UserError(f"hoefling_2024: there are several files of responses, {both}; leave one there")
            if found:
                return found[0]
    return None


def _has_responses(file: Path) -> bool:
    """Whether a file holds sessions of this dataset."""
    try:
        with h5.open_h5(file) as opened:
            groups = [group for key in h5.keys(opened)[:1] if isinstance(group := opened[key], h5py.Group)]
            return any({"group_assignment", "natural_trigger_times"} <= set(h5.keys(group)) for group in groups)
    except (UserError, KeyError, OSError):
        return False


def _screen(stimulus: str, resolution: str, files: list[Path], validation_clips: Sequence[int]) -> Screen:
    for clip in validation_clips:
        if not (isinstance(clip, int | np.integer) and 0 <= clip < TRAIN_CLIPS):
            raise UserError(f"hoefling_2024: validation_clips are numbers from 0 to {TRAIN_CLIPS - 1}, not {clip!r}")
    if stimulus == "natural":
        movie, orders = read_movie(_content(files[0], ".pkl", ".pickle"))
        return NaturalMovie(movie, orders, validation_clips)
    finer = round(_PIXEL_UM["low"] / _PIXEL_UM[resolution])
    size = (18 * finer, 16 * finer)
    if stimulus == "chirp":
        return Repeated("chirp", baden.chirp(size), Shown("chirp", 32.98999999, baden.CHIRP_FRAMES, every=2))
    return Repeated("moving_bar", baden.moving_bars(size, pixels=finer), Shown("mb", 4.054001, baden.BAR_FRAMES))


def _saw(group: h5py.Group, shown: Shown) -> bool:
    return f"{shown.prefix}_trigger_times" in h5.keys(group)


def _content(archive: Path, *suffixes: str) -> Path:
    """The one file of this kind in an archive."""
    content = unpacked(archive)
    files = [path for path in content.rglob("*") if path.suffix in suffixes] if content.is_dir() else [content]
    if len(files) != 1:
        raise UserError(f"{content} must have one file {' or '.join(suffixes)}, it has {len(files)}; get it again")
    return files[0]
