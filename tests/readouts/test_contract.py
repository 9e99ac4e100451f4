"""What every readout keeps to, whatever it is."""

import copy

import pytest
import torch

from retina_nb import UserError
from retina_nb.losses import poisson_loss
from retina_nb.readouts import (
    ClonedReadout,
    FactorizedReadout,
    GaussianMaskReadout,
    LinearNonlinearReadout,
    PointGaussianReadout,
    SpatialContrastReadout,
)

FEATURES = (3, 12, 5, 7)
STIMULUS = (2, 12, 5, 7)
GREY = (1, 12, 5, 7)
PENALTIES = {"feature_penalty": 1.0}


def gaussian_mask(neurons):
    return GaussianMaskReadout(FEATURES, neurons, width_penalty=1.0, position_penalty=1.0, **PENALTIES)


def factorized(neurons):
    return FactorizedReadout(
        FEATURES,
        neurons,
        mask_constraint="positive",
        feature_constraint="norm",
        mask_penalty=1.0,
        roughness_penalty=1.0,
        **PENALTIES,
    )


def point_gaussian(neurons):
    return PointGaussianReadout(FEATURES, neurons, **PENALTIES)


def isotropic_point_gaussian(neurons):
    return PointGaussianReadout(FEATURES, neurons, covariance="isotropic", align_corners=False, **PENALTIES)


def grouped_point_gaussian(neurons):
    groups = ["on", "off"] * neurons
    options = {"feature_groups": groups[:neurons], "position_groups": groups[:neurons]}
    return PointGaussianReadout(FEATURES, neurons, covariance="uncorrelated", **options, **PENALTIES)


def predicted_point_gaussian(neurons):
    places = torch.arange(2.0 * neurons).reshape(neurons, 2).sin()
    return PointGaussianReadout(
        FEATURES, neurons, coordinates=places, predictor_layers=1, predictor_tanh=True, **PENALTIES
    )


def linear_nonlinear(neurons):
    penalties = {"roughness_penalty": 1.0, "speed_penalty": 1.0, "sparsity_penalty": 1.0}
    return LinearNonlinearReadout(STIMULUS, neurons, temporal_kernel_size=4, nonlinearity="exp", **penalties)


def separable_linear_nonlinear(neurons):
    penalties = {"roughness_penalty": 1.0, "speed_penalty": 1.0, "sparsity_penalty": 1.0}
    return LinearNonlinearReadout(STIMULUS, neurons, temporal_kernel_size=4, rank=2, **penalties)


def instantaneous_linear_nonlinear(neurons):
    return LinearNonlinearReadout(STIMULUS, neurons, roughness_penalty=1.0, sparsity_penalty=1.0)


def spatial_contrast(neurons):
    space = torch.zeros(neurons, 5, 7)
    space[:, 1:4, 2:5] = 1.0
    time = torch.arange(4.0).expand(neurons, 1, 4) / 4
    return SpatialContrastReadout(
        GREY, neurons, spatial_filters=space, temporal_filters=time, contrast_weight=0.1, bias=-1.0
    )


def clone(neurons):
    return ClonedReadout(GaussianMaskReadout(FEATURES, neurons), neurons, penalty=1.0)


BUILDERS = [
    gaussian_mask,
    factorized,
    point_gaussian,
    isotropic_point_gaussian,
    grouped_point_gaussian,
    predicted_point_gaussian,
    linear_nonlinear,
    separable_linear_nonlinear,
    instantaneous_linear_nonlinear,
    spatial_contrast,
    clone,
]
every_readout = pytest.mark.parametrize("build", BUILDERS, ids=lambda build: build.__name__)


def shape_of(build):
    if build is spatial_contrast:
        return GREY
    return STIMULUS if "linear_nonlinear" in build.__name__ else FEATURES


def made(build, neurons=3):
    """A readout whose weights are all different, and features for it."""
    torch.manual_seed(0)
    readout = build(neurons)
    with torch.no_grad():
        for parameter in readout.parameters():
            parameter += 0.1 * torch.randn_like(parameter)
    readout.constrain()
    return readout, torch.randn(2, *shape_of(build))


@every_readout
def test_it_loses_its_lag_and_no_more(build):
    readout, features = made(build)
    assert readout(features).shape == (2, 12 - readout.lag, 3)
    assert readout.lag == (3 if build in (linear_nonlinear, separable_linear_nonlinear, spatial_contrast) else 0)


@every_readout
def test_no_features_give_no_rates(build):
    """Of several processes that train together, one may have no row of a session."""
    readout, features = made(build)
    rates = readout(features[:0])
    assert rates.shape == (0, 12 - readout.lag, 3)
    rates.sum().backward()


@every_readout
def test_it_is_causal(build):
    readout, features = made(build)
    readout.eval()
    rates = readout(features)
    torch.testing.assert_close(readout(features[:, :, :8]), rates[:, : 8 - readout.lag])


@every_readout
def test_without_drive_neurons_fire_at_their_mean_rates(build):
    readout, features = made(build)
    rates = torch.tensor([0.05, 0.5, 20.0])
    position = torch.tensor([[0.0, 0.0], [-1.0, 2.0], [30.0, -30.0]])
    with torch.no_grad():
        for parameter in readout.parameters():
            parameter.clamp_(min=0.01)
    readout.initialize(rates, position)
    if build is spatial_contrast:
        readout.contrast_weight.data.zero_()
    silent = readout(torch.zeros_like(features))
    torch.testing.assert_close(silent, rates.expand_as(silent), rtol=1e-4, atol=1e-4)


