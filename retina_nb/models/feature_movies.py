"""Recordings as a core sees them: what a frozen core makes of a stimulus need not be made anew in every epoch."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from torch import Tensor

from retina_nb.cores import feature_shape
from retina_nb.models.core_readout import CoreReadout
from retina_nb.recording import UNUSED, Movie, Recording, sessions_that_share

SPLITS = ("train", "validation")
# Bins of stimulus that the core is given at once.
_BLOCK = 600


def feature_bytes(twin: CoreReadout, recordings: Mapping[str, Recording]) -> int:
    """How much memory `feature_movies` needs."""
    firsts = [recordings[names[0]] for names in _groups(twin, recordings)]
    features, _, height, width = feature_shape(twin.core, firsts[0].movie.frame_shape, _core_lag(twin) + 1)
    return 4 * features * height * width * sum(len(one) for one in firsts)


@torch.no_grad()
def feature_movies(twin: CoreReadout, recordings: Mapping[str, Recording]) -> dict[str, Recording]:
    """The recordings with the core's features, in training and validation bins, in place of their movies.

    Sessions that saw the same frames share their features, unless the core makes others for each. Bins without the
    full history of the twin are unused.
    """
    made: dict[str, Recording] = {}
    for names in _groups(twin, recordings):
        first = recordings[names[0]]
        counts = np.isin(first.split, SPLITS) & (first.history >= twin.lag)
        # A readout's lag reaches back to features of bins that do not count.
        needed = np.convolve(counts, np.ones(twin.readout.lag + 1))[twin.readout.lag :] > 0
        features = _features(twin, first, needed, names[0])
        changes: dict[str, Any] = {
            "movie": Movie(features.numpy()),
            "frames": np.arange(len(first)),
            "split": np.where(counts, first.split, UNUSED),
            "repeats": {},
            "mirrored": False,
        }
        made |= {name: replace(recordings[name], **changes) for name in names}
    return {name: made[name] for name in recordings}


def _features(twin: CoreReadout, recording: Recording, needed: np.ndarray, session: str) -> Tensor:
    """(feature, time, height, width), 0 where not needed."""
    lag, shape = _core_lag(twin), feature_shape(twin.core, recording.movie.frame_shape, _core_lag(twin) + 1)
    features = torch.zeros(shape[0], len(recording), *shape[2:])
    device = next(twin.core.parameters(), features).device
    for begin, end in _runs(needed):
        stimulus = torch.from_numpy(recording.stimulus_at(np.arange(begin - lag, end)))[None]
        features[:, begin:end] = twin.features(stimulus.to(device), session)[0].cpu()
    return features


def _runs(needed: np.ndarray) -> Iterator[tuple[int, int]]:
    """Stretches of bins that are needed, cut into blocks."""
    edges = np.flatnonzero(np.diff(needed.astype(int), prepend=0, append=0))
    for begin, end in zip(edges[::2], edges[1::2], strict=True):
        yield from pairwise([*range(int(begin), int(end), _BLOCK), int(end)])


def _groups(twin: CoreReadout, recordings: Mapping[str, Recording]) -> list[list[str]]:
    return [[name] for name in recordings] if twin.core.per_session else sessions_that_share(recordings)


def _core_lag(twin: CoreReadout) -> int:
    return twin.lag - twin.readout.lag
