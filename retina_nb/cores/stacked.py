"""The workhorse core: a stack of causal space-time convolutions."""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn

from retina_nb.cores.base import Core
from retina_nb.cores.separable import PairwiseSeparableConv
from retina_nb.errors import UserError


class StackedCore(Core):
    """Convolution, batch normalisation and ELU, layer upon layer (Höfling et al. 2024).

    Args:
        in_channels: channels of the stimulus.
        hidden_channels: features of each layer.
        temporal_kernel_sizes: length of each layer's temporal kernels (bins).
        spatial_kernel_sizes: side of each layer's spatial kernels (pixels).
        hidden_padding: whether layers after the first keep the size of their input in space.
        dropout: chance that a feature is dropped in training.
        roughness: weight of the penalty on rough spatial kernels in the first layer.
        speed: weight of the penalty on high temporal frequencies.
        sparsity: weight of the penalty on layers after the first for using many inputs.

    Raises:
        UserError: if the three lists differ in length or a kernel has less than 3 bins.
    """

    def __init__(
        self,
        *,
        in_channels: int,
        hidden_channels: Sequence[int],
        temporal_kernel_sizes: Sequence[int],
        spatial_kernel_sizes: Sequence[int],
        hidden_padding: bool = True,
        dropout: float = 0.0,
        roughness: float = 0.0,
        speed: float = 0.0,
        sparsity: float = 0.0,
    ) -> None:
        super().__init__()
        lengths = len(hidden_channels), len(temporal_kernel_sizes), len(spatial_kernel_sizes)
        if len({*lengths}) != 1 or not lengths[0]:
            raise UserError(
                "core: hidden_channels, temporal_kernel_sizes and spatial_kernel_sizes need one entry for each layer, "
                f"they have {', '.join(map(str, lengths))}"
            )
        if min(temporal_kernel_sizes) < 3:
            raise UserError(f"core: temporal_kernel_sizes must be at least 3 bins, not {min(temporal_kernel_sizes)}")
        self.lag = sum(temporal_kernel_sizes) - len(temporal_kernel_sizes)
        self.penalties = {"roughness": roughness, "speed": speed, "sparsity": sparsity}
        layers = []
        for depth, (channels, time, space) in enumerate(
            zip(hidden_channels, temporal_kernel_sizes, spatial_kernel_sizes, strict=True)
        ):
            pad = space // 2 if depth and hidden_padding else 0
            conv = PairwiseSeparableConv(
                in_channels, channels, temporal_kernel_size=time, spatial_kernel_size=space, padding=(pad, pad)
            )
            layers.append(nn.Sequential(conv, nn.BatchNorm3d(channels), nn.ELU(), nn.Dropout3d(dropout)))
            in_channels = channels
        self.layers = nn.Sequential(*layers)

    def forward(
        self, x: Float[Tensor, "batch channel time height width"]
    ) -> Float[Tensor, "batch feature time_out height_out width_out"]:
        return self.layers(x)

    def regularizer(self) -> Float[Tensor, ""]:
        first, *later = convolutions = [one for one in self.modules() if isinstance(one, PairwiseSeparableConv)]
        total = self.penalties["roughness"] * first.roughness()
        total = total + self.penalties["speed"] * sum(conv.speed() for conv in convolutions)
        return total + self.penalties["sparsity"] * sum((conv.sparsity() for conv in later), torch.zeros_like(total))
