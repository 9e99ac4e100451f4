"""Rates of all cells to one movie: Höfling's 3,144 cells of 67 sessions, whose features are the same."""

import warnings

import torch

from benchmarks.pairs import Options, Pair, Results
from benchmarks.peer_models import ARCHITECTURES, both, peer_model, settle
from benchmarks.synthetic_hoefling import SESSIONS

FRAMES = 750


def prepare(name: str, options: Options) -> Pair:
    """All sessions at once by both, which is the fastest way that openretina has."""
    channels, height, width = ARCHITECTURES["low_res"].shape
    stimulus = torch.randn(1, channels, FRAMES, height, width, generator=torch.Generator().manual_seed(0))
    stimulus = stimulus.to(options.device)
    model = settle(peer_model("low_res", SESSIONS), "low_res")
    twin, theirs = (one.eval().to(options.device) for one in both(model, options.folder / f"{name}.ckpt"))

    def ours() -> Results:
        with torch.no_grad():
            return {"rates": twin(stimulus)}

    def peer() -> Results:
        with torch.no_grad(), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # that all sessions are read out
            return {"rates": theirs(stimulus)}

    return Pair(f"{FRAMES} frames, {sum(SESSIONS.values())} cells of {len(SESSIONS)} sessions", ours, peer)
