"""The core that does nothing, for models whose readout sees the stimulus."""

from jaxtyping import Float
from torch import Tensor

from retina_nb.cores.base import Core


class PassThrough(Core):
    """The stimulus as it is.

    Args:
        cut: bins to drop at the start; they are its lag.
    """

    def __init__(self, *, cut: int = 0) -> None:
        super().__init__()
        self.lag = cut

    def forward(
        self, x: Float[Tensor, "batch channel time height width"]
    ) -> Float[Tensor, "batch channel time_out height width"]:
        return x[:, :, self.lag :]
