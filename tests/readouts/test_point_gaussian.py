import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st

from retina_nb.readouts import PointGaussianReadout

SHAPE = (3, 6, 5, 7)
COORDINATES = torch.tensor([[0.0, 0.0], [100.0, 0.0], [0.0, 50.0], [100.0, 80.0]])


def placed(position, shape=SHAPE, **options):
    readout = PointGaussianReadout(shape, len(position), **options).eval()
    with torch.no_grad():
        readout.position.copy_(torch.as_tensor(position))
    return readout


def test_a_position_is_y_before_x():
    readout = placed([[-1.0, 1.0], [1.0, 0.0], [0.5, -1 / 3]])
    masks = readout.masks().detach()
    assert masks[0, 0, 6] == masks[1, 4, 3] == 1
    torch.testing.assert_close(masks[2, 3, 2], torch.tensor(1.0))  # a quarter from the bottom, a third from the left
    features = torch.zeros(1, *SHAPE)
    features[0, :, :, 0, 6] = 5.0
    drive = readout(features)[0, 0] - readout(torch.zeros_like(features))[0, 0]
    assert drive[0] > 1
    assert drive[1:].abs().max() < 1e-6


def test_it_starts_at_the_pixels_that_it_is_given():
    for align_corners in (True, False):
        readout = PointGaussianReadout(SHAPE, 3, align_corners=align_corners).eval()
        readout.initialize(torch.ones(3), torch.tensor([[0.0, 0.0], [-1.0, 2.0], [1.5, -2.5]]))
        masks = readout.masks().detach()
        assert masks[0, 2, 3] == pytest.approx(1)
        assert masks[1, 1, 5] == pytest.approx(1)
        torch.testing.assert_close(masks[2, 3:, :2], torch.full((2, 2), 0.25))


def test_between_pixels_it_interpolates():
    height, width = torch.meshgrid(torch.arange(5.0), torch.arange(7.0), indexing="ij")
    features = (10 * height + width).expand(1, *SHAPE)
    readout = placed([[0.25, -0.5]], nonlinearity="identity")
    row, column = (0.25 + 1) * 4 / 2, (-0.5 + 1) * 6 / 2
    torch.testing.assert_close(readout(features), torch.full((1, 6, 1), 10 * row + column))


