"""Ways to compute a convolution whose kernels are products of space and time; all give the same numbers.

To understand a core, `dense` is enough.
"""

from jaxtyping import Float
from torch import Tensor

from retina_nb.cores.convolutions.dense import pairwise_separable_dense
from retina_nb.cores.convolutions.toeplitz import pairwise_separable_toeplitz

__all__ = ["pairwise_separable", "pairwise_separable_dense", "pairwise_separable_toeplitz"]


def pairwise_separable(
    x: Float[Tensor, "batch channel time height width"],
    temporal: Float[Tensor, "feature channel lag"],
    spatial: Float[Tensor, "feature channel kernel_height kernel_width"],
    padding: tuple[int, int] = (0, 0),
) -> Float[Tensor, "batch feature time_out height_out width_out"]:
    """Convolve by the plan that suits shapes and device; see `pairwise_separable_dense`."""
    # Products for each pair of channels and place; large matrix products run as fast as dense convolutions on a CPU,
    # twice is the margin for copies.
    area = spatial.shape[2] * spatial.shape[3]
    dense = temporal.shape[2] * area
    toeplitz = x.shape[3] * x.shape[4] + x.shape[2]
    # With many channels and small kernels a dense convolution runs at full speed, and copies would cost more than it.
    small = x.shape[1] >= 8 and area <= 25
    if x.device.type == "cpu" and not small and 2 * toeplitz < dense:
        return pairwise_separable_toeplitz(x, temporal, spatial, padding)
    return pairwise_separable_dense(x, temporal, spatial, padding)
