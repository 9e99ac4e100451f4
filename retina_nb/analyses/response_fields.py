"""The plane of images that matters most to a neuron, and how its response changes all over it (Goldin et al. 2022)."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from jaxtyping import Float

from retina_nb.analyses.local_spike_triggered import LocalSpikeTriggeredAverages
from retina_nb.errors import UserError, unknown
from retina_nb.representations import one_line


@one_line
@dataclass(frozen=True)
class ResponseField:
    """A neuron's mean response and mean gradient in the bins of a plane of images.

    Args:
        directions: images of norm 1 that span the plane.
        explained: what part of the squared gradients, or of the images' variance, each direction holds.
        coordinates: where the images lie, in units of contrast times root of the number of pixels.
        edges: of the bins along the first and the second direction, in the same units.
        response: mean response of the images in each bin (events per bin); NaN where there is none.
        gradient: mean gradient along the two directions (events per bin and unit of the coordinates); NaN likewise.
        count: number of images in each bin.
    """

    directions: Float[np.ndarray, "2 channel height width"]
    explained: Float[np.ndarray, "2"]
    coordinates: Float[np.ndarray, "stimulus 2"]
    edges: tuple[Float[np.ndarray, " edge"], Float[np.ndarray, " edge"]]
    response: Float[np.ndarray, "bin bin"]
    gradient: Float[np.ndarray, "bin bin 2"]
    count: Float[np.ndarray, "bin bin"]

    @property
    def centers(self) -> tuple[Float[np.ndarray, " bin"], Float[np.ndarray, " bin"]]:
        """Middles of the bins along both directions."""
        first, second = ((edges[1:] + edges[:-1]) / 2 for edges in self.edges)
        return first, second

    def to_dataframe(self) -> pd.DataFrame:
        """A row for each bin: its middle, ``first`` and ``second``; ``count``, the number of images in it; their mean
        ``response`` (events per bin); the mean gradient along both directions, ``gradient_first`` and
        ``gradient_second``."""
        first, second = (axis.ravel() for axis in np.meshgrid(*self.centers, indexing="ij"))
        along = self.gradient.reshape(-1, 2).T
        columns = {"first": first, "second": second, "count": self.count.ravel().astype(int)}
        columns |= {"response": self.response.ravel(), "gradient_first": along[0], "gradient_second": along[1]}
        return pd.DataFrame(columns)

    def images(self, points: int = 15) -> Float[np.ndarray, "image channel height width"]:
        """Images that lie in the plane and nowhere beside it, on a grid as wide as the bins.

        There are ``points * points``, with the second coordinate changing fastest. Shown to the neuron, they have its
        iso-response lines without the scatter of what natural images hold besides.
        """
        first, second = (np.linspace(edges[0], edges[-1], points) for edges in self.edges)
        grid = np.stack(np.meshgrid(first, second, indexing="ij"), axis=-1).reshape(-1, 2)
        return np.einsum("gd,dchw->gchw", grid, self.directions).astype(np.float32)


def response_field(
    local: LocalSpikeTriggeredAverages, row: int, *, of: str = "gradients", bins: int = 15
) -> ResponseField:
    """Bin a neuron's responses and gradients in a plane.

    Args:
        local: of the neuron and of many stimuli.
        row: which of the neurons in `local`.
        of: ``"gradients"`` for the plane that holds most of the squared gradients (the active subspace of Constantine
            2015: for a linear neuron its receptive field is the first direction), or ``"images"`` for the first
            principal components of the images, the same for all neurons.
        bins: along each direction.

    Raises:
        UserError: if there is no such neuron or kind of plane, less than two stimuli, or the neuron has no gradient.
    """
    if not 0 <= row < len(local.lsta):
        raise UserError(f"there is no row {row}: the local fields are of rows 0 to {len(local.lsta) - 1}")
    if of not in ("gradients", "images"):
        raise unknown("plane of", of, ("gradients", "images"))
    if len(local.images) < 2 or bins < 1:
        raise UserError(f"a plane needs two stimuli and one bin or more, not {len(local.images)} and {bins}")
    images, gradients = (array.reshape(len(local.images), -1) for array in (local.images, local.lsta[row]))
    directions, explained = _plane(gradients if of == "gradients" else images - images.mean(axis=0))
    coordinates, along = images @ directions.T, gradients @ directions.T
    edges = tuple(
        np.linspace(low, high, bins + 1) for low, high in zip(coordinates.min(0), coordinates.max(0), strict=True)
    )
    place = tuple(
        np.clip(np.searchsorted(one, column, side="right") - 1, 0, bins - 1)
        for one, column in zip(edges, coordinates.T, strict=True)
    )
    sums = np.zeros((bins, bins, 4))  # count, response and gradient
    np.add.at(sums, place, np.column_stack([np.ones(len(images)), local.response[row], along]))
    count = sums[..., :1]
    means = np.divide(sums[..., 1:], count, out=np.full_like(sums[..., 1:], np.nan), where=count > 0)
    return ResponseField(
        directions=directions.reshape(2, *local.images.shape[1:]),
        explained=explained,
        coordinates=coordinates,
        edges=(edges[0], edges[1]),
        response=means[..., 0],
        gradient=means[..., 1:],
        count=count[..., 0],
    )


def _plane(rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The two directions (2, pixel) that hold most of the squares of the rows, and what part each holds.

    The rows lie on their positive side on average, so that the sign does not depend on chance.
    """
    if not np.square(rows).sum() > 0:
        raise UserError("the responses do not change with any pixel, or the images are all the same: there is no plane")
    _, singular, directions = np.linalg.svd(rows.astype(np.float64), full_matrices=False)
    directions = directions[:2]
    along = (rows @ directions.T).sum(axis=0)
    return directions * np.where(along < 0, -1.0, 1.0)[:, None], (singular**2 / (singular**2).sum())[:2]
