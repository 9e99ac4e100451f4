"""Models whose every derivative is known, and a small twin with random weights."""

import torch
from helpers import TINY, small_recording
from torch import nn

import retina_nb as rnb


class Planted(nn.Module):
    """Cells of a screen of 7 x 9 that see the frame before: a linear, an even and an opponent one.

    Linear: ``2 * green[2, 3] + 5``; even: ``green[4, 6] ** 2``; opponent: ``exp(green[2, 3] - UV[2, 3])``.
    """

    lag = 1
    stimulus_shape = (2, 7, 9)

    def __init__(self):
        super().__init__()
        self.unused = nn.Parameter(torch.zeros(1))
        self.about = {"rate_hz": 30.0, "neurons": {"a": 3}, "channels": ["green", "UV"]}

    def forward(self, stimulus, session=None):
        before = stimulus[:, :, :-1]
        green, uv = before[:, 0, :, 2, 3], before[:, 1, :, 2, 3]
        return torch.stack([2 * green + 5, before[:, 0, :, 4, 6] ** 2, (green - uv).exp()], dim=-1)


def tiny_twin(seed=0):
    """A twin of two sessions of three cells on 7 x 9, with random weights of a size that makes it nonlinear."""
    recordings = {name: small_recording(name) for name in ("a", "b")}
    twin = rnb.build_twin("simulated_retina", recordings, overrides=TINY, seed=seed)
    with torch.no_grad():
        for name, weights in twin.core.named_parameters():
            if name.endswith("weights"):
                weights.mul_(2)
    return twin.eval()
