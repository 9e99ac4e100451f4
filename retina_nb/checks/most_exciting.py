"""Most exciting inputs: those of linear cells are their filters, those of direction-selective cells move."""

from typing import Any

import numpy as np

from retina_nb.analyses.most_exciting import most_exciting_inputs, motion_direction
from retina_nb.analyses.stimulus_optimization import Constraint
from retina_nb.checks.check import Check, at_least, at_most
from retina_nb.loaders.simulated.truth import Truth

# As much contrast as natural movies hold where a cell looks, so that a twin is asked for what it was trained on.
NORM = 2.0


def checks(model: Any, truth: Truth, recordings: Any) -> list[Check]:
    """Of the simulated retina's linear types. A twin's filters are an estimate: less is asked of its worst cell."""
    linear = np.flatnonzero(~truth.neurons()["nonlinear"])
    made = most_exciting_inputs(model, neurons=linear.tolist(), length=1, seeds=2, constraints=Constraint(norm=NORM))
    fields = truth.receptive_field()[linear].numpy()
    shown = made.best().stimuli[:, :, -fields.shape[2] :]
    cosine = (shown * fields).sum(axis=(1, 2, 3, 4)) / NORM / np.linalg.norm(fields.reshape(len(fields), -1), axis=1)
    degrees = truth.neurons()["direction"]
    selective = np.flatnonzero(degrees.notna())
    moving = most_exciting_inputs(model, neurons=selective.tolist(), constraints=Constraint(norm=5 * NORM), steps=40)
    found = np.array([motion_direction(movie) for movie in moving.stimuli])
    error = np.abs((found - degrees[selective] + 180) % 360 - 180)
    exact = isinstance(model, Truth)
    return [
        at_least(
            "most exciting input, linear cells: median cosine with the filter",
            float(np.median(cosine)),
            0.95,
        ),
        at_least(
            "most exciting input, linear cells: least cosine with the filter",
            float(cosine.min()),
            0.95 if exact else 0.75,
        ),
        at_most(
            "most exciting input, linear cells: spread of the score over starts (part of it)",
            float(made.diversity()["score_spread"].max()),
            0.02,
        ),
        at_most(
            "most exciting input, direction-selective cells: median error of its motion (degrees)",
            float(error.median()),
            15,
        ),
    ]
