"""Fits of the subunit model: everything together by penalised likelihood, neuron by neuron.

The penalty is on the sum of the pooling weights, so that few subunits are left.
"""

from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from retina_nb.errors import UserError
from retina_nb.losses import poisson_loss
from retina_nb.models.fitting import Rows, bins_of, minimized, needed_rows, raised_cosines
from retina_nb.models.linear_nonlinear import LinearNonlinear, fit_linear_nonlinear
from retina_nb.models.locate import locate_receptive_fields
from retina_nb.models.single_cell import SessionModels, by_session, fit_sessions
from retina_nb.models.subunits import SubunitModel, gaussians, pooled, through_time
from retina_nb.recording import Recording, by_name

_WIDTHS = (0.5, 1.0, 2.0)  # of the Gaussians that make up a subunit, in distances between subunits
_CENTER_SURROUND = (0.2, 0.8, -0.5)  # their weights at the start
_BASIS = 12  # raised cosines in time
_STRENGTHS = (20.0, 100.0)  # of the penalty, in nats per spike times training bins
_TRIES, _ITERATIONS = 15, 40  # of L-BFGS from each start, and for each strength


def fit_subunits(
    recordings: Recording | Mapping[str, Recording],
    *,
    spacing_um: float = 50.0,
    radius_um: float = 225.0,
    history: float = 0.7,
) -> SessionModels:
    """Fit subunit models to training bins, about a second for a neuron; validation bins choose the penalty's strength.

    The problem is not convex. Each neuron starts from its linear-nonlinear model, from a generic ON-OFF cell, and from
    one that its subunits silence, and goes on from the best of them.

    Args:
        recordings: sessions by name, all at one rate, or one session.
        spacing_um: distance between the places at which subunits may be (µm); a pixel if the recording does not say
            how large it is. A subunit is made of Gaussians of a half, one and two times this width.
        radius_um: how far from the neuron's middle they may be (µm).
        history: how far the filters reach back (s).

    Returns:
        A `SubunitModel` for each session.

    Raises:
        UserError: if spacing or radius are not above 0, and whatever `fit_linear_nonlinear` complains of.
    """
    if spacing_um <= 0 or radius_um < spacing_um:
        raise UserError(f"subunits need 0 < spacing <= radius, not {spacing_um:g} and {radius_um:g}")
    recordings = by_name(recordings)
    lag = bins_of(recordings, history)
    linear = fit_linear_nonlinear(recordings, history=history)

    def fit(members: list[Recording]) -> list[SubunitModel]:
        first, rows = members[0], needed_rows(members, lag)
        pixel = first.pixel_um if np.isfinite(first.pixel_um) else spacing_um
        places, widths = _grid(spacing_um / pixel, radius_um / pixel), torch.tensor(_WIDTHS) * spacing_um / pixel
        cells = [cell for member in members for cell in _cells(linear[member.session], member)]
        found = _side_by_side(lambda number: _fit_neuron(cells[number], rows, number, places, widths), len(cells))
        weights = tuple(torch.stack(one) for one in zip(*found, strict=True))
        frame = first.movie.frame_shape
        return [
            SubunitModel(center, places.clone(), widths.clone(), *rest, frame=frame)
            for center, *rest in by_session(weights, members)
        ]

    return fit_sessions(recordings, fit)


def _side_by_side(fit: Callable[[int], tuple[Tensor, ...]], count: int) -> list[tuple[Tensor, ...]]:
    """Fits of many neurons, as many at a time as torch has threads: each is too small to be shared between threads."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with ThreadPoolExecutor(threads) as pool:
            return list(pool.map(fit, range(count)))
    finally:
        torch.set_num_threads(threads)


class _Start(NamedTuple):
    """Where a fit starts."""

    center: Float[Tensor, " 2"]
    colour: Float[Tensor, " channel"]
    temporal: Float[Tensor, " history"]
    other_polarity: float
    sign: float


def _grid(spacing: float, radius: float) -> Float[Tensor, "subunit 2"]:
    """Places (y, x) of a square grid within a radius."""
    side = torch.arange(-int(radius / spacing), int(radius / spacing) + 1) * spacing
    grid = torch.cartesian_prod(side, side)
    return grid[grid.norm(dim=1) <= radius]


def _cells(linear: LinearNonlinear, recording: Recording) -> list[list[_Start]]:
    """For each neuron, the starts to try."""
    age = torch.arange(linear.lag, -1, -1) / recording.rate
    course = _bump(age, 0.1) - 0.4 * _bump(age, 0.2)
    white = torch.ones(recording.movie.frame_shape[0])
    cells = []
    for spatial, temporal, located in zip(
        linear.spatial[:, 0].detach(), linear.temporal[:, 0].detach(), locate_receptive_fields(recording), strict=True
    ):
        place = torch.from_numpy(located)
        middle = _middle(spatial.square().sum(dim=0))
        cells.append(
            [
                _Start(middle, _colour(spatial), temporal, 0.01, 1.0),
                _Start(place, white, course, 1.0, 1.0),
                _Start(place, white, course, 1.0, -1.0),
            ]
        )
    return cells


def _middle(power: Float[Tensor, "height width"]) -> Float[Tensor, " 2"]:
    """Centroid (y, x) of the strong part of a map, rounded to a pixel."""
    smooth = F.avg_pool2d(power[None], 3, stride=1, padding=1)[0]
    strong = smooth * (smooth > smooth.max() / 3)
    grid = torch.stack(torch.meshgrid(*map(torch.arange, power.shape), indexing="ij"))
    return ((grid * strong).sum(dim=(1, 2)) / (strong.sum() + 1e-12)).round()


def _colour(spatial: Float[Tensor, "channel height width"]) -> Float[Tensor, " channel"]:
    """The channels' weights where a filter is strongest."""
    return spatial.flatten(1)[:, spatial.square().sum(dim=0).argmax()]


