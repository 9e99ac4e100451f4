"""The readout of Lurz et al. 2021: each neuron looks at one point, drawn from a Gaussian in training."""

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from retina_nb.errors import UserError, unknown
from retina_nb.readouts.base import LinearReadout, check_features

# Numbers that say how points spread: a matrix, a standard deviation for each axis, one for both.
COVARIANCES = {"full": (2, 2), "uncorrelated": (2,), "isotropic": (1,)}
# On more pixels it is faster to pick four of them than to multiply them all (both timed on a CPU).
_PRODUCT_PIXELS = 200


class PointGaussianReadout(LinearReadout):
    """A neuron weighs the features at one point, interpolated between the four nearest pixels.

    ``rate = nonlinearity(sum_c feature_weight_c * feature_c(point) + bias)`` (Lurz et al. 2021, ICLR). In training
    the point is drawn from a Gaussian around the neuron's position, once for each element of the batch, so that
    positions have a gradient from farther away than the next pixel; otherwise it is the position. (A draw for every
    bin learns positions no better in the end, and reads two to ten times slower.)

    Positions are (y, x), and each side of the feature movie runs from -1 to 1. They are parameters of the neurons,
    of groups of neurons, or what a small network makes of the cells' coordinates in the tissue.

    Args:
        feature_shape: (feature, time, height, width) of the feature movie; time is not used.
        neurons: number of neurons.
        covariance: ``"full"``, ``"uncorrelated"`` or ``"isotropic"``, the shape of the Gaussians.
        initial_spread: their standard deviation at the start.
        align_corners: whether -1 and 1 are the middles of the outermost pixels, not their outer edges.
        feature_groups: a label for each neuron, e.g. its type; neurons of one label share feature weights, and each
            has a factor of its own. None if they share none.
        position_groups: a label for each neuron; neurons of one label share their position.
        coordinates: (neuron, dimension) place of each cell in the tissue, from which its position is predicted.
        predictor_layers: hidden layers of the network that predicts them; it is linear with none.
        predictor_features: width of these layers.
        predictor_tanh: whether predictions are kept within the feature movie by tanh; they are cut off otherwise.
        bias: whether the bias is learned; it stays at zero otherwise.
        nonlinearity: name of the output nonlinearity.
        feature_penalty: weight of the penalty on absolute feature weights, summed over features.

    Raises:
        UserError: if there is no such covariance, labels or coordinates are not one for each neuron, or positions
            would be both shared and predicted.
    """

    position: nn.Parameter | None  # (neuron or group, 2)
    scale: nn.Parameter | None  # (neuron,)
    feature_group: Tensor | None  # (neuron,)
    position_group: Tensor | None
    coordinates: Tensor  # (neuron, dimension)

    def __init__(
        self,
        feature_shape: tuple[int, int, int, int],
        neurons: int,
        *,
        covariance: str = "full",
        initial_spread: float = 0.15,
        align_corners: bool = True,
        feature_groups: Sequence[str | int] | None = None,
        position_groups: Sequence[str | int] | None = None,
        coordinates: Float[Tensor, "neuron dimension"] | Sequence[Sequence[float]] | None = None,
        predictor_layers: int = 0,
        predictor_features: int = 20,
        predictor_tanh: bool = False,
        bias: bool = True,
        nonlinearity: str = "softplus",
        feature_penalty: float = 0.0,
    ) -> None:
        super().__init__(feature_shape, neurons, nonlinearity=nonlinearity, bias=bias)
        if covariance not in COVARIANCES:
            raise unknown("covariance", covariance, COVARIANCES)
        if coordinates is not None and position_groups is not None:
            raise UserError("positions are either predicted or shared: give coordinates or position_groups, not both")
        self.align_corners, self.feature_penalty = align_corners, feature_penalty
        start = torch.diag(torch.full((2,), initial_spread)) if covariance == "full" else torch.tensor(initial_spread)
        spread = start.expand(neurons, *COVARIANCES[covariance])
        self.spread = nn.Parameter(spread.clone(memory_format=torch.contiguous_format))

        groups, group = _groups("feature_groups", feature_groups, neurons)
        self.register_buffer("feature_group", group)
        self.features = nn.Parameter(torch.full((feature_shape[0], groups), 1 / feature_shape[0]))
        self.scale = None if group is None else nn.Parameter(torch.ones(neurons))

        groups, group = _groups("position_groups", position_groups, neurons)
        self.register_buffer("position_group", group)
        self.position = nn.Parameter(torch.zeros(groups, 2)) if coordinates is None else None
        if coordinates is not None:
            self.register_buffer("coordinates", _normalised(torch.as_tensor(coordinates), neurons))
            widths = [self.coordinates.shape[1]] + [predictor_features] * predictor_layers + [2]
            self.predictor = _network(widths, nn.Tanh() if predictor_tanh else nn.Identity())

    def positions(self) -> Float[Tensor, "neuron 2"]:
        """Position (y, x) of each neuron; each side of the feature movie runs from -1 to 1."""
        if self.position is None:
            return self.predictor(self.coordinates).clamp(-1, 1)
        return self.position if self.position_group is None else self.position[self.position_group]

    def feature_weights(self) -> Float[Tensor, "feature neuron"]:
        """Weight of each feature for each neuron."""
        return self.features if self.scale is None else self.features[:, self.feature_group] * self.scale

    def masks(self) -> Float[Tensor, "neuron height width"]:
        """How much each pixel counts at the neurons' positions: four of them share in each mask."""
        return self._interpolation(self.positions())

    def weights(self) -> Float[Tensor, "feature height width neuron"]:
        return torch.einsum("nhw,cn->chwn", self.masks(), self.feature_weights())

    @property
    def is_product(self) -> bool:
        return not self.training and self._is_small

    @property
    def _is_small(self) -> bool:
        return self.feature_shape[2] * self.feature_shape[3] <= _PRODUCT_PIXELS

    def forward(
        self, features: Float[Tensor, "*batch feature time height width"]
    ) -> Float[Tensor, "*batch time neuron"]:
        if self.is_product:
            return super().forward(features)
        check_features(features, self.feature_shape)
        points = self.positions().expand(len(features), -1, -1)
        if self.training:
            points = (points + self._offsets(points)).clamp(-1, 1)
        return self.rate(self._multiplied(features, points) if self._is_small else self._picked(features, points))

    def _multiplied(
        self, features: Float[Tensor, "batch feature time height width"], points: Float[Tensor, "batch neuron 2"]
    ) -> Float[Tensor, "batch time neuron"]:
        weights = torch.einsum("bnhw,cn->bchwn", self._interpolation(points), self.feature_weights())
        return features.movedim(2, 1).flatten(2) @ weights.flatten(1, 3)

    def _picked(
        self, features: Float[Tensor, "batch feature time height width"], points: Float[Tensor, "batch neuron 2"]
    ) -> Float[Tensor, "batch time neuron"]:
        x_first = points.flip(-1)[:, :, None]
        seen = F.grid_sample(features.flatten(1, 2), x_first, align_corners=self.align_corners)[..., 0]
        seen = seen.unflatten(1, features.shape[1:3])  # (batch, feature, time, neuron)
        return torch.einsum("bctn,cn->btn", seen, self.feature_weights())

    def _interpolation(self, points: Float[Tensor, "*batch neuron 2"]) -> Float[Tensor, "*batch neuron height width"]:
        sides = zip(points.unbind(dim=-1), self.feature_shape[2:], strict=True)
        y, x = (_shares(place, size, self.align_corners) for place, size in sides)
        return y[..., :, None] * x[..., None, :]

    def _offsets(self, points: Float[Tensor, "batch neuron 2"]) -> Float[Tensor, "batch neuron 2"]:
        noise = torch.randn_like(points)
        return torch.einsum("nij,bnj->bni", self.spread, noise) if self.spread.ndim == 3 else self.spread * noise

    def regularizer(self) -> Float[Tensor, ""]:
        return self.feature_penalty * self.feature_weights().abs().sum(dim=0).mean()

    @torch.no_grad()
    def constrain(self) -> None:
        if self.position is not None:
            self.position.clamp_(-1, 1)

    @torch.no_grad()
    def initialize(self, mean_rate: Float[Tensor, " neuron"], position: Float[Tensor, "neuron 2"]) -> None:
        super().initialize(mean_rate, position)
        sides = torch.tensor(self.feature_shape[2:], device=position.device) - int(self.align_corners)
        places = (2 * position / sides.clamp(min=1)).clamp(-1, 1).to(self.spread)
        if self.position is None:
            self._predict(places)
        elif self.position_group is None:
            self.position.copy_(places)
        else:
            groups = torch.arange(len(self.position), device=places.device)
            member = (self.position_group == groups[:, None]).to(places)
            self.position.copy_(member @ places / member.sum(dim=1, keepdim=True))

    def _predict(self, places: Float[Tensor, "neuron 2"]) -> None:
        """Fit the predictor's last linear layer to these places by least squares."""
        *hidden, last, squash = self.predictor
        if isinstance(squash, nn.Tanh):
            places = torch.atanh(places.clamp(-0.95, 0.95))
        inputs = F.pad(nn.Sequential(*hidden)(self.coordinates), (0, 1), value=1.0)
        solution = torch.linalg.pinv(inputs.float()) @ places.float()
        last.weight.copy_(solution[:-1].T)  # type: ignore[operator]
        last.bias.copy_(solution[-1])  # type: ignore[operator]


