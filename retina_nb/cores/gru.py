"""The core with memory: a stack of convolutions, then a convolutional recurrent layer."""

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from retina_nb.cores.base import Core
from retina_nb.cores.layers import check_size
from retina_nb.cores.stacked import StackedCore


class ConvGRUCore(Core):
    """A `StackedCore` whose features drive gated recurrent units in every place (Sinz et al. 2018, NeurIPS).

    The units start from zero at the first bin of every stimulus, so that its first outputs know less of the past than
    later ones.

    Args:
        recurrent_channels: features of the recurrent layer, and of the core.
        input_kernel_size: side of the kernels from features to units (pixels).
        recurrent_kernel_size: side of the kernels from units to units (pixels).
        groups: groups of features that are kept apart in the recurrent layer.
        pad_input: whether the recurrent layer keeps the size of its input in space.
        recurrence: weight of the penalty on the absolute size of weights between units.
        stack: options of the `StackedCore`.

    Raises:
        UserError: see `StackedCore`.
    """

    def __init__(
        self,
        *,
        recurrent_channels: int,
        input_kernel_size: int = 3,
        recurrent_kernel_size: int = 3,
        groups: int = 1,
        pad_input: bool = True,
        recurrence: float = 0.0,
        **stack: Any,
    ) -> None:
        super().__init__()
        self.stack = StackedCore(**stack)
        self.gru = ConvGRU(
            stack["hidden_channels"][-1],
            recurrent_channels,
            input_kernel_size=input_kernel_size,
            recurrent_kernel_size=recurrent_kernel_size,
            groups=groups,
            pad_input=pad_input,
        )
        self.recurrence = recurrence
        self.lag, self.lookahead = self.stack.lag, self.stack.lookahead
        self.stride, self.time_stride = self.stack.stride, self.stack.time_stride
        self.per_session = self.stack.per_session

    def forward(
        self, x: Float[Tensor, "batch channel time height width"], session: str | None = None
    ) -> Float[Tensor, "batch feature time_out height_out width_out"]:
        return self.gru(self.stack(x, session))

    def set_sessions(self, sessions: Sequence[str]) -> None:
        self.stack.set_sessions(sessions)

    def regularizer(self) -> Float[Tensor, ""]:
        total = self.stack.regularizer()
        if self.recurrence:
            total = total + self.recurrence * self.gru.strength()
        return total


class ConvGRU(nn.Module):
    """Gated recurrent units in every place: ``h = (1 - u) h + u tanh(W x + V (r h))``, with gates
    ``u, r = sigmoid(W x + V h)`` and convolutions W (`drive`, with biases) and V (`gates`, `candidate`).

    The kernels of `drive` are ordered update, reset, candidate, those of `gates` update, reset, within each group.
    Arguments as in `ConvGRUCore`.
    """

    def __init__(
        self,
        in_channels: int,
        channels: int,
        *,
        input_kernel_size: int,
        recurrent_kernel_size: int,
        groups: int = 1,
        pad_input: bool = True,
    ) -> None:
        super().__init__()
        self.groups, self.pad_input = groups, pad_input
        conv = SameConv2d if pad_input else nn.Conv2d
        self.drive = conv(in_channels, 3 * channels, input_kernel_size, groups=groups)
        self.gates = SameConv2d(channels, 2 * channels, recurrent_kernel_size, groups=groups, bias=False)
        self.candidate = SameConv2d(channels, channels, recurrent_kernel_size, groups=groups, bias=False)

    def forward(
        self, x: Float[Tensor, "batch channel time height width"]
    ) -> Float[Tensor, "batch feature time height_out width_out"]:
        if not self.pad_input:
            check_size(x, (1, *self.drive.kernel_size))
        frames = x.movedim(2, 1)
        # What does not depend on the state is computed for all bins at once.
        drive = self.drive(frames.flatten(0, 1)).unflatten(0, frames.shape[:2]).unflatten(2, (self.groups, 3, -1))
        gates_drive, candidate_drive = drive[:, :, :, :2].flatten(2, 4), drive[:, :, :, 2].flatten(2, 3)
        state, states = torch.zeros_like(candidate_drive[:, 0]), []
        for to_gates, to_candidate in zip(gates_drive.unbind(1), candidate_drive.unbind(1), strict=True):
            gates = torch.sigmoid(to_gates + self.gates(state))
            update, reset = (gate.flatten(1, 2) for gate in gates.unflatten(1, (self.groups, 2, -1)).unbind(2))
            candidate = torch.tanh(to_candidate + self.candidate(reset * state))
            state = torch.lerp(state, candidate, update)
            states.append(state)
        return torch.stack(states, dim=2)

    def strength(self) -> Float[Tensor, ""]:
        """Mean absolute weight between units."""
        return torch.cat([conv.weight.flatten() for conv in (self.gates, self.candidate)]).abs().mean()


class SameConv2d(nn.Conv2d):
    """A convolution of images that keeps their size; kernels of even side reach further down and right than up."""

    def __init__(self, in_channels: int, out_channels: int, side: int, **options: Any) -> None:
        super().__init__(in_channels, out_channels, side, padding=(side - 1) // 2, **options)

    def forward(self, input: Float[Tensor, "image channel height width"]) -> Float[Tensor, "image out height width"]:
        return super().forward(input if self.kernel_size[0] % 2 else F.pad(input, (0, 1, 0, 1)))
