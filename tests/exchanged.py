"""A model that must fail every check: the truth, whose cells answer for each other."""

import torch


class Exchanged(torch.nn.Module):
    """Each cell answers for the one `by` places before it, or, if None, for one drawn at random."""

    def __init__(self, truth, by=None):
        super().__init__()
        self.truth, self.lag, self.by = truth, truth.lag, by
        self.stimulus_shape, self.about = truth.stimulus_shape, truth.about

    def forward(self, stimulus, session=None):
        rates = self.truth(stimulus, session)
        if self.by is None:
            return rates[..., torch.randperm(rates.shape[-1], generator=torch.Generator().manual_seed(0))]
        return rates.roll(self.by, dims=-1)
