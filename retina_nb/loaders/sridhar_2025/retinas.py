"""Responses of a retina, and where the receptive fields of its cells are."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float32, Int64

from retina_nb.errors import UserError, unknown
from retina_nb.loaders.npy import open_npy
from retina_nb.pickles import load_pickle

# In the film the end of trial 9 repeats the start of trial 0, and that of trial 19 the start of trial 10.
_ALIKE = ((0, 9), (10, 19))
# Retina 01 saw another test movie in its later trials, those of seed 2023. It is not known which.
_SAME_TEST = {"01": 10}
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Retina:
    """Responses of the cells of a retina.

    Args:
        name: ``"01"`` to ``"04"``.
        running: (trial, time, neuron) to running stimuli.
        trials: the published number of each of these trials, which tells what was shown.
        frozen: (trial, time, neuron) to the frozen stimulus; one trial if only the average is published, none if no
            trial showed the one that is published.
        cells: the published number of each cell.
    """

    name: str
    running: Float32[np.ndarray, "trial time neuron"]
    trials: Int64[np.ndarray, " trial"]
    frozen: Float32[np.ndarray, "test_trial test_time neuron"]
    cells: Int64[np.ndarray, " neuron"]


def read_retina(path: Path, name: str, excluded: Sequence[int], stimulus_seed: int | None) -> Retina:
    """Read the responses of a retina.

    Args:
        path: the pickle.
        name: which retina.
        excluded: numbers of the cells that are left out.
        stimulus_seed: keep only trials of this seed, where the file tells them apart. Trials of the frozen stimulus are
            left out, with a warning, where they showed another one than the published.

    Raises:
        UserError: if the file is missing, damaged or of another kind, a cell or seed does not exist, or no cell is
            left.
    """
    content = load_pickle(path)
    if not isinstance(content, dict):
        raise UserError(f"{path} must hold a dictionary, it holds {type(content).__name__}; is it of another dataset?")
    running = _responses(content, "train_responses", path)
    frozen = _responses(content, "test_responses", path)
    if running.ndim != 3 or len(running) != len(frozen):
        raise UserError(
            f"{path}: train_responses must be (cell, time, trial) and of the cells of test_responses, not "
            f"{running.shape} with {frozen.shape}; is the file damaged?"
        )
    for key, responses in (("train_responses", running), ("test_responses", frozen)):
        if responses.ndim == 3 and responses.shape[1] < responses.shape[2]:
            raise UserError(
                f"{path}: {key} must be (cell, time, trial), but {responses.shape} would be more trials than bins; are "
                "its axes swapped?"
            )
    frozen = frozen[..., None] if frozen.ndim == 2 else frozen
    trials = np.arange(running.shape[2])
    told_apart = "seeds" in content or "trial_separation" in content
    test_trials = np.arange(frozen.shape[2])
    if stimulus_seed is not None and told_apart:
        trials = test_trials = _trials_of(content, stimulus_seed, path)
    if told_apart and name in _SAME_TEST:
        same = test_trials < _SAME_TEST[name]
        if stimulus_seed is not None and not same.all():
            _log.warning(
                "sridhar_2025: trials of the test movie that retina %s saw with seed %d are left out: it was not the "
                "published one",
                name,
                stimulus_seed,
            )
        test_trials = test_trials[same]
    if trials.max() >= running.shape[2] or (test_trials >= frozen.shape[2]).any():
        raise UserError(
            f"{path}: trial_separation has trial {trials.max()}, train_responses {running.shape[2]} trials and "
            f"test_responses {frozen.shape[2]}; is the file damaged?"
        )
    cells = _kept(len(running), excluded, path)
    return Retina(
        name,
        _picked(running, cells, trials),
        trials,
        _picked(frozen, cells, test_trials),
        cells,
    )


def trial_split(trials: Int64[np.ndarray, " trial"], train_fraction: float, seed: int) -> np.ndarray:
    """(trial,) ``"train"`` or ``"validation"``: drawn at random, until trials that share a part of their movie agree.

    Args:
        trials: the published number of each trial.
        train_fraction: part that is for training, rounded down to whole trials.
        seed: fixes the draw.

    Raises:
        UserError: if a fraction or seed is not possible, or no trial would be for training.
    """
    n = len(trials)
    if not 0 < train_fraction <= 1 or not 0 <= seed < 2**32 or int(n * train_fraction) < 1:
        raise UserError(
            f"sridhar_2025: train_fraction must be above 0 and at most 1, leave one of {n} trials, and the seed be at "
            f"least 0, not {train_fraction} and {seed}"
        )
    rng = np.random.RandomState(seed)  # the generator of openretina, without its global state
    places = {int(trial): place for place, trial in enumerate(trials)}
    pairs = [(places[a], places[b]) for a, b in _ALIKE if a in places and b in places]
    while True:
        train = np.isin(np.arange(n), rng.permutation(n)[: int(n * train_fraction)])
        if all(train[a] == train[b] for a, b in pairs):
            return np.where(train, "train", "validation")


def sta_peaks(
    folder: Path, retina: Retina, crop: tuple[int, int, int, int], size: Sequence[int], *, upside_down: bool
) -> dict[str, Int64[np.ndarray, " neuron"]]:
    """Where the published STA of each cell varies most over time, in pixels of the cropped movie.

    Args:
        folder: the folder of the STAs, each (time, height, width).
        retina: the retina.
        crop: pixels cut off at the top, bottom, left and right.
        size: height and width of the movie, without these.
        upside_down: whether the rows of the movie are those of the white noise in reverse.

    Raises:
        UserError: if a file is missing, damaged or of another kind.
    """
    peaks = []
    for cell in retina.cells:
        path = folder / f"cell_data_{retina.name}_WN_stas_cell_{cell}.npy"
        sta = load_array(path, "lag height width")
        seen = cropped(sta[:, ::-1] if upside_down else sta, crop, path)
        if seen.shape[1:] != tuple(size):
            raise UserError(
                f"{path} must be (time, height, width), and {size[0]} x {size[1]} pixels after the crop {crop} as the "
                f"movie, not {seen.shape[1:]}; get it again, or leave it out with locations=False"
            )
        with np.errstate(over="ignore", invalid="ignore"):
            variance = seen.var(axis=0)
        if not np.isfinite(variance).all():
            raise UserError(f"{path} has numbers of no sensible size; get it again")
        peaks.append(np.unravel_index(variance.argmax(), variance.shape))
    rows, columns = np.array(peaks, dtype=np.int64).T
    return {"sta_row": rows, "sta_column": columns}


def load_array(path: Path, axes: str) -> np.ndarray:
    """Read a ``.npy`` file of finite numbers into memory.

    Args:
        path: the file.
        axes: the names of its axes.

    Raises:
        UserError: if it is missing, damaged, empty, of another kind or not finite.
    """
    array = np.array(open_npy(path, axes))
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        raise UserError(f"{path} has numbers that are not finite; get it again")
    return array


def cropped(frames: np.ndarray, crop: tuple[int, int, int, int], what: object) -> np.ndarray:
    """Frames (..., height, width) without some pixels at the top, bottom, left and right.

    Raises:
        UserError: if nothing is left of `what`.
    """
    top, bottom, left, right = crop
    height, width = frames.shape[-2:]
    if top + bottom >= height or left + right >= width:
        raise UserError(f"nothing is left of {what}, {height} x {width} pixels, after the crop {crop}; crop less")
    return frames[..., top : height - bottom, left : width - right]


def _responses(content: dict, key: str, path: Path) -> np.ndarray:
    if key not in content:
        there = ", ".join(map(str, content)) or "nothing"
        raise UserError(f"{path}: {key} is missing, there is {there[:200]}; is the file of another dataset?")
    array = content[key]
    if not isinstance(array, np.ndarray) or array.dtype.kind not in "fiu" or array.ndim not in (2, 3) or not array.size:
        found = f"{array.dtype} {array.shape}" if isinstance(array, np.ndarray) else type(array).__name__
        raise UserError(f"{path}: {key} must be numbers (cell, time, trial), not {found}; is the file damaged?")
    if not np.isfinite(array).all():
        cell = int(np.argwhere(~np.isfinite(array))[0][0])
        raise UserError(
            f"{path}: {key} of cell {cell} has numbers that are not finite; exclude the cell or mend the file"
        )
    return array


def _picked(responses: np.ndarray, cells: np.ndarray, trials: np.ndarray) -> Float32[np.ndarray, "trial time neuron"]:
    picked = np.empty((len(trials), responses.shape[1], len(cells)), dtype=np.float32)
    with np.errstate(over="ignore"):  # what is too large for float32 becomes infinite, and a recording refuses it
        for position, trial in enumerate(trials):
            picked[position] = responses[cells, :, trial].T
    return picked


def _trials_of(content: dict, seed: int, path: Path) -> np.ndarray:
    separation: Any = content.get("trial_separation")
    if not isinstance(separation, dict) or not separation:
        raise UserError(f"{path}: trial_separation is missing, or not a dictionary; is the file damaged?")
    if seed not in separation:
        raise unknown(f"stimulus seed of {path}", str(seed), map(str, separation))
    trials = np.asarray(separation[seed])
    numbers = trials.dtype.kind in "iu" and trials.ndim == 1 and len(trials) > 0
    if not numbers or trials.min() < 0 or len(np.unique(trials)) < len(trials):
        raise UserError(f"{path}: trial_separation[{seed}] must be a list of distinct trials; is the file damaged?")
    return trials.astype(np.int64)


def _kept(n: int, excluded: Sequence[int], path: Path) -> np.ndarray:
    wrong = [cell for cell in excluded if not 0 <= cell < n]
    if wrong:
        raise UserError(
            f"{path}: there is no cell {wrong[0]} to exclude, the cells are 0 to {n - 1}; set excluded_cells"
        )
    cells = np.setdiff1d(np.arange(n), np.asarray(excluded, dtype=np.int64))
    if not len(cells):
        raise UserError(f"{path}: all {n} cells are excluded; set excluded_cells")
    return cells
