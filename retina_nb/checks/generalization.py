"""How well a model does on kinds of stimuli, by what the truth expects of any of them."""

from collections.abc import Mapping
from typing import Any

from retina_nb.analyses.generalization import expected_tests, score_matrix
from retina_nb.checks.check import Check, at_least
from retina_nb.loaders.simulated import Truth
from retina_nb.recording import Recording
from retina_nb.stimuli import Screen, chirp, drifting_grating, moving_bar, natural_movie, sequence, white_noise

# Median correlation with the truth that is asked for; the last two are of kinds that were never shown in training.
BOUNDS = {"natural": 0.9, "noise": 0.8, "bars": 0.9, "gratings": 0.85, "chirp": 0.85, "sparse noise": 0.8}


def checks(model: Any, truth: Truth, recordings: Mapping[str, Recording]) -> list[Check]:
    """New movies of kinds that twins of the simulated retina are trained on, then of others."""
    screen, angles = Screen.of(truth), range(0, 360, 45)
    stimuli = {
        "natural": natural_movie(screen, duration=20, seed=5),
        "noise": white_noise(screen, duration=20, stixel=2, hold=2, seed=5),
        "bars": sequence([moving_bar(screen, direction=angle) for angle in angles], gap=0.5),
        "gratings": sequence([drifting_grating(screen, direction=angle, wavelength=300) for angle in angles], gap=0.5),
        "chirp": chirp(screen),
        "sparse noise": white_noise(screen, duration=20, stixel=3, hold=2, kind="sparse", seed=5),
    }
    frames = {name: stimulus.frames for name, stimulus in stimuli.items()}
    found = score_matrix({"model": model}, expected_tests(truth, frames, list(recordings))).matrix().loc["model"]
    return [
        at_least(f"new {name}: median correlation with the truth", found[name], bound) for name, bound in BOUNDS.items()
    ]
