"""The timeline of an experiment that alternates running stimuli, never the same, with a frozen one."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32, Int64, Real


@dataclass(frozen=True)
class Timeline:
    """What a `Recording` needs of its bins: ``Recording(..., **vars(timeline))``."""

    responses: Float32[np.ndarray, "time neuron"]
    frames: Int64[np.ndarray, " time"]
    split: np.ndarray
    repeats: dict[str, np.ndarray]
    onsets: Int64[np.ndarray, " presentation"]


def alternating(
    running: Real[np.ndarray, "block time neuron"],
    running_frames: Int64[np.ndarray, "block time"],
    labels: np.ndarray,
    frozen: Real[np.ndarray, "trial test_time neuron"],
    frozen_frames: Int64[np.ndarray, " test_time"],
    *,
    joined: bool = False,
) -> Timeline:
    """Each block of the running stimulus followed by a trial of the frozen one, then those that are left over.

    Args:
        running: responses to every block of the running stimulus.
        running_frames: the movie frames that were shown meanwhile.
        labels: (block, time) or (block, 1) ``"train"`` or ``"validation"``.
        frozen: responses to every trial of the frozen stimulus, which are the repeats of ``"test"``; there may be none.
        frozen_frames: the movie frames that were shown in each trial.
        joined: whether blocks and trials are known to have followed one another without a break. If not, or if
            there are not as many blocks as trials, each is a presentation whose history is not known.
    """
    blocks, trials, length, test_length = len(running), len(frozen), running.shape[1], frozen.shape[1]
    paired = min(blocks, trials)
    order = [*np.tile([False, True], paired), *np.full(blocks - paired, False), *np.full(trials - paired, True)]
    is_trial = np.array(order, dtype=bool)  # (presentation,)
    starts = np.cumsum([0, *np.where(is_trial, test_length, length)])[:-1]
    running_bins = starts[~is_trial, None] + np.arange(length)
    frozen_bins = starts[is_trial, None] + np.arange(test_length)

    time = running_bins.size + frozen_bins.size
    responses = np.empty((time, running.shape[2]), dtype=np.float32)
    frames, split = np.empty(time, dtype=np.int64), np.full(time, "test", dtype="<U10")
    with np.errstate(over="ignore"):  # what is too large for float32 becomes infinite, and a recording refuses it
        responses[running_bins], responses[frozen_bins] = running, frozen
    frames[running_bins], frames[frozen_bins] = running_frames, frozen_frames
    split[running_bins] = labels
    onsets = starts[:1] if joined and blocks == trials else starts
    return Timeline(responses, frames, split, {"test": frozen_bins} if trials else {}, onsets)