def _bump(age: Tensor, peak: float) -> Tensor:
    return (age / peak) ** 5 * torch.exp(5 * (1 - age / peak))


@dataclass(frozen=True, eq=False)
class _Neuron:
    """One neuron's part of the data, and where its fit starts.

    Args:
        rows: the bins.
        response: of the neuron.
        seen: the stimulus through every Gaussian of every subunit.
        scale: what `seen` was divided by.
        start: where the fit starts.
    """

    rows: Rows
    response: Float[Tensor, " row"]
    seen: Float[Tensor, "channel width subunit row"]
    scale: Tensor
    start: _Start

    @property
    def basis(self) -> Float[Tensor, "basis history"]:
        return raised_cosines(_BASIS, len(self.start.temporal))

    @cached_property
    def mean_response(self) -> Tensor:
        return (self.rows.train @ self.response).clamp(min=1e-6)


def _fit_neuron(starts: list[_Start], rows: Rows, neuron: int, places: Tensor, widths: Tensor) -> tuple[Tensor, ...]:
    """What makes a `SubunitModel` of one neuron, but for places and widths, which all share."""
    tried = [_look(start, rows, neuron, places, widths) for start in starts]
    fits = [(one, _fitted(_first_weights(one, places), one, _STRENGTHS[0], _TRIES)) for one in tried]
    best, weights = min(fits, key=lambda fit: float(_loss(fit[1], fit[0], rows.train)))
    path = [weights := _fitted(weights, best, strength, _ITERATIONS) for strength in _STRENGTHS]
    return _parts(min(path, key=lambda found: float(_loss(found, best, rows.validation))), best)


def _look(start: _Start, rows: Rows, neuron: int, places: Tensor, widths: Tensor) -> _Neuron:
    channel, height, width = rows.recording.movie.frame_shape
    filters = gaussians(start.center + places, widths, (height, width)).flatten(2)
    blocks = (block.unflatten(1, (channel, -1)) for block in rows.frames())
    seen = torch.cat([torch.einsum("rcp,swp->cwsr", block, filters) for block in blocks], dim=-1)
    scale = seen.std().clamp(min=1e-6)
    return _Neuron(rows, rows.responses[:, neuron], seen / scale, scale, start)


def _first_weights(neuron: _Neuron, places: Tensor) -> dict[str, Tensor]:
    """A bump of pooling around the middle, scaled so that the drive has unit variance."""
    start, log_mean = neuron.start, neuron.mean_response.log()
    on_screen = neuron.seen.square().sum(dim=(0, 1, 3)) > 0
    spread = places.norm(dim=1).max() / 3
    weights = {
        "shape": start.colour[:, None] / (start.colour.norm() + 1e-12) * torch.tensor(_CENTER_SURROUND),
        "temporal": neuron.basis @ start.temporal,
        "root_pooling": torch.exp(-places.square().sum(dim=1) / (4 * spread**2)) * on_screen,
        "root_other": torch.tensor(start.other_polarity).sqrt(),
    }
    factor = _drive(weights, neuron).std().clamp(min=1e-6) ** -0.25  # the drive grows with the fourth power
    weights |= {name: weights[name] * factor for name in ("shape", "temporal", "root_pooling")}
    return weights | {"offset": -_drive(weights, neuron).mean(), "log_gain": log_mean, "log_base": log_mean - 4}


def _fitted(weights: dict[str, Tensor], neuron: _Neuron, strength: float, iterations: int) -> dict[str, Tensor]:
    """The weights of the largest likelihood under a penalty.

    The sum of the squares of filters and roots is least where they are balanced: what is penalised is the size of the
    filters and the sum of the pooling weights, so that few of these are left.
    """

    def loss(**weights: Tensor) -> Tensor:
        size = sum(weights[name].square().sum() for name in ("shape", "temporal", "root_pooling"))
        return _loss(weights, neuron, neuron.rows.train) + strength * neuron.rows.train.max() * size

    return minimized(loss, weights, iterations)


def _loss(weights: dict[str, Tensor], neuron: _Neuron, counted: Float[Tensor, " row"]) -> Float[Tensor, ""]:
    """Nats per spike in the bins that are counted."""
    drive = _drive(weights, neuron) + weights["offset"]
    rate = weights["log_gain"].exp() * F.softplus(drive) + weights["log_base"].exp()
    rows = slice(len(counted) - len(drive), None)
    return counted[rows] @ poisson_loss(rate, neuron.response[rows]) / neuron.mean_response


def _drive(weights: dict[str, Tensor], neuron: _Neuron) -> Float[Tensor, " row_out"]:
    traces = torch.tensordot(weights["shape"], neuron.seen, dims=2)
    seen = through_time(traces, weights["temporal"] @ neuron.basis)
    return neuron.start.sign * pooled(seen, weights["root_pooling"].square(), weights["root_other"].square())


def _parts(weights: dict[str, Tensor], neuron: _Neuron) -> tuple[Tensor, ...]:
    """In the order of `SubunitModel`'s arguments. The temporal filter has unit norm and a positive peak."""
    temporal = weights["temporal"] @ neuron.basis
    polarity = temporal[temporal.abs().argmax()].sign()
    size = temporal.norm() + 1e-12
    return (
        neuron.start.center,
        weights["shape"] / neuron.scale * polarity,
        temporal / size * polarity,
        weights["root_pooling"].square() * size,
        weights["root_other"].square(),
        torch.tensor(neuron.start.sign),
        weights["offset"],
        weights["log_gain"].exp(),
        weights["log_base"].exp(),
    )
