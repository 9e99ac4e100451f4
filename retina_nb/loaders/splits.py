"""Which clips of a movie are for validation."""

from collections.abc import Sequence

import numpy as np

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
    if clip_length < 1 or n_clips < 0 or not 0 <= seed < 2**32:
        raise UserError(
            f"clip_length must be at least 1, the number of validation clips and the seed at least 0, "
            f"not {clip_length}, {n_clips} and {seed}"
        )
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
    clips = np.asarray(clips, dtype=np.int64)
    there = n_frames // clip_length
    if len(clips) and not (clips.min() >= 0 and clips.max() < there):
        wrong = clips[(clips < 0) | (clips >= there)][0]
        raise UserError(f"there is no validation clip {wrong}: {n_frames} frames are {there} clips of {clip_length}")
    return np.where(np.isin(np.arange(n_frames) // clip_length, clips), "validation", "train")
