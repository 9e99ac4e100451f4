"""What every core is: a module from stimulus to feature movie."""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn

from retina_nb.representations import one_line, part_words


@one_line
class Core(nn.Module):
    """Turns a stimulus into a feature movie that all readouts share.

    Subclass it with a ``forward`` from (batch, channel, time, height, width) to
    (batch, feature, time_out, height_out, width_out). Nothing else is needed.
    """

    _in_words = part_words

    lag: int  # bins of history before the first output; measured where a subclass does not say
    lookahead: int = 0  # bins of the future that an output sees: 0 in a causal core
    stride: int = 1  # pixels of the stimulus from one pixel of the feature movie to the next; (down, right) if unequal
    time_stride: int = 1  # bins of the stimulus from one bin of the feature movie to the next
    per_session: bool = False  # whether forward takes the name of a session after the stimulus

    def regularizer(self) -> Float[Tensor, ""]:
        """Penalty added to the mean loss; none by default."""
        parameter = next(self.parameters(), None)
        return torch.zeros((), device=None if parameter is None else parameter.device)

    def set_sessions(self, sessions: Sequence[str]) -> None:
        """Know these sessions, sorted, and keep what was learned of each; needed only if ``per_session``."""


@torch.no_grad()
def feature_shape(core: nn.Module, stimulus_shape: tuple[int, int, int], time: int) -> tuple[int, int, int, int]:
    """(feature, time_out, height, width) of what a core makes of (channel, height, width) stimuli of `time` bins."""
    training = core.training
    core.eval()
    channel, height, width = stimulus_shape
    like = next(core.parameters(), torch.zeros(()))
    features = core(torch.zeros(1, channel, time, height, width, device=like.device, dtype=like.dtype))
    core.train(training)
    return tuple(features.shape[1:])
