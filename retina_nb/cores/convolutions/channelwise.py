"""The plan for few channels, as in a first layer: every channel in space, then what it gives in time.

It does the fewest multiplications there are for separable kernels, but keeps a movie for each pair.
"""

from jaxtyping import Float
from torch import Tensor

from retina_nb.cores.convolutions.frames import convolve_traces, to_movie
from retina_nb.cores.convolutions.single_channel import convolve_single_channel


def channelwise(
    x: Float[Tensor, "batch channel time height width"],
    time_weights: Float[Tensor, "feature channel function"],
    basis: Float[Tensor, "function lag"],
    spatial: Float[Tensor, "feature channel kernel_height kernel_width"],
    padding: tuple[int, int] = (0, 0),
) -> Float[Tensor, "batch feature time_out height_out width_out"]:
    """The same as `dense`."""
    temporal = time_weights @ basis
    out = None
    for channel in range(x.shape[1]):
        images = x[:, channel].flatten(0, 1)[:, None]
        seen = convolve_single_channel(images, spatial[:, channel, None], padding)
        drive = convolve_traces(to_movie(seen, x.shape[2]), temporal[:, channel])
        out = drive if out is None else out + drive
    assert out is not None
    return out
