import math

import pytest
import torch

from retina_nb import UserError
from retina_nb.readouts import SpatialContrastReadout

SHAPE = (2, 12, 5, 7)


def made(neurons=3, **options):
    torch.manual_seed(0)
    space = torch.rand(neurons, 5, 7) * (torch.rand(neurons, 5, 7) > 0.6)
    time = torch.randn(neurons, 2, 4)
    return SpatialContrastReadout(SHAPE, neurons, spatial_filters=space, temporal_filters=time, **options)


def test_rates_are_those_of_the_formula():
    readout = made(contrast_weight=-0.7, gain=2.0, slope=1.5, bias=0.3)
    stimulus = torch.randn(2, *SHAPE)
    rates = readout(stimulus).detach()
    for trial, time, neuron in [(0, 0, 0), (1, 5, 1), (1, 8, 2)]:
        space, course = readout.spatial_filters[neuron], readout.temporal_filters[neuron]
        seen = (stimulus[trial, :, time : time + 4] * course[..., None, None]).sum(dim=(0, 1))
        mean = ((space * seen).sum() / space.sum()).item()
        contrast = math.sqrt((space * (seen - mean).square()).sum().item() / space.sum().item())
        expected = 2.0 * math.log1p(math.exp(1.5 * (mean - 0.7 * contrast) + 0.3))
        assert rates[trial, time, neuron].item() == pytest.approx(expected, rel=1e-4)


def test_a_negative_weight_makes_contrast_suppress():
    readout = made(contrast_weight=-1.0, bias=0.0)
    grey, checkers = torch.zeros(1, *SHAPE), torch.ones(1, *SHAPE)
    checkers[..., ::2] = -1
    readout.spatial_filters.fill_(1.0)
    readout.temporal_filters.fill_(1.0)
    checkers -= checkers.mean()
    assert (readout(checkers) < 0.5 * readout(grey)).all()
    readout.constrain()
    assert (readout.contrast_weight == -1).all()


def test_the_gain_stays_at_or_above_zero_after_a_step():
    readout = made(gain=-2.0)
    readout.constrain()
    assert (readout.gain == 0).all()


def test_chunks_of_neurons_give_the_same():
    stimulus = torch.randn(2, *SHAPE)
    torch.testing.assert_close(made(5, chunk_size=2)(stimulus), made(5)(stimulus))


def test_a_stimulus_without_contrast_has_a_gradient():
    stimulus = torch.zeros(1, *SHAPE, requires_grad=True)
    made(contrast_weight=1.0)(stimulus).sum().backward()
    assert torch.isfinite(stimulus.grad).all()


def test_filters_are_saved_and_not_learned():
    readout = made()
    assert {"spatial_filters", "temporal_filters"} < readout.state_dict().keys()
    assert {name for name, _ in readout.named_parameters()} == {"contrast_weight", "gain", "slope", "bias"}


@pytest.mark.parametrize(
    ("shape", "space", "time", "message"),
    [
        (SHAPE, (3, 5, 7), (3, 1, 4), r"must have shape \(3, 2, 4\), not \(3, 1, 4\)"),
        (SHAPE, (3, 7, 5), (3, 2, 4), r"must have shape \(3, 5, 7\), not \(3, 7, 5\)"),
        (SHAPE, (2, 5, 7), (2, 2, 4), r"must have shape \(3, 5, 7\), not \(2, 5, 7\)"),
    ],
)
def test_filters_that_do_not_fit_are_refused(shape, space, time, message):
    with pytest.raises(UserError, match=message):
        SpatialContrastReadout(shape, 3, spatial_filters=torch.ones(space), temporal_filters=torch.ones(time))
