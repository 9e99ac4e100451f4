"""The workhorse core: a stack of causal space-time convolutions."""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from retina_nb.cores.base import Core
from retina_nb.cores.layers import ConvLayer, check_size, conv_layers, pointwise_layer
from retina_nb.cores.separable import PairwiseSeparableConv
from retina_nb.errors import UserError, unknown
from retina_nb.regularizers import LAPLACIAN_SIZES, group_sparsity

Padding = bool | Sequence[int]


class StackedCore(Core):
    """Convolution, batch normalisation and ELU, layer upon layer (Höfling et al. 2024, eLife 13:e86860).

    Layers pad space only, so that no output sees the future. The options `cut`, `noncausal_padding` and `border` exist
    to rebuild cores that others have trained.

    Args:
        in_channels: channels of the stimulus.
        hidden_channels: features of each layer.
        temporal_kernel_sizes: length of each layer's temporal kernels (bins).
        spatial_kernel_sizes: side of each layer's spatial kernels (pixels).
        convolution: kind of all convolutions: "pairwise_separable" (kernels are products of space and time for every
            pair of channels), "separable" (first space, then time), "full", or "time_independent" (of one bin).
        input_padding: zeros around the stimulus in space: none, as many as keep its size, or (height, width).
        hidden_padding: the same for later layers, or a list with an entry for each of them.
        normalization: "batch", or "none" for a bias alone.
        nonlinearity: name of the nonlinearity, or a list with a name for each layer.
        dropout: chance that a feature is dropped in training.
        pool_every: n to halve height and width, by the maximum, after the first of every n layers.
        downsample: (time, height, width) to average the stimulus over. With time above 1, outputs come once every so
            many bins (`time_stride`), and the kernels' bins are as much longer.
        colour_weights: weights with which to sum the channels of the stimulus to one; none to keep them apart.
            A stimulus of one channel is then taken as it is.
        projection: name of a nonlinearity, to mix the first layer's features by kernels of one pixel and one bin.
        sessions: sessions that have a speed of their own (see `log_speeds`), for pairwise separable convolutions.
        cut: outputs to drop at the start; they count into the lag.
        noncausal_padding: zeros (before, after) each layer's input in time. Zeros after it make the core see
            `lookahead` bins of the future.
        border: zeros around what each layer's convolution gives, (height, width).
        roughness: weight of the penalty on rough spatial kernels in the first layer.
        roughness_padding: pixels of zeros around the kernels when their roughness is taken.
        roughness_size: side of the Laplacian that roughness is taken with: 3, 5 or 7 pixels.
        roughness_spares_center: whether only roughness away from the middle of the kernels is penalized.
        speed: weight of the penalty on high temporal frequencies in all layers; on rough temporal kernels in the first
            layer if kernels are not made of frequencies.
        sparsity: weight of the penalty on layers after the first for using many inputs.
        overall_sparsity: weight of the same penalty on all layers.
        joint_sparsity: weight of the same penalty on the first layer's kernels in space and time.

    Raises:
        UserError: if lists differ in length, a name is unknown, or options do not go together.
    """

    def __init__(
        self,
        *,
        in_channels: int,
        hidden_channels: Sequence[int],
        temporal_kernel_sizes: Sequence[int],
        spatial_kernel_sizes: Sequence[int],
        convolution: str = "pairwise_separable",
        input_padding: Padding = False,
        hidden_padding: Padding | Sequence[Padding] = True,
        normalization: str = "batch",
        nonlinearity: str | Sequence[str] = "elu",
        dropout: float = 0.0,
        pool_every: int | None = None,
        downsample: Sequence[int] = (1, 1, 1),
        colour_weights: Sequence[float] = (),
        projection: str | None = None,
        sessions: Sequence[str] = (),
        cut: int = 0,
        noncausal_padding: Sequence[Sequence[int]] = (),
        border: Sequence[Sequence[int]] = (),
        roughness: float = 0.0,
        roughness_padding: int = 0,
        roughness_size: int = 3,
        roughness_spares_center: bool = False,
        speed: float = 0.0,
        sparsity: float = 0.0,
        overall_sparsity: float = 0.0,
        joint_sparsity: float = 0.0,
    ) -> None:
        super().__init__()
        depth = len(hidden_channels)
        if colour_weights and len(colour_weights) != in_channels:
            raise UserError(f"core: {len(colour_weights)} colour_weights do not fit stimuli of {in_channels} channels")
        if sessions and convolution != "pairwise_separable":
            raise UserError(f"core: {convolution} convolutions have no speed, leave sessions empty")
        if roughness_size not in LAPLACIAN_SIZES:
            raise UserError(f"core: roughness_size must be one of {LAPLACIAN_SIZES}, not {roughness_size!r}")
        if speed and convolution == "time_independent":
            raise UserError("core: time_independent convolutions have no time to penalise, leave speed at 0")
        layers = conv_layers(
            1 if colour_weights else in_channels,
            hidden_channels,
            {
                "temporal_kernel_size": temporal_kernel_sizes,
                "spatial_kernel_size": spatial_kernel_sizes,
                "nonlinearity": [nonlinearity] * depth if isinstance(nonlinearity, str) else nonlinearity,
                "padding": [input_padding, *_of_each_hidden_layer(hidden_padding, depth - 1)],
                "time_padding": noncausal_padding or [(0, 0)] * depth,
                "border": border or [(0, 0)] * depth,
                "pool": [pool_every is not None and layer % pool_every == 0 for layer in range(depth)],
            },
            convolution=convolution,
            normalization=normalization,
            dropout=dropout,
        )
        self.layers = nn.ModuleList(layers)
        self.projection = None if projection is None else pointwise_layer(hidden_channels[0], projection)
        weights = torch.tensor(colour_weights) if colour_weights else None
        self.register_buffer("colour_weights", weights, persistent=False)
        self.sessions, self.per_session = list(sessions), bool(sessions)
        if sessions:
            self.log_speeds = nn.Parameter(torch.zeros(len(sessions)))
        self.cut, self.downsample = cut, tuple(downsample)
        self.penalties = {
            "roughness": roughness,
            "speed": speed,
            "sparsity": sparsity,
            "overall_sparsity": overall_sparsity,
            "joint_sparsity": joint_sparsity,
        }
        self.roughness_options, self.convolution = (
            (roughness_padding, roughness_size, roughness_spares_center),
            convolution,
        )

        self.time_stride, *space = downsample
        self.lag = self.time_stride * (sum(layer.lag for layer in layers) + cut + 1) - 1
        self.lookahead = self.time_stride * sum(layer.lookahead for layer in layers)
        pooled = 2 ** sum(isinstance(layer.pool, nn.MaxPool3d) for layer in layers)
        down, right = (pooled * size for size in space)
        self.stride = down if down == right else (down, right)  # type: ignore[assignment]

    def forward(
        self, x: Float[Tensor, "batch channel time height width"], session: str | None = None
    ) -> Float[Tensor, "batch feature time_out height_out width_out"]:
        """The feature movie, at the speed of a session; at speed 1 if None.

        Raises:
            UserError: if the stimulus is too small, or the session has no speed.
        """
        speed = self._speed(session)
        return self._after_first(self._first(self._prepared(x), speed), speed)

    def linear(
        self, x: Float[Tensor, "batch channel time height width"], session: str | None = None
    ) -> Float[Tensor, "batch feature_conv time_conv height_conv width_conv"]:
        """What the first convolution makes of a stimulus: a sum of stimuli gives the sum of what they give."""
        return self._first.linear(self._prepared(x), self._speed(session))

    def linear_still(
        self, image: Float[Tensor, "batch channel height width"], course: Float[Tensor, " time"]
    ) -> Float[Tensor, "batch feature time_conv height_conv width_conv"]:
        """What `linear` makes of ``image * course``, an image that is still but for its strength.

        Time is summed before space, so that gradients by the image take a fraction of what those by all frames take.
        """
        conv, border = self._first.conv, (*self._first.extra_padding, *self._first.border)
        as_it_is = self.colour_weights is None and not any(border) and all(size == 1 for size in self.downsample)
        if isinstance(conv, PairwiseSeparableConv) and as_it_is and not self.per_session:
            return conv.still(image, course)
        return self.linear(image[:, :, None] * course[:, None, None])

    def after_linear(
        self, x: Float[Tensor, "batch feature_conv time_conv height_conv width_conv"], session: str | None = None
    ) -> Float[Tensor, "batch feature time_out height_out width_out"]:
        """The feature movie, given what the first convolution makes of a stimulus."""
        return self._after_first(self._first.after_linear(x), self._speed(session))

    @property
    def _first(self) -> ConvLayer:
        return self.layers[0]  # type: ignore[return-value]

    def _speed(self, session: str | None) -> Tensor | None:
        return None if session is None else self.speed_of(session)

    def _prepared(self, x: Tensor) -> Tensor:
        """The stimulus as the first layer sees it."""
        if self.colour_weights is not None and x.shape[1] > 1:
            x = torch.einsum("c,bcthw->bthw", self.colour_weights, x)[:, None]
        check_size(x, (max(1, self.lag + 1), *self.downsample[1:]))
        for axis, size in enumerate(self.downsample, start=2):
            if size > 1:
                x = x.narrow(axis, 0, x.shape[axis] // size * size).unflatten(axis, (-1, size)).mean(dim=axis + 1)
        return x

    def _after_first(self, x: Tensor, speed: Tensor | None) -> Tensor:
        if self.projection is not None:
            x = self.projection(x)
        for layer in self.layers[1:]:
            x = layer(x, speed)
        return x[:, :, self.cut :]

    def plans(self, device: str) -> list[str]:
        """How each pairwise separable layer is computed on a kind of device; assign to ``layers[i].conv.plan`` to
        overrule (`retina_nb.cores.convolutions.PLANS`)."""
        every: list[Any] = [layer.conv for layer in self.layers]
        return [conv.plan_on(device) for conv in every if isinstance(conv, PairwiseSeparableConv)]

    def set_sessions(self, sessions: Sequence[str]) -> None:
        if not self.per_session:
            return
        speeds = self.log_speeds.new_zeros(len(sessions))
        for number, session in enumerate(sessions):
            if session in self.sessions:
                speeds[number] = self.log_speeds.detach()[self.sessions.index(session)]
        self.log_speeds = nn.Parameter(speeds, requires_grad=self.log_speeds.requires_grad)
        self.sessions = list(sessions)

    def speed_of(self, session: str) -> Float[Tensor, ""]:
        """How many times as fast as at speed 1 a session's temporal kernels run.

        Raises:
            UserError: if the session has no speed.
        """
        if session not in self.sessions:
            raise unknown("session of the core", session, self.sessions)
        return self.log_speeds[self.sessions.index(session)].exp()

    def regularizer(self) -> Float[Tensor, ""]:
        every: list[Any] = [layer.conv for layer in self.layers]
        first, *later = every
        in_time = every if self.convolution == "pairwise_separable" else [first]
        terms: dict[str, Callable[[], list[Tensor]]] = {
            "roughness": lambda: [first.roughness(*self.roughness_options)],
            "speed": lambda: [conv.speed() for conv in in_time],
            "sparsity": lambda: [conv.sparsity() for conv in later],
            "overall_sparsity": lambda: [conv.sparsity() for conv in every],
            "joint_sparsity": lambda: [group_sparsity(first.kernels())],
        }
        total = super().regularizer()
        for name, weight in self.penalties.items():
            if weight:
                total = total + weight * sum(terms[name]())
        return total


def _of_each_hidden_layer(padding: Padding | Sequence[Padding], layers: int) -> Sequence[Any]:
    """A list of paddings as it is; one padding, true, false or a pair of numbers, as often as there are layers."""
    one = isinstance(padding, bool | str) or not any(isinstance(entry, bool | Sequence) for entry in padding)
    return [padding] * layers if one else padding  # type: ignore[return-value]
