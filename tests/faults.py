"""Faults that are planted into recordings, and what an audit found of them."""

from dataclasses import replace

import numpy as np

from retina_nb import Movie, Recording
from retina_nb.quality import Audit, Finding

SETTINGS = {"sessions": 3, "cells_per_session": 12, "clips": 60, "test_clips": 5, "repeats": 6}
CLIP = 150  # frames


def found(audit: Audit, check: str, *words: str, severity: str = "problem") -> list[Finding]:
    return [
        finding
        for finding in audit.findings
        if (finding.check, finding.severity) == (check, severity) and all(word in finding.message for word in words)
    ]


def moved(recording: Recording, bins: int, where=None) -> Recording:
    """With the responses (in some bins) so many bins later."""
    responses = recording.responses.copy()
    where = np.arange(len(recording)) if where is None else where
    responses[where] = np.roll(responses[where], bins, axis=0)
    return replace(recording, responses=responses)


def with_movie(recordings, frames: np.ndarray):
    movie = Movie(frames.astype(np.float32))
    return {name: replace(recording, movie=movie) for name, recording in recordings.items()}
