"""The same cells, moved to the middle of the screen: what they compute can then be compared on the same stimulus."""

from collections.abc import Callable
from copy import deepcopy
from typing import Any

import numpy as np
import torch
from scipy.ndimage import center_of_mass, shift
from torch import Tensor

from retina_nb.errors import UserError
from retina_nb.loaders.simulated.truth import Truth
from retina_nb.models.core_readout import CoreReadout
from retina_nb.models.ensemble import Ensemble
from retina_nb.readouts import FactorizedReadout, GaussianMaskReadout, PointGaussianReadout, Readout


def centred(model: Any) -> Any:
    """A copy of a model in which every cell looks at the middle of the screen.

    A convolutional core does the same in all places, so that a twin's readouts can be moved. The truth's cells are
    moved themselves.

    Args:
        model: a twin, an ensemble of twins, or a truth.

    Raises:
        UserError: if the model, or a readout of it, cannot be moved.
    """
    if isinstance(model, Ensemble):
        return Ensemble([centred(member) for member in model.members])
    if isinstance(model, Truth):
        return _centred_truth(model)
    if not isinstance(model, CoreReadout):
        raise UserError(f"the cells of a {type(model).__name__} cannot be moved to the middle: give a twin or a truth")
    moved = deepcopy(model)
    with torch.no_grad():
        for session in moved.sessions or [""]:
            _centre(moved.session_readout(session))
    return moved.eval()


def _centre(readout: Readout) -> None:
    for kind, move in _MOVES.items():
        if type(readout) is kind:
            return move(readout)
    names = ", ".join(kind.__name__ for kind in _MOVES)
    raise UserError(f"a {type(readout).__name__} cannot be moved to the middle: give a twin with {names}")


def _centre_gaussian(readout: Any) -> None:
    readout.position.zero_()


def _centre_point(readout: Any) -> None:
    if readout.position is None:
        raise UserError("positions that are predicted from coordinates cannot be moved to the middle")
    readout.position.zero_()


def _centre_factorized(readout: Any) -> None:
    """Move each mask by its centroid; what leaves the map is lost."""
    masks = readout.mask.detach().cpu().numpy()
    middle = (np.array(masks.shape[1:]) - 1) / 2
    moved = [shift(mask, middle - center_of_mass(mask**2), order=1) for mask in masks]
    readout.mask.copy_(torch.as_tensor(np.stack(moved)))


_MOVES: dict[type[Readout], Callable[[Any], None]] = {
    GaussianMaskReadout: _centre_gaussian,
    PointGaussianReadout: _centre_point,
    FactorizedReadout: _centre_factorized,
}


def _centred_truth(truth: Truth) -> Truth:
    size = truth.stimulus_shape[1:]
    y, x = ((side - 1) / 2 for side in size)
    cells = {session: truth.neurons(session).assign(y=y, x=x) for session in truth.sessions}
    moved = Truth(cells, size=size, pixel_um=truth.pixel_um, rate=truth.rate, noise=truth.noise)
    for name in ("unit_scale", "mean", "scale", "peak", "sigma"):
        buffer: Tensor = getattr(truth, name)
        getattr(moved, name).copy_(buffer)
    return moved.to(truth.cell.device)
