import pytest
import torch

from retina_nb import UserError
from retina_nb.cores import Core, StackedCore, feature_shape

SMALL = {"in_channels": 2, "hidden_channels": [4, 3], "temporal_kernel_sizes": [6, 3], "spatial_kernel_sizes": [3, 5]}


def make(**options):
    torch.manual_seed(0)
    return StackedCore(**SMALL | options).eval()


@pytest.mark.parametrize(
    ("options", "lag", "shape"),
    [
        ({}, 7, (3, 13, 5, 7)),
        ({"hidden_padding": False}, 7, (3, 13, 1, 3)),
        ({"input_padding": True}, 7, (3, 13, 7, 9)),
        ({"input_padding": (2, 0), "hidden_padding": [(1, 3)]}, 7, (3, 13, 7, 9)),
        ({"spatial_kernel_sizes": [4, 2], "input_padding": True}, 7, (3, 13, 7, 9)),
        ({"cut": 4}, 11, (3, 9, 5, 7)),
        ({"noncausal_padding": [(2, 3), (1, 1)]}, 0, (3, 20, 5, 7)),
        ({"pool_every": 2}, 7, (3, 13, 2, 3)),
        ({"downsample": (1, 2, 3), "input_padding": True}, 7, (3, 13, 3, 3)),
        ({"downsample": (2, 1, 1)}, 15, (3, 3, 5, 7)),
    ],
)
def test_lag_and_shape(options, lag, shape):
    core = make(**options)
    assert core.lag == lag
    assert feature_shape(core, (2, 7, 9), 20) == shape


def test_strides_are_those_of_pooling_and_downsampling():
    assert make().stride == 1
    assert make(pool_every=1).stride == 4
    assert make(pool_every=2, downsample=(1, 3, 3)).stride == 6
    assert make(downsample=(2, 2, 3)).stride == (2, 3)
    assert make(downsample=(2, 2, 3)).time_stride == 2


def test_the_published_low_res_core_has_its_published_shape():
    core = StackedCore(
        in_channels=2, hidden_channels=[16, 16], temporal_kernel_sizes=[21, 11], spatial_kernel_sizes=[11, 5]
    )
    assert feature_shape(core, (2, 18, 16), 150) == (16, 120, 8, 6)


def test_it_sees_exactly_its_lag():
    core = make().double()
    stimulus = torch.randn(1, 2, 20, 7, 9, dtype=torch.float64, requires_grad=True)
    (gradient,) = torch.autograd.grad(core(stimulus)[:, :, 4].square().sum(), stimulus)
    seen = gradient.abs().sum(dim=(0, 1, 3, 4)).nonzero()[:, 0]
    assert seen.min() == 4
    assert seen.max() == 4 + core.lag


def test_a_layer_is_convolution_norm_nonlinearity_and_pooling():
    core = make(pool_every=1, hidden_channels=[4], temporal_kernel_sizes=[6], spatial_kernel_sizes=[3])
    (layer,) = core.layers
    layer.norm.running_mean.fill_(0.3)
    layer.norm.running_var.fill_(4.0)
    stimulus = torch.randn(2, 2, 9, 7, 9)
    normal = (layer.conv(stimulus) - 0.3) / 2
    expected = torch.nn.functional.max_pool3d(torch.nn.functional.elu(normal), (1, 2, 2))
    torch.testing.assert_close(core(stimulus), expected, atol=1e-5, rtol=1e-4)


def test_dropout_silences_whole_features_in_training():
    core = make(dropout=0.5).train()
    silent = (core(torch.randn(20, 2, 9, 7, 9)) == 0).flatten(2)
    assert (silent.all(dim=2) == silent.any(dim=2)).all()
    assert 0.2 < silent.float().mean() < 0.8
    assert not (core.eval()(torch.randn(2, 2, 9, 7, 9)) == 0).any()


def test_downsampling_averages_and_drops_what_is_left_over():
    core, plain = make(downsample=(1, 2, 3)), make()
    stimulus = torch.randn(1, 2, 9, 15, 22)
    coarse = torch.nn.functional.avg_pool3d(stimulus, (1, 2, 3))
    torch.testing.assert_close(core(stimulus), plain(coarse), atol=1e-5, rtol=1e-4)


