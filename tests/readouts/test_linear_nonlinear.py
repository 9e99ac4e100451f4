import pytest
import torch
import torch.nn.functional as F

from retina_nb import UserError
from retina_nb.readouts import LinearNonlinearReadout
from retina_nb.regularizers import spatial_roughness

SHAPE = (2, 10, 5, 7)


def noisy(**options):
    torch.manual_seed(0)
    readout = LinearNonlinearReadout(SHAPE, 3, **options)
    with torch.no_grad():
        for parameter in readout.parameters():
            parameter.normal_()
    return readout


@pytest.mark.parametrize("options", [{"temporal_kernel_size": 4}, {"temporal_kernel_size": 4, "rank": 2}, {}])
def test_rates_are_those_of_the_formula(options):
    readout = noisy(**options, nonlinearity="identity")
    stimulus = torch.randn(2, *SHAPE)
    filters = readout.filters()
    assert filters.shape == (3, 2, options.get("temporal_kernel_size", 1), 5, 7)
    drive = F.conv3d(stimulus, filters)[..., 0, 0].movedim(1, 2)
    torch.testing.assert_close(readout(stimulus), drive + readout.bias, rtol=1e-4, atol=1e-4)


def test_the_last_bin_of_a_filter_is_the_present():
    readout = LinearNonlinearReadout(SHAPE, 1, temporal_kernel_size=3, nonlinearity="identity", bias=False)
    with torch.no_grad():
        readout.space_filters.zero_()
        readout.space_filters[0, -1, 1, 2, 3] = 1.0
    stimulus = torch.randn(1, *SHAPE)
    torch.testing.assert_close(readout(stimulus)[0, :, 0], stimulus[0, 1, 2:, 2, 3])


@pytest.mark.parametrize("options", [{"temporal_kernel_size": 4}, {"temporal_kernel_size": 4, "rank": 2}])
def test_filters_start_where_the_neuron_looks(options):
    torch.manual_seed(0)
    readout = LinearNonlinearReadout(SHAPE, 2, **options)
    readout.initialize(torch.ones(2), torch.tensor([[0.0, 0.0], [-1.0, 3.0]]))
    energy = readout.filters().detach().square().sum(dim=(1, 2))
    assert energy[0].argmax() == 2 * 7 + 3
    assert energy[1].argmax() == 1 * 7 + 6


def test_the_penalties_are_those_of_the_formulas():
    options = {"temporal_kernel_size": 4, "rank": 1}
    filters = noisy(**options).filters().detach()
    padded = F.pad(filters, (1, 1, 1, 1))
    inner = padded[..., 1:-1, 1:-1]
    rough = 4 * inner - padded[..., :-2, 1:-1] - padded[..., 2:, 1:-1] - padded[..., 1:-1, :-2] - padded[..., 1:-1, 2:]
    expected = {"roughness_penalty": None, "sparsity_penalty": filters.abs().mean()}
    free = noisy(temporal_kernel_size=4, roughness_penalty=1.0)
    free.space_filters.data = filters.movedim(1, 2)
    expected["roughness_penalty"] = rough.square().sum() / filters.square().sum()
    torch.testing.assert_close(free.regularizer().detach(), expected["roughness_penalty"])
    for penalised in (noisy(**options, sparsity_penalty=1.0), noisy(temporal_kernel_size=4, sparsity_penalty=1.0)):
        weights = penalised.filters().detach()
        torch.testing.assert_close(penalised.regularizer().detach(), weights.abs().mean())


def test_roughness_is_taken_as_it_is_set():
    readout = noisy(roughness_penalty=1.0, roughness_size=5, roughness_spares_center=True)
    torch.testing.assert_close(readout.regularizer(), spatial_roughness(readout.space_filters, 2, 5, True))
    with pytest.raises(UserError, match=r"roughness_size must be one of \(3, 5, 7\), not 4"):
        noisy(roughness_size=4)


def test_fast_courses_cost_more_than_slow_ones():
    penalty = {}
    for name, course in (
        ("slow", [0.1, 0.5, 0.9, 1.0, 0.9, 0.5, 0.1]),
        ("fast", [1.0, -1.0, 1.0, -1.0, 1.0, -1.0, 1.0]),
    ):
        for rank in (None, 1):
            readout = noisy(temporal_kernel_size=7, rank=rank, speed_penalty=1.0)
            with torch.no_grad():
                if rank is None:
                    readout.space_filters.copy_(torch.tensor(course)[:, None, None, None] * torch.ones(3, 7, 2, 5, 7))
                else:
                    readout.time_filters.copy_(torch.tensor(course).expand(3, 1, 7))
            penalty[name, rank] = readout.regularizer().item()
    assert penalty["slow", None] == pytest.approx(penalty["slow", 1])
    assert penalty["fast", None] == pytest.approx(penalty["fast", 1])
    assert penalty["fast", 1] > 10 * penalty["slow", 1]
