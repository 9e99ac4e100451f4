"""The convolution of Höfling et al. 2024: temporal kernels of sines and cosines, one for each pair of channels."""

import math

import torch
from jaxtyping import Float
from torch import Tensor, nn

from retina_nb.cores.convolutions import pairwise_separable
from retina_nb.regularizers import frequency_penalty, group_sparsity, spatial_roughness


class PairwiseSeparableConv(nn.Module):
    """Convolution in space and time, separable for every pair of output and input channel.

    Temporal kernels are weighted sums of cosines and sines under a window that fades their oldest bins
    (Höfling et al. 2024, eLife 13:e86860). Causal: only space is padded.

    Args:
        in_channels: channels of the input.
        out_channels: channels of the output.
        temporal_kernel_size: length of the temporal kernels (bins), at least 3.
        spatial_kernel_size: side of the spatial kernels (pixels).
        padding: pixels of zeros around the input, vertically and horizontally.
    """

    basis: Tensor  # (function, bin)

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
        self.padding = padding
        basis = temporal_basis(temporal_kernel_size)
        self.register_buffer("basis", basis, persistent=False)
        pairs = (out_channels, in_channels)
        # Unit-variance input gives an output of about unit variance.
        self.time_weights = nn.Parameter(torch.randn(*pairs, len(basis)) / basis.square().sum().sqrt())
        fan_in = in_channels * spatial_kernel_size**2
        self.space_weights = nn.Parameter(torch.randn(*pairs, spatial_kernel_size, spatial_kernel_size) / fan_in**0.5)

    def temporal_kernels(self) -> Float[Tensor, "out_channel in_channel bin"]:
        """The last bin is the present."""
        return self.time_weights @ self.basis

    def forward(
        self, x: Float[Tensor, "batch in_channel time height width"]
    ) -> Float[Tensor, "batch out_channel time_out height_out width_out"]:
        return pairwise_separable(x, self.temporal_kernels(), self.space_weights, self.padding)

    def roughness(self) -> Float[Tensor, ""]:
        return spatial_roughness(self.space_weights)

    def speed(self) -> Float[Tensor, ""]:
        return frequency_penalty(self.time_weights)

    def sparsity(self) -> Float[Tensor, ""]:
        # The norm of a product of time and space is the product of their norms.
        return group_sparsity(self.temporal_kernels().norm(dim=-1) * self.space_weights.flatten(2).norm(dim=-1))


def temporal_basis(bins: int) -> Float[Tensor, "function bin"]:
    """Windowed cosines and sines in the order cos 0, cos 1, sin 1, cos 2, sin 2, ...

    There are ``bins // 3`` frequencies, in cycles per kernel.
    """
    time = torch.arange(-bins, 0, dtype=torch.float32)
    window = torch.sigmoid(time + int(0.95 * bins))
    functions = [torch.ones(bins)]
    for frequency in range(1, bins // 3):
        phase = 2 * math.pi * frequency * time / bins
        functions += [phase.cos(), phase.sin()]
    return window * torch.stack(functions)
