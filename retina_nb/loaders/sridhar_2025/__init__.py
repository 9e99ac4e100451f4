"""Marmoset ganglion cells under a film with simulated eye movements and white noise (Sridhar et al. 2025).

Four pieces of retina on multielectrode arrays, 85 bins a second: running trials, never the same, and trials of a
frozen stimulus. The film is Tears of Steel in grey levels, seen from where a simulated gaze was: what was on screen is
made from its images and a list of fixations where it is looked at, and not kept. Each retina has its own list
(openretina 1.1.1 reads that of the first for all).

How trials followed one another is not published, so each starts with an onset.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from retina_nb.errors import UserError, unknown
from retina_nb.files import expand_path
from retina_nb.loaders import DatasetCard
from retina_nb.loaders.sridhar_2025 import natural_movie, white_noise
from retina_nb.loaders.sridhar_2025.cells import UNRELIABLE
from retina_nb.loaders.sridhar_2025.retinas import Retina, read_retina, sta_peaks, trial_split
from retina_nb.loaders.timelines import alternating
from retina_nb.recording import Movie, Recording

CARD = DatasetCard(
    summary="marmoset ganglion cells of 4 retinas: a film with simulated eye movements, or white noise",
    species="marmoset",
    rate=85.0,
    pixel_um=30.0,
    stimulus="Tears of Steel seen by a moving gaze, or a binary checkerboard; 80 x 90 pixels",
    citation="Sridhar et al. 2025, bioRxiv 2024.03.05.583449",
    cells=1156,
)

STIMULI = ("natural_movie", "whitenoise")

_ENDINGS = {"natural_movie": "_fixation_movie.pkl", "whitenoise": "_wn.pkl"}
_FOLDERS = {
    "natural_movie": ("responses", "fixations", natural_movie.IMAGES),
    "whitenoise": ("responses", "non_repeating_stimuli_*", "repeating_stimuli_*"),
}
# What a retina saw: the movie, and its frames in each running trial (trial, time) and in each frozen one (test_time,).
_Shown = tuple[Movie, np.ndarray, np.ndarray]


def load(
    *,
    data_dir: str | Path | None = None,
    stimulus: str = "natural_movie",
    retinas: Sequence[str] | None = None,
    excluded_cells: Mapping[str, Sequence[int]] | None = None,
    stimulus_seed: int | None = None,
    train_fraction: float = 0.8,
    seed: int = 1000,
    crop: Sequence[int] = (35, 35, 55, 55),
    view: Sequence[int] = (150, 200),
    padding: int = 50,
    locations: bool = True,
) -> dict[str, Recording]:
    """Load one recording for each retina.

    Whole trials are for training or validation. The frozen trials are the repeats of ``"test"``; of retina 01 the
    first ten, because it saw another stimulus later. Grey levels of the film are divided by the largest, 255; the
    noise is as published.

    Args:
        data_dir: folder of the published files, see `dataset_folder`; or the folder of the stimulus.
        stimulus: ``"natural_movie"`` or ``"whitenoise"``.
        retinas: which retinas; by default all that the stimulus was shown to.
        excluded_cells: numbers of the cells to leave out by retina; by default those that respond unreliably, as the
            authors have them. ``{}`` keeps all.
        stimulus_seed: use only trials of this seed (2022 or 2023), where they are told apart. Retina 01 then has no
            test trials with seed 2023, because the test movie that they showed is not published.
        train_fraction: part of the running trials that is for training.
        seed: which trials.
        crop: pixels cut off the stimulus at the top, bottom, left and right.
        view: height and width of what the film shows around the gaze, before the crop.
        padding: pixels around an image of the film.
        locations: whether to read where the STA of each cell peaks, in pixels of the movie, into the properties
            ``sta_row`` and ``sta_column``. The STAs are large.

    Raises:
        UserError: if a setting, retina or cell does not exist, or a file is missing, damaged or of another kind.
    """
    if stimulus not in STIMULI:
        raise unknown("stimulus of sridhar_2025", stimulus, STIMULI)
    top, bottom, left, right = _whole_numbers("crop", crop, 4, 0)
    height, width = _whole_numbers("view", view, 2, 1)
    edges, sizes = (top, bottom, left, right), {"view": (height, width), "padding": padding}
    _whole_numbers("padding", (padding,), 1, 0)
    folder = _folder(data_dir, stimulus, locations)
    files = _responses(folder, stimulus)
    excluded = UNRELIABLE if excluded_cells is None else excluded_cells
    for name in [*(retinas or ()), *(excluded_cells or ())]:
        if name not in files:
            raise unknown(f"retina of {folder}", name, files)
    movies: dict[Any, Any] = {}  # retinas that saw the same share a movie

    recordings = {}
    for name in retinas or files:
        retina = read_retina(files[name], name, excluded.get(name, ()), stimulus_seed)
        if stimulus == "natural_movie":
            movie, running, frozen = _film(folder, retina, movies, crop=edges, **sizes)
        else:
            movie, running, frozen = _noise(folder, retina, movies, edges)
        labels = trial_split(retina.trials, train_fraction, seed)
        neurons = {"cell": retina.cells}
        if locations:
            upside_down = stimulus == "natural_movie"
            neurons |= sta_peaks(_part(folder, "stas"), retina, edges, movie.frame_shape[1:], upside_down=upside_down)
        recordings[name] = Recording(
            session=name,
            movie=movie,
            rate=CARD.rate,
            pixel_um=CARD.pixel_um,
            neurons=neurons,
            **vars(alternating(retina.running, running, labels[:, None], retina.frozen, frozen)),
        )
    return recordings


def wanted(*, stimulus: str = "natural_movie", locations: bool = True, **_: Any) -> list[str]:
    """The published files of these settings of `load`: folders, or zips of them."""
    parts = (*_FOLDERS[stimulus], *(["stas"] if locations else []))
    return [f"marmoset/{stimulus}/{part.removesuffix('*')}*" for part in parts]


def _film(folder: Path, retina: Retina, movies: dict[Any, Any], **settings: Any) -> _Shown:
    fixations = _part(folder, "fixations") / natural_movie.FIXATIONS.get(retina.name, natural_movie.BOTH_SEEDS)
    if fixations not in movies:
        images = _part(folder, natural_movie.IMAGES)
        movies[fixations] = natural_movie.natural_movie(fixations, images, **settings)
    movie, lines = movies[fixations]
    return movie, *natural_movie.shown(retina, lines, fixations)


def _noise(folder: Path, retina: Retina, movies: dict[Any, Any], crop: tuple[int, int, int, int]) -> _Shown:
    running, frozen = (_part(folder, name) for name in white_noise.folders(retina.name))
    if running not in movies:
        movies[running] = white_noise.noise_movie(running, frozen, crop)
    movie, starts = movies[running]
    return movie, *white_noise.shown(retina, starts, running)


def _responses(folder: Path, stimulus: str) -> dict[str, Path]:
    """The file of each retina."""
    start, ending = "cell_responses_", _ENDINGS[stimulus]
    responses = _part(folder, "responses")
    files = sorted(responses.glob(f"{start}*{ending}"))
    found = {path.name.removeprefix(start).removesuffix(ending): path for path in files}
    if not found:
        raise UserError(f"sridhar_2025: {responses} has no {start}*{ending}; is it the folder of {stimulus}?")
    return found


def _folder(data_dir: str | Path | None, stimulus: str, locations: bool) -> Path:
    """The folder that has the responses to a stimulus."""
    if data_dir is not None:
        given = expand_path(data_dir)
        places = [given, given / stimulus] if given.name != stimulus else [given]
        for place in places:
            if (place / "responses").is_dir() and any((place / "responses").glob(f"*{_ENDINGS[stimulus]}")):
                return place
    from retina_nb.loaders.hub import dataset_folder

    files = wanted(stimulus=stimulus, locations=locations)
    return dataset_folder("sridhar_2025", data_dir, files) / "marmoset" / stimulus


def _part(folder: Path, name: str) -> Path:
    """A folder of the dataset, unpacked if there is only its zip."""
    if (folder / name).is_dir() or not (folder / f"{name}.zip").exists():
        return folder / name
    from retina_nb.loaders.unzip import unpacked

    return unpacked(folder / f"{name}.zip")


def _whole_numbers(name: str, values: Sequence[int], n: int, least: int) -> tuple[int, ...]:
    numbers = tuple(values)
    if len(numbers) != n or not all(isinstance(one, int) and one >= least for one in numbers):
        raise UserError(f"sridhar_2025: {name} must be {n} whole numbers of at least {least}, not {values}")
    return numbers
