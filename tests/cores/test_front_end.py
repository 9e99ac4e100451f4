import pytest
import torch

from retina_nb import UserError
from retina_nb.cores import Core, PassThrough, PhotoreceptorFrontEnd, StackedCore

KINDS = ["adaptation", "mouse_cone", "primate_cone", "primate_rod"]
STACK = {"in_channels": 2, "hidden_channels": [4], "temporal_kernel_sizes": [6], "spatial_kernel_sizes": [3]}


def make(kind="adaptation", core=None, **options):
    level = 3.0 if kind == "primate_rod" else 1000.0
    light = {"rate": 30.0, "mean": level, "std": 0.3 * level}
    return PhotoreceptorFrontEnd(core or PassThrough(), photoreceptor=kind, **light | options)


def stimulus(time):
    return torch.randn(1, 2, time, 3, 5, generator=torch.Generator().manual_seed(0))


def test_its_lag_is_that_of_the_warm_up_and_the_core():
    core = StackedCore(**STACK, input_padding=True, pool_every=1, sessions=["a"], roughness=1.0)
    front_end = make(core=core, warm_up=0.21)
    assert front_end.lag == 7 + 5
    assert (front_end.stride, front_end.per_session) == (2, True)
    torch.testing.assert_close(front_end.regularizer(), core.regularizer())
    response = front_end.response(stimulus(20))
    torch.testing.assert_close(front_end(stimulus(20), "a"), core(response[:, :, 7:], "a"))


def test_a_core_that_does_not_say_its_lag_is_measured_as_ever():
    class Delay(Core):
        def forward(self, x):
            return x[:, :, 4:]

    assert not hasattr(make(core=Delay()), "lag")
    assert make(core=Delay(), warm_up=0.1)(stimulus(20)).shape[2] == 13


@pytest.mark.parametrize("kind", KINDS)
def test_after_the_warm_up_earlier_light_is_nearly_forgotten(kind):
    front_end = make(kind, warm_up=1.0 if kind == "primate_rod" else 0.5)
    movie = stimulus(120)
    whole, late = front_end(movie), front_end(movie[:, :, 60:])
    assert (whole[:, :, 60:] - late).square().mean(dim=(0, 1, 3, 4)).max().sqrt() < 0.1 * whole.std()


@pytest.mark.parametrize("kind", KINDS)
def test_pixels_and_channels_do_not_mix(kind):
    front_end = make(kind)
    movie = stimulus(20)
    other = movie.clone()
    other[:, 0, :, 1, 2] = 1.0
    changed = (front_end(movie) != front_end(other)).any(dim=2)
    assert changed[0, 0, 1, 2]
    assert changed.sum() == 1


@pytest.mark.parametrize("kind", KINDS)
def test_there_is_no_light_below_darkness(kind):
    front_end = make(kind)
    dark = torch.full((1, 2, 20, 3, 5), -1 / 0.3)
    torch.testing.assert_close(front_end(3 * dark), front_end(dark))


def test_it_trains_with_the_core():
    torch.manual_seed(0)
    truth, front_end = (make(core=StackedCore(**STACK, normalization="none"), warm_up=0.2) for _ in range(2))
    front_end.core.load_state_dict(truth.core.state_dict())
    torch.nn.init.constant_(truth.photoreceptor.raw["beta"], -0.6)
    movie = 2 * stimulus(60)
    target = truth(movie).detach()
    optimizer = torch.optim.Adam(front_end.photoreceptor.parameters(), lr=0.05)
    losses = []
    for _ in range(60):
        optimizer.zero_grad()
        loss = (front_end(movie) - target).square().mean()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.01 * losses[0]


@pytest.mark.parametrize("change", [{"rate": 0.0}, {"mean": 0.0}, {"std": -1.0}, {"warm_up": -0.1}])
def test_light_and_time_must_make_sense(change):
    with pytest.raises(UserError, match="must be above zero"):
        make(**change)
