"""Convolutions whose kernels are products of space and time."""

import math

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from retina_nb.cores.convolutions import PLANS, choose_plan
from retina_nb.errors import UserError
from retina_nb.regularizers import frequency_penalty, group_sparsity, spatial_roughness, temporal_roughness


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

    Raises:
        UserError: if the temporal kernels have less than 3 bins.
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
        if temporal_kernel_size < 3:
            raise UserError(
                f"core: pairwise_separable convolutions need temporal_kernel_sizes of at least 3 bins, "
                f"not {temporal_kernel_size}"
            )
        self.kernel_size = (temporal_kernel_size, spatial_kernel_size, spatial_kernel_size)
        self.padding = padding
        self.plan: str | None = None  # how to compute it, of `retina_nb.cores.convolutions.PLANS`; None to choose
        basis = temporal_basis(temporal_kernel_size)
        self.register_buffer("basis", basis, persistent=False)
        pairs = (out_channels, in_channels)
        # Unit-variance input gives an output of about unit variance.
        self.time_weights = nn.Parameter(torch.randn(*pairs, len(basis)) / basis.square().sum().sqrt())
        fan_in = in_channels * spatial_kernel_size**2
        self.space_weights = nn.Parameter(torch.randn(*pairs, spatial_kernel_size, spatial_kernel_size) / fan_in**0.5)

    def temporal_kernels(self, speed: Float[Tensor, ""] | None = None) -> Float[Tensor, "out_channel in_channel bin"]:
        """The last bin is the present. Kernels of another `speed` than 1 are shorter or longer."""
        return self.time_weights @ self._basis(speed)

    def _basis(self, speed: Float[Tensor, ""] | None) -> Float[Tensor, "function bin"]:
        return self.basis if speed is None else temporal_basis(self.kernel_size[0], speed).to(self.basis.dtype)

    def kernels(self) -> Float[Tensor, "out_channel in_channel bin height width"]:
        """Kernels in space and time."""
        return torch.einsum("oit,oihw->oithw", self.temporal_kernels(), self.space_weights)

    def forward(
        self, x: Float[Tensor, "batch in_channel time height width"], speed: Float[Tensor, ""] | None = None
    ) -> Float[Tensor, "batch out_channel time_out height_out width_out"]:
        plan = PLANS[self.plan_on(x.device.type)]
        return plan(x, self.time_weights, self._basis(speed), self.space_weights, self.padding)

    def plan_on(self, device: str) -> str:
        """Name of the plan it is computed by on a kind of device: that of `plan`, else the one that suits."""
        return self.plan or choose_plan(device, self.space_weights.shape[1], self.space_weights[0, 0].numel())

    def still(
        self, image: Float[Tensor, "batch in_channel height width"], course: Float[Tensor, " time"]
    ) -> Float[Tensor, "batch out_channel time_out height_out width_out"]:
        """What `forward` makes of ``image * course``: space and time apart, for gradients by images."""
        pairs = self.space_weights.transpose(0, 1).flatten(0, 1)[:, None]  # by in_channel, then out_channel
        seen = F.conv2d(image, pairs, padding=self.padding, groups=image.shape[1]).unflatten(1, (image.shape[1], -1))
        past = course.unfold(0, self.kernel_size[0], 1)  # (time_out, bin)
        return torch.einsum("biohw,oit->bothw", seen, self.temporal_kernels() @ past.T)

    def roughness(self, padding: int = 0, size: int = 3, spare_center: bool = False) -> Float[Tensor, ""]:
        return spatial_roughness(self.space_weights, padding, size, spare_center)

    def speed(self) -> Float[Tensor, ""]:
        return frequency_penalty(self.time_weights)

    def sparsity(self) -> Float[Tensor, ""]:
        return group_sparsity(self.space_weights)


class SeparableConv(nn.Module):
    """Convolution in space from input to output channels, then in time among the output channels.

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
        space = (out_channels, in_channels, spatial_kernel_size, spatial_kernel_size)
        self.space_weights = nn.Parameter(torch.randn(space) / math.prod(space[1:]) ** 0.5)
        time = (out_channels, out_channels, temporal_kernel_size)
        self.time_weights = nn.Parameter(torch.randn(time) / math.prod(time[1:]) ** 0.5)

    def kernels(self) -> Float[Tensor, "out_channel in_channel bin height width"]:
        """Kernels in space and time."""
        return torch.einsum("omt,mihw->oithw", self.time_weights, self.space_weights)

    def forward(
        self, x: Float[Tensor, "batch in_channel time height width"]
    ) -> Float[Tensor, "batch out_channel time_out height_out width_out"]:
        seen = F.conv3d(x, self.space_weights[:, :, None], padding=(0, *self.padding))
        return F.conv3d(seen, self.time_weights[..., None, None])

    def roughness(self, padding: int = 0, size: int = 3, spare_center: bool = False) -> Float[Tensor, ""]:
        return spatial_roughness(self.space_weights, padding, size, spare_center)

    def speed(self) -> Float[Tensor, ""]:
        return temporal_roughness(self.time_weights)

    def sparsity(self) -> Float[Tensor, ""]:
        return group_sparsity(self.space_weights)


def temporal_basis(bins: int, speed: float | Float[Tensor, ""] = 1.0) -> Float[Tensor, "function bin"]:
    """Windowed cosines and sines in the order cos 0, cos 1, sin 1, cos 2, sin 2, ...

    There are ``bins // 3`` frequencies, in cycles per kernel. A `speed` above 1 makes them higher and the window
    shorter, for retinas that respond faster than others.
    """
    device = speed.device if isinstance(speed, Tensor) else None
    time = torch.arange(-bins, 0, dtype=torch.float32, device=device)
    window = torch.sigmoid(time + int(0.95 * bins) / speed)
    functions = [torch.ones_like(time)]
    for frequency in range(1, bins // 3):
        phase = 2 * math.pi * frequency * speed * time / bins
        functions += [phase.cos(), phase.sin()]
    return window * torch.stack(functions)
