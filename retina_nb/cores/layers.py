"""The layer that cores are stacks of: convolution, normalisation, nonlinearity, dropout, pooling."""

from collections.abc import Callable, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from retina_nb.cores.full import FullConv
from retina_nb.cores.normalization import BatchNorm
from retina_nb.cores.separable import PairwiseSeparableConv, SeparableConv
from retina_nb.errors import UserError, unknown
from retina_nb.nonlinearities import nonlinearity as nonlinearity_by_name

Conv = PairwiseSeparableConv | SeparableConv | FullConv
CONVOLUTIONS: dict[str, Callable[..., Conv]] = {
    "full": FullConv,
    "pairwise_separable": PairwiseSeparableConv,
    "separable": SeparableConv,
    "time_independent": FullConv,
}
NORMALIZATIONS = ("batch", "none")  # others take their statistics over time, and so from the future


class ConvLayer(nn.Module):
    """Convolution, normalisation, nonlinearity, dropout and max pooling, in this order.

    Args:
        in_channels: channels of the input.
        out_channels: features of the output.
        temporal_kernel_size: length of the kernels (bins).
        spatial_kernel_size: side of the kernels (pixels).
        convolution: "pairwise_separable", "separable", "full" or "time_independent" (kernels of one bin).
        padding: zeros around the input in space: none, as many as keep its size, or (height, width).
        time_padding: zeros before and after the input in time (bins); those after it make the layer see the future.
        border: zeros around what the convolution gives, (height, width).
        normalization: "batch", or "none" for a bias alone.
        nonlinearity: name of the nonlinearity.
        dropout: chance that a feature is dropped in training.
        pool: whether to halve height and width at the end.

    Raises:
        UserError: if a name is unknown or the kernels do not fit the convolution.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        *,
        temporal_kernel_size: int,
        spatial_kernel_size: int,
        convolution: str = "pairwise_separable",
        padding: bool | Sequence[int] = False,
        time_padding: Sequence[int] = (0, 0),
        border: Sequence[int] = (0, 0),
        normalization: str = "batch",
        nonlinearity: str = "elu",
        dropout: float = 0.0,
        pool: bool = False,
    ) -> None:
        super().__init__()
        if convolution not in CONVOLUTIONS:
            raise unknown("convolution", convolution, CONVOLUTIONS)
        if normalization not in NORMALIZATIONS:
            raise unknown("normalization", normalization, NORMALIZATIONS)
        if convolution == "time_independent" and temporal_kernel_size != 1:
            raise UserError(
                f"core: time_independent convolutions have temporal_kernel_sizes of 1, not {temporal_kernel_size}"
            )
        around, extra = _space_padding(padding, spatial_kernel_size)
        before, after = time_padding
        self.lag, self.lookahead = temporal_kernel_size - 1 - before - after, after
        self.extra_padding = (0, extra, 0, extra, before, after)  # left, right, above, below, before, after
        self.border = (border[1], border[1], border[0], border[0])
        self.conv = CONVOLUTIONS[convolution](
            in_channels,
            out_channels,
            temporal_kernel_size=temporal_kernel_size,
            spatial_kernel_size=spatial_kernel_size,
            padding=around,
        )
        self.norm = BatchNorm(out_channels) if normalization == "batch" else Bias(out_channels)
        self.nonlinearity = nonlinearity_by_name(nonlinearity)
        self.dropout = nn.Dropout3d(dropout)
        self.pool = nn.MaxPool3d((1, 2, 2)) if pool else nn.Identity()

    def forward(
        self, x: Float[Tensor, "batch channel time height width"], speed: Float[Tensor, ""] | None = None
    ) -> Float[Tensor, "batch feature time_out height_out width_out"]:
        return self.after_linear(self.linear(x, speed))

    def linear(
        self, x: Float[Tensor, "batch channel time height width"], speed: Float[Tensor, ""] | None = None
    ) -> Float[Tensor, "batch feature time_out height_conv width_conv"]:
        """What the convolution makes of the input."""
        if any(self.extra_padding):
            x = F.pad(x, self.extra_padding)
        self._check(x)
        x = self.conv(x) if speed is None else self.conv(x, speed)
        return F.pad(x, self.border) if any(self.border) else x

    def after_linear(
        self, x: Float[Tensor, "batch feature time_out height_conv width_conv"]
    ) -> Float[Tensor, "batch feature time_out height_out width_out"]:
        """What the layer makes of that."""
        return self.pool(self.dropout(self.nonlinearity(self.norm(x))))

    def _check(self, x: Tensor) -> None:
        (time, *side), around = self.conv.kernel_size, self.conv.padding
        two = int(isinstance(self.pool, nn.MaxPool3d) and not any(self.border))  # pixels to take the maximum of
        check_size(x, [time, *(max(1, kernel - 2 * pad + two) for kernel, pad in zip(side, around, strict=True))])


class Bias(nn.Module):
    """A number for each feature, added everywhere."""

    def __init__(self, features: int) -> None:
        super().__init__()
        self.bias = nn.Parameter(torch.zeros(features))

    def forward(self, x: Float[Tensor, "batch feature *place"]) -> Float[Tensor, "batch feature *place"]:
        return x + self.bias[:, None, None, None]


def conv_layers(
    in_channels: int, hidden_channels: Sequence[int], by_layer: dict[str, Sequence[Any]], **shared: Any
) -> list[ConvLayer]:
    """Layers one after another.

    Args:
        in_channels: channels of the first one's input.
        hidden_channels: features of each layer.
        by_layer: options of `ConvLayer` that have a value for each layer.
        shared: options of `ConvLayer` that all layers share.

    Raises:
        UserError: if lists differ in length, or see `ConvLayer`.
    """
    depth = len(hidden_channels)
    if not depth or any(len(values) != depth for values in by_layer.values()):
        found = ", ".join(f"{name} {len(values)}" for name, values in by_layer.items())
        raise UserError(
            f"core: hidden_channels has {depth} layers, and all lists need one entry for each layer; they have {found}"
        )
    layers, channels = [], in_channels
    for layer, features in enumerate(hidden_channels):
        options = {name: values[layer] for name, values in by_layer.items()}
        layers.append(ConvLayer(channels, features, **options, **shared))
        channels = features
    return layers


def pointwise_layer(features: int, nonlinearity: str) -> ConvLayer:
    """A layer that mixes features by kernels of one pixel and one bin."""
    return ConvLayer(
        features,
        features,
        temporal_kernel_size=1,
        spatial_kernel_size=1,
        convolution="full",
        normalization="none",
        nonlinearity=nonlinearity,
    )


def check_size(x: Tensor, needed: Sequence[int]) -> None:
    """Refuse a movie with fewer bins or pixels than (time, height, width)."""
    if any(found < least for found, least in zip(x.shape[2:], needed, strict=True)):
        raise UserError(
            "core: the stimulus is too small for the kernels: {} bins of {} x {} pixels reach a layer that needs "
            "{} bins of {} x {}; give more of it, or smaller kernels".format(*x.shape[2:], *needed)
        )


def _space_padding(padding: bool | Sequence[int], kernel: int) -> tuple[tuple[int, int], int]:
    """Zeros on all sides (vertically, horizontally), and more of them below and to the right."""
    if isinstance(padding, bool):
        return ((kernel - 1) // 2,) * 2 if padding else (0, 0), (kernel - 1) % 2 if padding else 0
    if isinstance(padding, str) or len(padding) != 2:
        raise UserError(
            f"core: a padding is true (to keep the size), false or (height, width) in pixels, not {padding!r}; "
            "time is not padded"
        )
    return (padding[0], padding[1]), 0
