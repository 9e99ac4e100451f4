"""Models that can be computed by hand."""

import torch
from torch import nn


class Weighted(nn.Module):
    """Rates are a function of weighted sums of the pixels of one frame, `lag` bins ago."""

    def __init__(self, weights, function=torch.exp, lag=1):
        super().__init__()
        self.weights = nn.Parameter(torch.as_tensor(weights, dtype=torch.float32))  # (neuron, channel, height, width)
        self.function, self.lag = function, lag
        self.stimulus_shape = tuple(self.weights.shape[1:])
        self.about = {"rate_hz": 30.0, "pixel_um": 50.0, "neurons": {"a": len(self.weights)}}

    def forward(self, stimulus, session=None):
        drive = torch.einsum("bcthw,nchw->btn", stimulus, self.weights)
        return self.function(drive[:, : drive.shape[1] - self.lag])
