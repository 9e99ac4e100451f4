"""Simulated recordings of the shape of Höfling's, and the same for openretina, through its own loaders."""

# mypy: disable-error-code="import-not-found"

import contextlib
import io
from collections.abc import Mapping
from typing import Any

import numpy as np

import retina_nb as rnb
from retina_nb.loaders.simulated.movies import CLIP_FRAMES
from retina_nb.recording import Recording

SHAPE = {"sessions": 20, "cells_per_session": 47, "orders": 4, "clips": 108, "repeats": 3}


def recordings() -> dict[str, Recording]:
    """20 sessions that saw one movie in 4 orders of its clips."""
    return rnb.load_recordings("simulated", **SHAPE)


def clips(recording: Recording) -> tuple[np.ndarray, np.ndarray]:
    """Bins of every training and validation clip, (clip, bin) in the order of the movie, and which are for validation.

    Every such clip was shown once.
    """
    bins = np.flatnonzero(recording.split != "test").reshape(-1, CLIP_FRAMES)
    bins = bins[np.argsort(recording.frames[bins[:, 0]])]
    return bins, recording.split[bins[:, 0]] == "validation"


def peer_loaders(recordings: Mapping[str, Recording], *, chunk: int, batch: int) -> dict[str, dict[str, Any]]:
    """openretina's loaders of each session, as it makes them for Höfling's data: ``"train"`` and ``"validation"``."""
    from openretina.data_io.base import MoviesTrainTestSplit, ResponsesTrainTestSplit
    from openretina.data_io.hoefling_2024.dataloaders import natmov_dataloaders_v2

    first = next(iter(recordings.values()))
    bins, validation = clips(first)
    frames, count = np.asarray(first.movie.frames), bins.size
    orders: list[tuple[int, ...]] = []
    responses = {}
    for name, one in recordings.items():
        shown = np.flatnonzero(one.split != "test")
        order = tuple((one.frames[shown[::CLIP_FRAMES]] // CLIP_FRAMES).tolist())
        if order not in orders:
            orders.append(order)
        trials = one.trials("test")
        responses[name] = ResponsesTrainTestSplit(
            train=one.responses[shown].T,
            test=trials.mean(axis=0).T,
            test_by_trial=trials.transpose(0, 2, 1),
            stim_id="natural",
            session_kwargs={"eye": "right", "scan_sequence_idx": orders.index(order)},
        )
    movies = MoviesTrainTestSplit(
        train=frames[:, :count], test=frames[:, count:], stim_id="natural", random_sequences=np.array(orders).T
    )
    with contextlib.redirect_stderr(io.StringIO()):  # its progress bar
        return natmov_dataloaders_v2(
            responses, movies, np.flatnonzero(validation).tolist(), chunk, batch, num_clips=len(bins)
        )