def test_colour_weights_sum_the_channels():
    core, plain = make(colour_weights=[0.7, -0.4]), make(in_channels=1)
    plain.load_state_dict(core.state_dict())
    stimulus = torch.randn(1, 2, 9, 7, 9)
    grey = 0.7 * stimulus[:, :1] - 0.4 * stimulus[:, 1:]
    torch.testing.assert_close(core(stimulus), plain(grey), atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(core(grey), plain(grey))


def test_planted_speeds_are_recovered():
    """Up to a factor that all share, since kernels are learned too, from scratch."""
    options = {
        "in_channels": 1,
        "hidden_channels": [2],
        "temporal_kernel_sizes": [15],
        "spatial_kernel_sizes": [3],
        "normalization": "none",
        "sessions": ["slow", "fast"],
    }
    truth = make(**options)
    with torch.no_grad():
        truth.log_speeds.copy_(torch.tensor([0.8, 1.3]).log())
    torch.manual_seed(1)
    core = StackedCore(**SMALL | options)
    movie = torch.randn(2, 1, 60, 7, 9)
    target = {session: truth(movie, session).detach() for session in truth.sessions}
    optimizer = torch.optim.Adam(core.parameters(), lr=0.03)
    for _ in range(400):
        optimizer.zero_grad()
        sum((core(movie, session) - target[session]).square().mean() for session in core.sessions).backward()
        optimizer.step()
    ratio = core.speed_of("fast") / core.speed_of("slow")
    assert ratio.item() == pytest.approx(1.3 / 0.8, rel=0.02)


def test_penalties_are_those_of_the_layers():
    core = make(hidden_channels=[4, 3, 2], temporal_kernel_sizes=[6, 3, 3], spatial_kernel_sizes=[3, 5, 3])
    one, two, three = (layer.conv for layer in core.layers)
    joint = core.layers[0].conv.kernels().flatten(2).norm(dim=2)
    expected = {
        "roughness": one.roughness(),
        "speed": one.speed() + two.speed() + three.speed(),
        "sparsity": two.sparsity() + three.sparsity(),
        "overall_sparsity": one.sparsity() + two.sparsity() + three.sparsity(),
        "joint_sparsity": (joint.sum(dim=1) / joint.norm(dim=1)).sum(),
    }
    for name, value in expected.items():
        core.penalties = dict.fromkeys(core.penalties, 0.0) | {name: 0.7}
        torch.testing.assert_close(core.regularizer(), 0.7 * value)
    core.penalties = dict.fromkeys(core.penalties, 0.7)
    torch.testing.assert_close(core.regularizer(), 0.7 * sum(expected.values()))


@pytest.mark.parametrize("convolution", ["pairwise_separable", "separable", "full"])
def test_roughness_is_taken_as_it_is_set(convolution):
    options = {"roughness_padding": 2, "roughness_size": 5, "roughness_spares_center": True}
    core = make(convolution=convolution, spatial_kernel_sizes=[5, 3], roughness=1.0, **options)
    torch.testing.assert_close(core.regularizer(), core.layers[0].conv.roughness(2, 5, True))
    assert core.regularizer() != core.layers[0].conv.roughness(2)


@pytest.mark.parametrize("convolution", ["pairwise_separable", "separable", "full", "time_independent"])
def test_penalties_have_gradients_for_every_convolution(convolution):
    bins, speed = ([1, 1], 0.0) if convolution == "time_independent" else ([6, 3], 1.0)
    core = make(convolution=convolution, temporal_kernel_sizes=bins, roughness=1.0, speed=speed, overall_sparsity=1.0)
    core.regularizer().backward()
    for name, parameter in core.layers[0].conv.named_parameters():
        assert parameter.grad.abs().sum() > 0, name


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"roughness_size": 4}, r"core: roughness_size must be one of \(3, 5, 7\), not 4"),
        ({"spatial_kernel_sizes": [3]}, "one entry for each layer; they have .*spatial_kernel_size 1"),
        ({"hidden_padding": [True, False]}, "one entry for each layer; they have .*padding 3"),
        ({"nonlinearity": ["elu"]}, "one entry for each layer; they have .*nonlinearity 1"),
        ({"noncausal_padding": [(0, 1)]}, "one entry for each layer; they have .*time_padding 1"),
        ({"hidden_channels": []}, "0 layers"),
        ({"temporal_kernel_sizes": [6, 2]}, "at least 3 bins, not 2"),
        ({"convolution": "time_independent"}, "temporal_kernel_sizes of 1, not 6"),
        ({"convolution": "time_independent", "temporal_kernel_sizes": [1, 1], "speed": 1.0}, "leave speed at 0"),
        ({"input_padding": (0, 2, 2)}, r"a padding is true .* not \(0, 2, 2\); time is not padded"),
        ({"convolution": "full", "sessions": ["a"]}, "full convolutions have no speed"),
        ({"colour_weights": [1.0]}, "1 colour_weights do not fit stimuli of 2 channels"),
    ],
)
def test_what_does_not_go_together_is_refused(change, message):
    with pytest.raises(UserError, match=message):
        StackedCore(**(SMALL | change))


def test_a_core_of_ones_own_needs_only_forward():
    class Blur(Core):
        def __init__(self):
            super().__init__()
            self.conv = torch.nn.Conv3d(2, 3, (4, 3, 3))

        def forward(self, x):
            return self.conv(x)

    core = Blur()
    assert feature_shape(core, (2, 5, 7), 10) == (3, 7, 3, 5)
    assert core.regularizer() == 0


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"input_padding": True, "cut": 2},
        {"convolution": "full"},
        {"colour_weights": (0.3, 0.9)},
        {"downsample": (1, 2, 1)},
        {"border": ((1, 0), (0, 0))},
        {"spatial_kernel_sizes": [4, 2], "input_padding": True},
    ],
)
def test_a_stack_is_its_linear_stage_and_the_rest(options):
    """The stage is linear, and makes of a still image what it makes of its frames."""
    core = make(**options)
    x, y = torch.randn(2, 3, 2, 16, 9, 11)
    torch.testing.assert_close(core.after_linear(core.linear(x)), core(x))
    torch.testing.assert_close(core.linear(2 * x - y), 2 * core.linear(x) - core.linear(y), rtol=1e-4, atol=1e-5)
    course = torch.randn(16)
    frames = x[:, :, :1] * course[:, None, None]
    torch.testing.assert_close(core.linear_still(x[:, :, 0], course), core.linear(frames), rtol=1e-4, atol=1e-5)
