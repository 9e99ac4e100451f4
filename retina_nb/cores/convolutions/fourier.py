"""The plan for large kernels of many channels: a convolution in space is a product at every spatial frequency.

Time comes first, once for every function of the basis, as in `basis_first`.
"""

import torch
import torch.nn.functional as F
from jaxtyping import Complex, Float
from torch import Tensor

from retina_nb.cores.convolutions.frames import to_movie


def fourier(
    x: Float[Tensor, "batch channel time height width"],
    time_weights: Float[Tensor, "feature channel function"],
    basis: Float[Tensor, "function lag"],
    spatial: Float[Tensor, "feature channel kernel_height kernel_width"],
    padding: tuple[int, int] = (0, 0),
) -> Float[Tensor, "batch feature time_out height_out width_out"]:
    """The same as `dense`."""
    from scipy.fft import next_fast_len  # takes a fifth of a second to import, and not every model needs it

    sides = list(zip(x.shape[3:], spatial.shape[2:], padding, strict=True))
    # Frames go on from the other side, so that one margin of zeros serves as padding of both.
    height, width = (next_fast_len(max(side + pad, kernel), real=True) for side, kernel, pad in sides)
    height_out, width_out = (side + 2 * pad - kernel + 1 for side, kernel, pad in sides)
    seen = torch.fft.rfft2(x, s=(height, width)).permute(3, 4, 0, 2, 1).flatten(0, 1)
    past = _past(seen, basis).flatten(1, 2).flatten(2)  # (frequency, batch * time_out, function * channel)
    margins = (0, width - spatial.shape[3], 0, height - spatial.shape[2])
    kernels = torch.fft.rfft2(F.pad(spatial, margins).roll((-padding[0], -padding[1]), dims=(2, 3))).conj()
    weights = torch.einsum("ocf,ocn->fnco", kernels.flatten(2), time_weights.to(kernels.dtype)).flatten(1, 2)
    drive = (past @ weights).unflatten(0, (height, -1)).permute(2, 3, 0, 1)
    images = torch.fft.irfft2(drive, s=(height, width))[..., :height_out, :width_out]
    return to_movie(images, x.shape[2] - basis.shape[1] + 1)


def _past(
    seen: Complex[Tensor, "frequency batch time channel"], basis: Float[Tensor, "function lag"]
) -> Complex[Tensor, "frequency batch time_out function channel"]:
    """What every function of the basis makes of the past."""
    functions, lag = basis.shape
    time_out = seen.shape[2] - lag + 1
    # Rows that are cut one entry shorter than they were laid out move on by one entry each.
    rows = F.pad(basis, (0, time_out))[:, None].expand(-1, time_out, -1).flatten(1)
    rows = rows[:, : time_out * (time_out + lag - 1)].unflatten(1, (time_out, -1))
    parts = torch.view_as_real(seen).flatten(3)
    past = rows.transpose(0, 1).flatten(0, 1) @ parts  # (frequency, batch, time_out * function, channel * 2)
    return torch.view_as_complex(past.unflatten(3, (-1, 2))).unflatten(2, (time_out, functions))
