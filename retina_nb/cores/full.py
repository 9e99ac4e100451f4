"""The convolution without constraints."""

import math

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from retina_nb.regularizers import group_sparsity, spatial_roughness, temporal_roughness


class FullConv(nn.Module):
    """Convolution in space and time with kernels of any form; with kernels of one bin it has no time.

    Causal: only space is padded. Arguments as in `PairwiseSeparableConv`, with temporal kernels of any length.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        *,
        temporal_kernel_size: int,
        spatial_kernel_size: int,
        padding: tuple[int, int] = (0, 0),
    ) -> None:
        super().__init__()
        self.kernel_size = (temporal_kernel_size, spatial_kernel_size, spatial_kernel_size)
        self.padding = padding
        fan_in = in_channels * math.prod(self.kernel_size)
        self.weights = nn.Parameter(torch.randn(out_channels, in_channels, *self.kernel_size) / fan_in**0.5)

    def kernels(self) -> Float[Tensor, "out_channel in_channel bin height width"]:
        """Kernels in space and time."""
        return self.weights

    def forward(
        self, x: Float[Tensor, "batch in_channel time height width"]
    ) -> Float[Tensor, "batch out_channel time_out height_out width_out"]:
        return F.conv3d(x, self.weights, padding=(0, *self.padding))

    def roughness(self, padding: int = 0, size: int = 3, spare_center: bool = False) -> Float[Tensor, ""]:
        return spatial_roughness(self.weights, padding, size, spare_center)

    def speed(self) -> Float[Tensor, ""]:
        return temporal_roughness(self.weights.movedim(2, -1))

    def sparsity(self) -> Float[Tensor, ""]:
        return group_sparsity(self.weights)
