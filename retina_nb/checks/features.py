"""Features of the twin's core: few at a time keep its score, and single ones belong to the planted cell types."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from retina_nb.analyses.features import find_features, score_with_features, tell_types
from retina_nb.checks.check import Check, at_least
from retina_nb.loaders.simulated import Truth
from retina_nb.recording import Recording


def checks(model: Any, truth: Truth, recordings: Mapping[str, Recording]) -> list[Check]:
    """Of a twin only: the truth has no core."""
    if model is truth:
        return []
    found = find_features(model, next(iter(recordings.values())).movie.frames[:, :3000], steps=1500)
    scores = score_with_features(model, found, recordings)
    cells = truth.neurons()
    one = (cells["polarity"] != 0).to_numpy()
    polarity = tell_types(found.relative_effect[:, one], np.where(cells["polarity"][one] > 0, "ON", "OFF"))
    types = tell_types(found.relative_effect, cells["type"])
    kept = scores["features_cc_norm"].median() / scores["cc_norm"].median()
    return [
        at_least("features, 4 of 32 at a time: share of the score (median CC_norm) kept", kept, 0.9),
        at_least("features: ROC area of the best one for ON and for OFF cells", polarity["area"].min(), 0.95),
        at_least("features: ROC area of the best one for each type, mean", types["area"].mean(), 0.9),
    ]
