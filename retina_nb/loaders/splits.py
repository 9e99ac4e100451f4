"""Which clips of a movie are for validation."""

from collections.abc import Sequence

import numpy as np

from retina_nb.arrays import as_array, as_count, as_integers
from retina_nb.errors import UserError


def validation_clips(
    n_frames: int, clip_length: int, n_clips: int, seed: int, *, where: str = "the movie"
) -> np.ndarray:
    """Draw clips at random, the same for the same seed and number of clips in the movie.

    Args:
        n_frames: frames of the movie; what is left after its last full clip belongs to no clip.
        clip_length: frames of a clip.
        n_clips: how many to draw.
        seed: fixes the draw.
        where: what to call the movie in an error.

    Returns:
        (n_clips,) numbers of the clips, in the order in which they were drawn.

    Raises:
        UserError: if the movie has fewer clips than `n_clips`, or a number is not possible.
    """
    n_frames, clip_length = _frames_and_length(n_frames, clip_length)
    n_clips = as_count(n_clips, "the number of validation clips")
    seed = as_count(seed, "the seed", most=2**32 - 1)
    there = n_frames // clip_length
    if n_clips > there:
        raise UserError(
            f"{where} has {n_frames} frames, that are {there} clips of {clip_length}, and {n_clips} are to be for "
            "validation; ask for fewer or shorter clips"
        )
    # The generator that openretina draws from, so that scores can be compared with those of its models.
    return np.random.RandomState(seed).choice(there, n_clips, replace=False)


def label_clips(n_frames: int, clip_length: int, clips: Sequence[int] | np.ndarray) -> np.ndarray:
    """(time,) the label of each frame: ``"validation"`` in these clips and ``"train"`` elsewhere.

    Raises:
        UserError: if the movie has no such clip.
    """
    n_frames, clip_length = _frames_and_length(n_frames, clip_length)
    clips = as_array(clips, "validation clips")
    clips = as_integers(clips, "validation clips", "(clip,)") if clips.size else np.zeros(0, dtype=np.int64)
    there = n_frames // clip_length
    if len(clips) and not (clips.min() >= 0 and clips.max() < there):
        wrong = clips[(clips < 0) | (clips >= there)][0]
        raise UserError(f"there is no validation clip {wrong}: {n_frames} frames are {there} clips of {clip_length}")
    return np.where(np.isin(np.arange(n_frames) // clip_length, clips), "validation", "train")


def training_labels(n_frames: int, clip_length: int, n_clips: int | None, seed: int, *, where: str) -> np.ndarray:
    """(time,) labels of frames for training, of which some clips, by default a tenth, are for validation.

    Args:
        n_frames, clip_length, n_clips, seed, where: see `validation_clips`.

    Raises:
        UserError: see `validation_clips`.
    """
    n_frames, clip_length = _frames_and_length(n_frames, clip_length)
    if n_clips is None:
        n_clips = -(-(n_frames // clip_length) // 10)
    return label_clips(n_frames, clip_length, validation_clips(n_frames, clip_length, n_clips, seed, where=where))


def _frames_and_length(n_frames: int, clip_length: int) -> tuple[int, int]:
    return as_count(n_frames, "the number of frames"), as_count(clip_length, "clip_length", least=1)
