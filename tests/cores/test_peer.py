"""Cores give what openretina 1.1.1 gives with the same weights: padding, pooling, speeds, gates and penalties.

``peer.npz`` holds options and weights in our names and what the peer computed from its own; its penalties are without
those on sines of frequency 0, which it carries along.
"""

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from retina_nb import cores

PEER = np.load(Path(__file__).with_name("peer.npz"))


def part(prefix):
    return {key[len(prefix) :]: torch.from_numpy(PEER[key]) for key in PEER.files if key.startswith(prefix)}


@pytest.mark.parametrize("case", sorted({key.split("/")[0] for key in PEER.files}))
def test_features_and_penalties_are_the_peers(case):
    kind, options = json.loads(str(PEER[f"{case}/core"]))
    core = getattr(cores, kind)(**options).eval()
    missing, unexpected = core.load_state_dict(part(f"{case}/weights/"), strict=False)
    assert all(name.endswith("num_batches_tracked") for name in missing)
    assert not unexpected
    stimulus = torch.from_numpy(PEER[f"{case}/stimulus"])
    for session, expected in part(f"{case}/features/").items():
        found = core(stimulus, session or None)
        torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-5)
    assert float(core.regularizer().detach()) == pytest.approx(float(PEER[f"{case}/penalty"]), rel=1e-5)