@every_readout
def test_the_penalty_is_a_mean_over_neurons(build):
    few, _ = made(build, 4)
    many = build(8)
    weights = few.state_dict()
    for name, weight in many.state_dict().items():
        axes = [axis for axis, size in enumerate(weight.shape) if size != weights[name].shape[axis]]
        weight.copy_(torch.cat([weights[name]] * 2, dim=axes[0]) if axes else weights[name])
    assert few.regularizer() >= 0
    torch.testing.assert_close(many.regularizer(), few.regularizer())


@every_readout
def test_constraints_hold_after_one_call_and_forward_changes_nothing(build):
    readout, features = made(build)
    with torch.no_grad():
        for parameter in readout.parameters():
            parameter *= -3
    before = copy.deepcopy(readout.state_dict())
    for training in (True, False):
        readout.train(training)(features)
    torch.testing.assert_close(readout.state_dict(), before, rtol=0, atol=0)
    readout.constrain()
    once = copy.deepcopy(readout.state_dict())
    readout.constrain()
    torch.testing.assert_close(readout.state_dict(), once, rtol=1e-5, atol=1e-5)


@every_readout
def test_it_can_be_copied_after_a_step(build):
    readout, features = made(build)
    readout(features).sum().backward()
    readout.eval()
    twin = copy.deepcopy(readout)
    torch.testing.assert_close(twin(features), readout(features))
    with torch.no_grad():
        for parameter in readout.parameters():
            parameter += 0.1
    assert not torch.allclose(twin(features), readout(features))


@every_readout
def test_nothing_is_made_on_another_device(build):
    with torch.device("meta"):
        readout = build(3)
        readout.initialize(torch.ones(3), torch.zeros(3, 2))
        for training in (True, False):
            rates = readout.train(training)(torch.zeros(2, *shape_of(build)))
        assert rates.device.type == readout.regularizer().device.type == "meta"
        readout.constrain()


@every_readout
def test_gradients_are_finite_and_none_is_dead(build):
    readout, features = made(build)
    features.requires_grad_()
    rates = readout(features)
    (poisson_loss(rates, torch.ones_like(rates)).mean() + 0.01 * readout.regularizer()).backward()
    for name, gradient in (("features", features.grad), *((n, p.grad) for n, p in readout.named_parameters())):
        assert torch.isfinite(gradient).all(), name
        assert gradient.abs().sum() > 0, name


@every_readout
@pytest.mark.parametrize("training", [True, False])
def test_half_precision_gives_about_the_same(build, training):
    readout, features = made(build)
    torch.manual_seed(1)
    exact = readout.train(training)(features)
    half = copy.deepcopy(readout).bfloat16()
    if build is clone:
        half.original.bfloat16()
    torch.manual_seed(1)
    rates = half(features.bfloat16())
    assert rates.dtype == torch.bfloat16
    if not (training and "point" in build.__name__):  # other points are drawn
        torch.testing.assert_close(rates.float(), exact, rtol=0.1, atol=0.1)
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.isfinite(readout(features)).all()


@every_readout
@pytest.mark.parametrize(("axis", "name"), [(1, "feature"), (3, "height"), (4, "width")])
def test_features_of_another_shape_are_refused_with_the_axis(build, axis, name):
    readout, features = made(build)
    size = features.shape[axis]
    with pytest.raises(UserError, match=rf"{name} {size}, these have {size + 1}"):
        readout(torch.cat([features, features.narrow(axis, 0, 1)], dim=axis))


@every_readout
def test_features_without_a_batch_or_too_short_are_refused(build):
    readout, features = made(build)
    with pytest.raises(UserError, match=r"add an axis with features\[None\]"):
        readout(features[0])
    with pytest.raises(UserError, match=f"more than {readout.lag} bins of features, these have {readout.lag}"):
        readout(features[:, :, : readout.lag])


@pytest.mark.parametrize(
    ("kind", "option", "message"),
    [
        (GaussianMaskReadout, {"nonlinearity": "softpuls"}, "did you mean 'softplus'"),
        (FactorizedReadout, {"nonlinearity": "softpuls"}, "did you mean 'softplus'"),
        (LinearNonlinearReadout, {"nonlinearity": "softpuls"}, "did you mean 'softplus'"),
        (LinearNonlinearReadout, {"temporal_kernel_size": 0}, "temporal_kernel_size must be at least 1, not 0"),
        (LinearNonlinearReadout, {"rank": 0}, "rank must be at least 1, not 0"),
        (FactorizedReadout, {"mask_constraint": "absolute"}, "unknown mask_constraint 'absolute'"),
        (FactorizedReadout, {"feature_constraint": "nrom"}, "did you mean 'norm'"),
        (PointGaussianReadout, {"covariance": "isotropc"}, "did you mean 'isotropic'"),
        (PointGaussianReadout, {"feature_groups": [0, 1]}, "a label for each of the 3 neurons, it has 2"),
        (PointGaussianReadout, {"coordinates": [[0.0], [1.0]]}, r"with 3 neurons, not \(2, 1\)"),
        (PointGaussianReadout, {"coordinates": [[0.0]] * 3, "position_groups": [0, 0, 0]}, "not both"),
    ],
)
def test_options_that_do_not_exist_are_refused(kind, option, message):
    with pytest.raises(UserError, match=message):
        kind(FEATURES, 3, **option)


@pytest.mark.parametrize("kind", [GaussianMaskReadout, FactorizedReadout, PointGaussianReadout, LinearNonlinearReadout])
def test_a_misspelt_option_is_an_error(kind):
    with pytest.raises(TypeError, match="feature_penality"):
        kind(FEATURES, 3, feature_penality=1.0)