@given(y=st.floats(-1, 1), x=st.floats(-1, 1), align_corners=st.booleans())
def test_masks_are_what_grid_sample_reads(y, x, align_corners):
    readout = placed([[y, x]], align_corners=align_corners)
    pixels = torch.eye(35).reshape(1, 35, 5, 7)
    seen = F.grid_sample(pixels, torch.tensor([[[[x, y]]]]), align_corners=align_corners)
    torch.testing.assert_close(readout.masks().detach().flatten(), seen.flatten(), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("align_corners", [True, False])
def test_large_movies_are_read_alike(align_corners):
    torch.manual_seed(0)
    shape = (3, 4, 19, 21)
    readout = placed(torch.rand(4, 2) * 2 - 1, shape, align_corners=align_corners)
    assert not readout.is_product
    features = torch.randn(2, *shape, requires_grad=True)
    product = torch.einsum("bcthw,chwn->btn", features, readout.weights())
    torch.testing.assert_close(readout(features), F.softplus(product + readout.bias))


@pytest.mark.parametrize("shape", [SHAPE, (3, 4, 19, 21)])
def test_without_spread_training_reads_the_position(shape):
    torch.manual_seed(0)
    readout = placed(torch.rand(4, 2) * 2 - 1, shape, initial_spread=0.0)
    features = torch.randn(2, *shape)
    torch.testing.assert_close(readout.train()(features), readout.eval()(features))


@pytest.mark.parametrize(
    ("covariance", "spread", "expected"),
    [
        ("full", [[0.1, 0.0], [0.15, 0.2]], [[0.01, 0.015], [0.015, 0.0625]]),
        ("uncorrelated", [0.1, 0.2], [[0.01, 0.0], [0.0, 0.04]]),
        ("isotropic", [0.1], [[0.01, 0.0], [0.0, 0.01]]),
    ],
)
def test_points_are_drawn_with_the_covariance_y_before_x(covariance, spread, expected):
    torch.manual_seed(0)
    readout = PointGaussianReadout((2, 1, 41, 61), 1, covariance=covariance, nonlinearity="identity")
    with torch.no_grad():
        readout.spread.copy_(torch.tensor([spread]))
        readout.features.fill_(1.0)
    y, x = torch.meshgrid(torch.linspace(-1, 1, 41), torch.linspace(-1, 1, 61), indexing="ij")
    coordinate = torch.stack([torch.stack([y, 0 * y]), torch.stack([0 * x, x])])  # one feature of each is not zero
    points = torch.stack([readout(c[None, :, None].expand(4000, -1, -1, -1, -1))[:, 0, 0] for c in coordinate])
    for axis, variance in zip(points, torch.tensor(expected).diagonal(), strict=True):
        assert axis.var().item() == pytest.approx(variance.item(), rel=0.1)
    both = readout((y + x).expand(4000, 1, 1, 41, 61).expand(-1, 2, -1, -1, -1) / 2)[:, 0, 0]
    assert both.var().item() == pytest.approx(torch.tensor(expected).sum().item(), rel=0.1)


def test_one_point_is_drawn_for_each_element_of_the_batch():
    torch.manual_seed(0)
    readout = PointGaussianReadout(SHAPE, 4)
    rates = readout(torch.randn(1, *SHAPE)[:, :, :1].expand(5, -1, 6, -1, -1)).detach()
    torch.testing.assert_close(rates, rates[:, :1].expand_as(rates))
    assert len(rates[:, 0, 0].unique()) == 5


def test_positions_are_brought_back_into_the_movie_after_a_step():
    readout = placed([[-3.0, 0.5], [0.2, 1.1]])
    readout.constrain()
    torch.testing.assert_close(readout.positions().detach(), torch.tensor([[-1.0, 0.5], [0.2, 1.0]]))


def test_neurons_of_a_group_share_feature_weights_up_to_a_factor():
    readout = PointGaussianReadout(SHAPE, 4, feature_groups=["on", "off", "on", "on"])
    assert readout.features.shape == (3, 2)
    with torch.no_grad():
        readout.features.copy_(torch.tensor([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]]))  # off, on
        readout.scale.copy_(torch.tensor([1.0, 1.0, 0.5, -1.0]))
    expected = torch.tensor([[2.0, 1.0, 1.0, -2.0], [4.0, 3.0, 2.0, -4.0], [6.0, 5.0, 3.0, -6.0]])
    torch.testing.assert_close(readout.feature_weights().detach(), expected)


def test_neurons_of_a_group_share_their_position():
    readout = PointGaussianReadout(SHAPE, 4, position_groups=[7, 7, 2, 7])
    readout.initialize(torch.ones(4), torch.tensor([[0.0, 0.0], [1.0, 1.0], [-2.0, -3.0], [2.0, 2.0]]))
    expected = torch.tensor([[0.5, 1 / 3], [0.5, 1 / 3], [-1.0, -1.0], [0.5, 1 / 3]])
    torch.testing.assert_close(readout.positions().detach(), expected)


@pytest.mark.parametrize("options", [{}, {"predictor_tanh": True}, {"predictor_layers": 2}])
def test_positions_are_predicted_from_coordinates(options):
    torch.manual_seed(0)
    readout = PointGaussianReadout(SHAPE, 4, coordinates=COORDINATES, **options).eval()
    position = torch.stack([COORDINATES[:, 1] / 50, COORDINATES[:, 0] / 100], dim=1)  # pixels, turned and scaled
    readout.initialize(torch.ones(4), position)
    expected = position / torch.tensor([2.0, 3.0])
    torch.testing.assert_close(readout.positions().detach(), expected, rtol=0.0, atol=0.06)
    readout(torch.randn(1, *SHAPE)).sum().backward()
    assert readout.predictor[0].weight.grad.abs().sum() > 0


def test_the_penalty_is_that_of_the_formula():
    readout = PointGaussianReadout(SHAPE, 2, feature_penalty=0.3)
    with torch.no_grad():
        readout.features.copy_(torch.tensor([[1.0, -2.0], [0.0, 3.0], [4.0, 0.5]]))
    torch.testing.assert_close(readout.regularizer().detach(), torch.tensor(0.3 * (5 + 5.5) / 2))
