"""What a stimulus must be for any model: finite numbers of the model's own kind."""

import torch
from torch import Tensor

from retina_nb.errors import UserError


def check_numbers(stimulus: Tensor, like: Tensor) -> None:
    """Refuse a stimulus of other numbers than a model's, or not finite; that is not looked at if it needs gradients,
    so that no step of a search waits for it.

    Args:
        stimulus: what is shown.
        like: one of the model's parameters.

    Raises:
        UserError: with the kind of number, or that some are not finite.
    """
    if not stimulus.is_floating_point():
        raise UserError(f"a stimulus must be of floating-point numbers, not {stimulus.dtype}; give stimulus.float()")
    if stimulus.dtype != like.dtype and not torch.is_autocast_enabled(stimulus.device.type):
        raise UserError(f"the stimulus is {stimulus.dtype}, the model {like.dtype}; give stimulus.to({like.dtype})")
    if not (stimulus.requires_grad or stimulus.is_meta) and not stimulus.isfinite().all():
        raise UserError("the stimulus has NaN or infinite numbers; replace them, or leave these bins out")