def _network(widths: Sequence[int], last: nn.Module) -> nn.Sequential:
    """Linear layers with ELUs between them."""
    layers: list[nn.Module] = [nn.Linear(widths[0], widths[1])]
    for inputs, outputs in pairwise(widths[1:]):
        layers += [nn.ELU(), nn.Linear(inputs, outputs)]
    return nn.Sequential(*layers, last)


def _shares(place: Float[Tensor, "*batch"], size: int, align_corners: bool) -> Float[Tensor, "*batch pixel"]:
    """How much the pixels along one axis count for a point between two of them; nothing is outside the movie."""
    pixel = ((place + 1) / 2 * (size - 1) if align_corners else ((place + 1) * size - 1) / 2)[..., None]
    before = pixel.floor()
    share = pixel - before
    index = torch.arange(size, device=place.device)
    return (index == before) * (1 - share) + (index == before + 1) * share


def _groups(what: str, labels: Sequence[str | int] | None, neurons: int) -> tuple[int, Tensor | None]:
    """How many different labels there are, and the index of each neuron's among them in sorted order."""
    if labels is None:
        return neurons, None
    if len(labels) != neurons:
        raise UserError(f"{what} needs a label for each of the {neurons} neurons, it has {len(labels)}")
    known, index = np.unique(np.asarray(labels), return_inverse=True)
    return len(known), torch.as_tensor(index)


def _normalised(coordinates: Tensor, neurons: int) -> Float[Tensor, "neuron dimension"]:
    """Coordinates around zero, the farthest at one."""
    if coordinates.ndim != 2 or len(coordinates) != neurons:
        raise UserError(
            f"coordinates must be (neuron, dimension) with {neurons} neurons, not {tuple(coordinates.shape)}"
        )
    centred = coordinates.float() - coordinates.float().mean(dim=0)
    return centred / centred.abs().max().clamp(min=1e-12)
