"""The natural movie, and the orders in which sessions saw its clips."""

from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Int64

from retina_nb.errors import UserError
from retina_nb.loaders.joined import JoinedFrames
from retina_nb.pickles import load_pickle
from retina_nb.recording import Movie

CLIP = 150  # frames
TRAIN_CLIPS, TEST_CLIPS = 108, 5
CLIPS_SHOWN = 123

# The clips that are shown at the start, in the middle and at the end of every session, by when they are shown.
TEST_SHOWN = np.array([range(5), range(59, 64), range(118, 123)])

VALIDATION_CLIPS = (0, 4, 10, 11, 18, 30, 45, 62, 67, 77, 79, 80, 81, 83, 95)

Orders = Int64[np.ndarray, "108 order"]


def read_movie(path: Path) -> tuple[Movie, Orders]:
    """The movie, of the training clips by number and then the test clips, and the orders of the training clips.

    It is read once and not copied. Its pixels are as published: normalised by one mean and standard deviation, which
    are not in all files, and are NaN then.

    Raises:
        UserError: if the file is damaged, asks for more than data, or is not such a movie.
    """
    content = load_pickle(path)
    if not isinstance(content, dict):
        raise UserError(f"{path} is not the movie of hoefling_2024 but a {type(content).__name__}; get it again")
    train = _frames(content, "train", TRAIN_CLIPS, path)
    test = _frames(content, "test", TEST_CLIPS, path)
    if (train.shape[0], *train.shape[2:]) != (test.shape[0], *test.shape[2:]):
        raise UserError(f"{path}: train and test are not alike, {train.shape} and {test.shape}; get it again")
    mean, std = _statistics(content, path)
    channels = ("green", "UV") if len(train) == 2 else ()
    return Movie(JoinedFrames([train, test]), mean=mean, std=std, channels=channels), _orders(content, path)


def _frames(content: dict[str, Any], key: str, clips: int, path: Path) -> np.ndarray:
    frames = content.get(key)
    if not (
        isinstance(frames, np.ndarray) and frames.dtype.kind in "fiu" and frames.ndim == 4 and 0 not in frames.shape
    ):
        what = f"{frames.dtype} {frames.shape}" if isinstance(frames, np.ndarray) else type(frames).__name__
        raise UserError(
            f"{path}: {key} must be numbers (channel, frame, height, width), not {what}; is it the movie of "
            "hoefling_2024?"
        )
    if frames.shape[1] != clips * CLIP:
        raise UserError(
            f"{path}: {key} has {frames.shape[1]} frames, {clips} clips of {CLIP} are expected; get the file again"
        )
    if not np.isfinite(frames.sum(dtype=np.float64)):  # without a copy
        raise UserError(f"{path}: {key} has pixels that are not finite; get the file again")
    return frames.astype(np.float32, copy=False)


def _statistics(content: dict[str, Any], path: Path) -> tuple[float, float]:
    """Mean and standard deviation of the grey levels, if the file tells, else NaN."""
    try:
        known = content.get("movie_stats", {}).get("dichromatic", {})
        mean, std = (float(np.asarray(known.get(name, np.nan)).item()) for name in ("mean", "sd"))
        if np.isinf([mean, std]).any() or std <= 0:
            raise ValueError
    except (AttributeError, TypeError, ValueError):
        raise UserError(
            f"{path}: movie_stats must have one finite mean and sd > 0 of dichromatic; get the file again"
        ) from None
    return mean, std


def _orders(content: dict[str, Any], path: Path) -> Orders:
    orders = content.get("random_sequences")
    each = np.arange(TRAIN_CLIPS)[:, None]
    if (
        not isinstance(orders, np.ndarray)
        or orders.dtype.kind not in "iu"
        or orders.ndim != 2
        or orders.shape[0] != TRAIN_CLIPS
        or (np.sort(orders, axis=0) != each).any()
    ):
        raise UserError(
            f"{path}: random_sequences must have the {TRAIN_CLIPS} training clips in each of its columns, in the order "
            "in which they were shown; get the file again"
        )
    return orders.astype(np.int64)
