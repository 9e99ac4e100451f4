import pytest
import torch

from retina_nb.cores import ConvGRUCore
from retina_nb.cores.gru import ConvGRU

STACK = {"in_channels": 2, "hidden_channels": [4], "temporal_kernel_sizes": [6], "spatial_kernel_sizes": [3]}


def make(**options):
    torch.manual_seed(0)
    return ConvGRU(4, 6, **{"input_kernel_size": 3, "recurrent_kernel_size": 3} | options).double()


def movie(time=5):
    return torch.randn(2, 4, time, 5, 7, dtype=torch.float64, generator=torch.Generator().manual_seed(0))


def test_units_follow_the_equations():
    """Of one pixel, so that convolutions are products."""
    gru = make(input_kernel_size=1, recurrent_kernel_size=1)
    x = movie()[..., :1, :1]
    (drive, bias), gates, candidate = (
        gru.drive.parameters(),
        gru.gates.weight[..., 0, 0],
        gru.candidate.weight[..., 0, 0],
    )
    state = torch.zeros(2, 6, dtype=torch.float64)
    for bin in range(5):
        update, reset, new = (x[:, :, bin, 0, 0] @ drive[..., 0, 0].T + bias).split(6, dim=1)
        recurrent_update, recurrent_reset = (state @ gates.T).split(6, dim=1)
        update, reset = torch.sigmoid(update + recurrent_update), torch.sigmoid(reset + recurrent_reset)
        state = (1 - update) * state + update * torch.tanh(new + (reset * state) @ candidate.T)
        torch.testing.assert_close(gru(x)[:, :, bin, 0, 0], state)


def test_groups_are_kept_apart():
    gru = make(groups=2)
    x = movie()
    other = x.clone()
    other[:, 2:] = 0
    out, changed = gru(x), gru(other)
    torch.testing.assert_close(out[:, :3], changed[:, :3])
    assert (out[:, 3:] - changed[:, 3:]).abs().mean() > 0.01


@pytest.mark.parametrize("input_side", [1, 2, 3, 4])
@pytest.mark.parametrize("recurrent_side", [1, 2, 5])
def test_kernels_of_odd_and_even_side_keep_the_size(input_side, recurrent_side):
    options = {"input_kernel_size": input_side, "recurrent_kernel_size": recurrent_side}
    assert make(**options)(movie()).shape == (2, 6, 5, 5, 7)
    shrunk = make(**options, pad_input=False)(movie())
    assert shrunk.shape == (2, 6, 5, 6 - input_side, 8 - input_side)


def test_a_call_creates_no_parameters_and_leaves_no_state():
    core = ConvGRUCore(**STACK, recurrent_channels=3).eval()
    before = sorted(core.state_dict())
    stimulus = torch.randn(1, 2, 9, 5, 7)
    torch.testing.assert_close(core(stimulus), core(stimulus))
    assert sorted(core.state_dict()) == before


def test_its_penalty_is_that_of_the_stack_and_of_the_recurrent_weights():
    core = ConvGRUCore(**STACK, recurrent_channels=3, roughness=0.7, recurrence=2.0)
    gates, candidate = core.gru.gates.weight.abs(), core.gru.candidate.weight.abs()
    mean = (gates.sum() + candidate.sum()) / (gates.numel() + candidate.numel())
    torch.testing.assert_close(core.regularizer(), core.stack.regularizer() + 2 * mean)
    core.regularizer().backward()
    assert core.gru.candidate.weight.grad.abs().sum() > 0


def test_memory_reaches_further_than_the_kernels():
    core = ConvGRUCore(**STACK, recurrent_channels=3).eval().double()
    stimulus = torch.randn(1, 2, 20, 5, 7, dtype=torch.float64, requires_grad=True)
    (gradient,) = torch.autograd.grad(core(stimulus)[:, :, -1].sum(), stimulus)
    assert (gradient.abs().sum(dim=(0, 1, 3, 4)) > 0).all()
