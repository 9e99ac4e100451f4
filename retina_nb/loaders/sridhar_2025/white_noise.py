"""White noise: a file of frames for each running trial and one for the frozen trials, read where they are looked at."""

from functools import partial
from pathlib import Path

import numpy as np
from jaxtyping import Float32, Int64

from retina_nb.errors import UserError
from retina_nb.loaders.lazy import DrawnFrames
from retina_nb.loaders.npy import open_npy
from retina_nb.loaders.sridhar_2025.retinas import Retina, cropped
from retina_nb.recording import Movie

# The sequence that a retina saw.
SEQUENCE = {"04": 2}


def folders(retina: str) -> tuple[str, str]:
    """The names of the folders of the running and the frozen noise that a retina saw."""
    sequence = SEQUENCE.get(retina, 1)
    return f"non_repeating_stimuli_{sequence}", f"repeating_stimuli_{sequence}"


def noise_movie(
    running: Path, frozen: Path, crop: tuple[int, int, int, int]
) -> tuple[Movie, Int64[np.ndarray, " file"]]:
    """The movie of all files of a sequence, the frozen one last, without the pixels that are cropped.

    Returns:
        The movie, and the frame at which each file starts, and at which the last ends.

    Raises:
        UserError: if a file is missing, damaged or of another kind.
    """
    files = [*sorted(running.glob("trial_*/all_images.npy")), frozen / "all_images.npy"]
    if len(files) < 2:
        raise UserError(f"{running} has no trial_000/all_images.npy; get it again")
    arrays = [open_npy(file, "frame width height") for file in files]
    for file, array in zip(files, arrays, strict=True):
        if array.shape[:2] != arrays[0].shape[:2]:
            raise UserError(
                f"{file} has frames of {array.shape[:2]}, {files[0]} of {arrays[0].shape[:2]}; get it again"
            )
    starts = np.cumsum([0, *(array.shape[2] for array in arrays)])
    made = cropped(np.empty(arrays[0].shape[:2]), crop, files[0]).shape
    draw = partial(draw_frames, files=files, starts=starts, crop=crop)
    return Movie(DrawnFrames(draw, int(starts[-1]), *made), channels=("luminance",)), starts


def shown(
    retina: Retina, starts: Int64[np.ndarray, " file"], running: Path
) -> tuple[Int64[np.ndarray, "trial time"], Int64[np.ndarray, " test_time"]]:
    """Which frames of the movie a retina saw in its running trials and in each frozen one.

    Raises:
        UserError: if there are not enough trials or frames.
    """
    time, test_time = retina.running.shape[1], retina.frozen.shape[1]
    lengths = np.diff(starts)
    if retina.trials.max() >= len(lengths) - 1:
        raise UserError(
            f"{running} has {len(lengths) - 1} trials, the responses of retina {retina.name} need "
            f"{retina.trials.max() + 1}; get the missing folders"
        )
    if (lengths[retina.trials] < time).any() or lengths[-1] < test_time:
        raise UserError(
            f"{running} has trials of {lengths[:-1].min()} frames and {lengths[-1]} frozen ones, the responses of "
            f"retina {retina.name} have {time} and {test_time} bins; get it again"
        )
    return starts[retina.trials, None] + np.arange(time), starts[-2] + np.arange(test_time)


def draw_frames(
    numbers: Int64[np.ndarray, " n"],
    *,
    files: list[Path],
    starts: Int64[np.ndarray, " file"],
    crop: tuple[int, int, int, int],
) -> Float32[np.ndarray, "n height width"]:
    """Frames of several files, (height, width, frame) each, laid end to end.

    Args:
        numbers: which frames, ascending.
        files: the files.
        starts: the number of each file's first frame, and one more than that of the last file's last.
        crop: pixels cut off at the top, bottom, left and right.

    Raises:
        UserError: if a file was damaged meanwhile, or has a pixel that is not finite.
    """
    parts = [np.empty((0, *_size(files[0], crop)), dtype=np.float32)]
    for run in np.split(numbers, _breaks(numbers, starts)):
        if len(run):
            file = int(np.searchsorted(starts, run[0], side="right")) - 1
            array = open_npy(files[file], "frame width height")
            piece = array[..., run[0] - starts[file] : run[-1] - starts[file] + 1]
            with np.errstate(over="ignore", invalid="ignore"):
                parts.append(cropped(np.moveaxis(piece, -1, 0), crop, files[file]).astype(np.float32))
            if not np.isfinite(parts[-1]).all():
                raise UserError(f"{files[file]} has pixels that are not finite; get it again")
    return np.concatenate(parts)


def _breaks(numbers: np.ndarray, starts: np.ndarray) -> np.ndarray:
    """Where a run of successive frames of one file ends."""
    return np.flatnonzero((np.diff(numbers) > 1) | np.isin(numbers[1:], starts)) + 1


def _size(file: Path, crop: tuple[int, int, int, int]) -> tuple[int, ...]:
    array = open_npy(file, "frame width height")
    return cropped(array[..., 0], crop, file).shape
