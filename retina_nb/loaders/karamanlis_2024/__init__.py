"""Mouse and marmoset ganglion cells under natural movies (Karamanlis et al. 2024, Nature 637:422).

A session is a retina, or a piece of one, on a multielectrode array; there is a file for each stimulus:

- ``"fixationmovie"``: photographs moved along recorded gazes. The frames are drawn where they are looked at, as the
  authors' ``returnFixMovie.m`` draws them (github.com/dimokaramanlis/subunit_grid_model).
- ``"frozencheckerflicker"``: binary white noise, made again from the seeds in the file.
- ``"imagesequence"``: flashed photographs; each bin is a flash.
- ``"gratingflicker"``: flickering gratings. The file has their parameters and how exactly they were drawn is not
  known: refused, unless a file has the layout of the natural movie.

Only the layout of the first was checked against another reader (openretina 1.1.1); it is read under any stimulus's
name, as openretina does. Those of noise and flashes are taken from the authors' MATLAB code and from programs that
others have run on the published files, not from these files themselves.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from retina_nb.errors import UserError, unknown
from retina_nb.files import expand_path
from retina_nb.loaders import DatasetCard, h5
from retina_nb.loaders.karamanlis_2024 import checker_flicker, fixation_movie, image_sequence
from retina_nb.loaders.karamanlis_2024.fixation_movie import Clips
from retina_nb.loaders.karamanlis_2024.sessions import REFRESH, Session, find_sessions, has_sessions
from retina_nb.recording import Recording

CARD = DatasetCard(
    summary="mouse and marmoset ganglion cells: gaze-driven natural movies, white noise and flashed photographs",
    species="mouse, marmoset",
    rate=75.0,
    pixel_um=75.0,
    stimulus="photographs moved along recorded gazes, 60 x 80 pixels; binary checkerboard; flashed photographs",
    citation="Karamanlis et al. 2024, Nature 637:422, doi:10.1038/s41586-024-08212-3, data doi:10.12751/g-node.ejk8kx",
    cells=1842,
)

STIMULI = ("fixationmovie", "frozencheckerflicker", "gratingflicker", "imagesequence")


def load(
    *,
    data_dir: str | Path | None = None,
    species: str = "mouse",
    stimulus: str = "fixationmovie",
    sessions: Sequence[str] | None = None,
    size: Sequence[int] = (60, 80),
    clip_length: int = 75,
    n_validation_clips: int = 20,
    seed: int = 42,
    openretina_edges: bool = False,
) -> dict[str, Recording]:
    """Load the sessions of a species in which a stimulus was shown.

    A recording has the blocks of the running stimulus, each followed by a trial of the frozen one, which are the
    repeats of ``"test"``. Whether they followed one another without a break is known for the white noise only;
    elsewhere each starts with an onset. Movies are normalised by the mean and the standard deviation of the running
    part (white noise is -1 and 1). For flashes, a tenth of the photographs is for testing and a tenth for
    validation, and artificial images are not used.

    Args:
        data_dir: folder of the published files, see `dataset_folder`; or the folder of the sessions, the folder of
            one session, or its zip. Nothing is written there.
        species: ``"mouse"`` or ``"marmoset"``.
        stimulus: one of `STIMULI`.
        sessions: names of sessions; by default all that have the stimulus.
        size: height and width in pixels to which the screen of 600 x 800 is made smaller. White noise is given in
            stixels whatever the size.
        clip_length: bins of a clip.
        n_validation_clips: how many clips of the running blocks, laid end to end, are for validation.
        seed: which clips, or which flashed photographs.
        openretina_edges: draw natural movies with the slip of openretina 1.1.1, in which the row and the column of
            the screen just before an image's first ones show its last ones. It matters where an image ends on screen.

    Raises:
        UserError: if a setting or session does not exist, or a file is missing, damaged or of another kind.
    """
    height, width = _check(species, stimulus, size)
    folder = _folder(data_dir, wanted(species=species, sessions=sessions))
    clips = Clips(clip_length, n_validation_clips, seed)
    return {
        session.name: _recording(session, stimulus, (height, width), clips, openretina_edges)
        for session in find_sessions(folder, species, stimulus, sessions)
    }


def wanted(*, species: str = "mouse", sessions: Sequence[str] | None = None, **_: Any) -> list[str]:
    """The published files of these settings of `load`: folders or zips of sessions."""
    return [f"sessions/*{species}*"] if sessions is None else [f"sessions/{name}*" for name in sessions]


def _recording(
    session: Session, stimulus: str, size: tuple[int, int], clips: Clips, openretina_edges: bool
) -> Recording:
    """Read a file by what is in it: the layout of the natural movie goes under any name."""
    with h5.open_h5(session.path) as file:
        there = h5.keys(file)
    if stimulus == "fixationmovie" or set(fixation_movie.KEYS) <= set(there):
        return fixation_movie.recording(session, size, clips, openretina_edges=openretina_edges)
    if stimulus == "frozencheckerflicker":
        return checker_flicker.recording(session, clips)
    if stimulus == "imagesequence":
        return image_sequence.recording(session, size, clips.seed)
    raise UserError(
        f"{session.path}: flickering gratings cannot be loaded, because the file has their parameters but no frames, "
        f"and how exactly they were drawn is not known; choose one of {', '.join(STIMULI[:2] + STIMULI[3:])}"
    )


def _folder(data_dir: str | Path | None, files: Sequence[str]) -> Path:
    """The folder of the sessions, or the folder or zip of one."""
    if data_dir is not None:
        given = expand_path(data_dir)
        for place in (given, given / "sessions"):
            if has_sessions(place):
                return place
    from retina_nb.loaders.hub import dataset_folder

    return dataset_folder("karamanlis_2024", data_dir, files) / "sessions"


def _check(species: str, stimulus: str, size: Sequence[int]) -> tuple[int, int]:
    if species not in REFRESH:
        raise unknown("species of karamanlis_2024", species, REFRESH)
    if stimulus not in STIMULI:
        raise unknown("stimulus of karamanlis_2024", stimulus, STIMULI)
    sizes = tuple(size)
    if len(sizes) != 2 or not all(isinstance(n, int) and n >= 1 for n in sizes):
        raise UserError(f"karamanlis_2024: size must be a height and a width in pixels, not {size}")
    return sizes[0], sizes[1]
