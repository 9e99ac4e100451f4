"""Cells that cannot be used are found, and reliability is that of the truth."""

from dataclasses import replace

import numpy as np
import torch
from faults import SETTINGS, found

import retina_nb as rnb


def test_cells_that_cannot_be_used_are_found(first):
    responses = first.responses.copy()
    responses[:, 1], responses[:, 2] = 0, 3
    responses[first.split == "test", 4] = 0
    responses[:, 6] = responses[:, 5]
    broken = replace(first, responses=responses)
    broken.responses[77, 3] = np.nan  # which a recording would not take
    audit = rnb.audit({"a": broken})
    assert found(audit, "cells", "the response of neurons 1, 2 never changes")
    assert found(audit, "cells", "neuron 3 is not finite, first of all at bin 77")
    assert found(audit, "cells", "neuron 4 does not change in test bins", severity="look at it")
    assert found(audit, "cells", "neurons 5 and 6 respond alike", severity="look at it")
    assert audit.neurons["constant"].to_numpy().nonzero()[0].tolist() == [1, 2]
    assert audit.neurons["finite"].to_numpy().tolist() == [True] * 3 + [False] + [True] * 8


def test_a_session_that_is_there_twice_is_found(first):
    audit = rnb.audit({"a": first, "b": replace(first, session="b")})
    assert found(audit, "cells", "sessions a and b have the same responses")


def test_reliability_is_that_of_the_neurons(clean):
    audit = rnb.audit(clean)
    truth = rnb.load_truth(**SETTINGS)
    exact = []
    for name, recording in clean.items():
        stimulus = torch.from_numpy(recording.stimulus("test"))[None]
        exact.append(truth.cc_max(truth(stimulus, name)[0], name, SETTINGS["repeats"]) ** 2)
    exact = np.concatenate(exact)
    inside = (audit.neurons["reliability_low"] <= exact) & (exact <= audit.neurons["reliability_high"])
    assert inside.mean() > 0.7
    assert (audit.neurons["reliability"] - exact).abs().median() < 0.06
