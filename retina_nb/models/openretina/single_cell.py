"""Single-cell models of OpenRetina as ours: spatial contrast and separable linear-nonlinear."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from retina_nb.errors import UserError
from retina_nb.models.linear_nonlinear import OUTPUTS, LinearNonlinear
from retina_nb.models.openretina.cores import State
from retina_nb.models.openretina.pickled import plain

SESSION = "cell"  # what the one session is called
# The weights by which each is known.
CONTRAST = {"spatial_filter", "spatial_filter_sum", "temporal_filter", "nl_a", "nl_b", "nl_c", "w"}
LINEAR = {"space_conv.weight", "time_conv.weight"}
_SOFTPLUS = {"nonlinearity.b", "nonlinearity.w"}


def read_contrast(
    theirs: Mapping[str, Any], state: State, given: Mapping[str, Any]
) -> tuple[tuple[int, int, int], dict[str, Any], dict[str, Tensor]]:
    """Stimulus shape, readout and its weights of a spatial contrast model of one cell.

    Args:
        theirs: its hyperparameters.
        state: its weights.
        given: what the user says, with ``rf_location`` for a model that sees a patch of the stimulus only.

    Raises:
        UserError: if it is not said where the patch is.
    """
    channel, _, height, width = plain(theirs["in_shape"])
    patch = state["spatial_filter"]
    spatial = torch.zeros(height, width)
    if tuple(patch.shape) == (height, width):
        spatial.copy_(patch)
    else:
        place = given.get("rf_location")
        if not (isinstance(place, list | tuple) and len(place) == 2 and all(isinstance(one, int) for one in place)):
            raise UserError(
                f"the model sees only {patch.shape[0]} x {patch.shape[1]} pixels of the stimulus, and the checkpoint "
                'does not say where; give the middle of its receptive field as load_twin(..., about={"rf_location": '
                "(y, x)}), in whole pixels from the top left"
            )
        rows, columns = (_patch(*side) for side in zip(place, patch.shape, (height, width), strict=True))
        spatial[rows, columns] = patch
    weights = {
        "spatial_filters": spatial[None],
        "temporal_filters": state["temporal_filter"][None, None],
        "contrast_weight": state["w"][None],
        "gain": state["nl_a"][None],
        "slope": state["nl_b"][None],
        "bias": state["nl_c"][None],
    }
    return (channel, height, width), {"kind": "spatial_contrast", "history": len(state["temporal_filter"])}, weights


def _patch(center: int, size: int, whole: int) -> slice:
    """The pixels of a patch along one axis: around the center, and within the stimulus."""
    end = min(whole, max(0, center - size // 2) + size)
    return slice(max(0, end - size), end)


def read_linear(state: State, given: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """Options and weights of a `LinearNonlinear` of one cell; it takes the pixels that its filter has.

    Args:
        state: their weights.
        given: what the user says. Their file has weights alone, and not the ``nonlinearity`` if it has no parameters.

    Raises:
        UserError: if neither the file nor `about` gives the nonlinearity.
    """
    # Theirs divides both filters by their norms whenever it predicts.
    space, time = (state[name] / state[name].norm() for name in ("space_conv.weight", "time_conv.weight"))
    name = "softplus" if state.keys() >= _SOFTPLUS else given.get("nonlinearity")
    if name not in OUTPUTS:
        raise UserError(
            "it is a single-cell LNP model, and the file has its weights but no hyperparameters, so that it does not "
            f'say the nonlinearity; give it as load_twin(..., about={{"nonlinearity": "softplus"}}), known are '
            f"{', '.join(OUTPUTS)}"
        )
    one = torch.ones(1)
    weights = {
        "temporal": state.get("nonlinearity.a", one) * time[:, :, :, 0, 0],
        "spatial": space[None, :, :, 0],
        "offset": state.get("nonlinearity.b", 0 * one).reshape(1),
        "gain": state.get("nonlinearity.w", one).reshape(1),
        "base": 0 * one,
    }
    model = LinearNonlinear(**{name: value.clone() for name, value in weights.items()}, nonlinearity=name)
    return model.config, weights
