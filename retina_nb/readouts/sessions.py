"""One readout for each recording session, behind one core."""

from collections.abc import Mapping

import torch
from jaxtyping import Float
from torch import Tensor, nn

from retina_nb.errors import UserError, unknown
from retina_nb.readouts.base import Readout


class SessionReadouts(nn.Module):
    """The readouts of several sessions by name.

    Args:
        readouts: a readout for each session.
    """

    def __init__(self, readouts: Mapping[str, Readout]) -> None:
        super().__init__()
        for session in readouts:
            if not session or "." in session:
                raise UserError(f"a session's name must not be empty or hold a dot, rename {session!r}")
        self.readouts = nn.ModuleDict(readouts)

    @property
    def sessions(self) -> list[str]:
        """The sessions' names, sorted."""
        return sorted(self.readouts)

    def __getitem__(self, session: str) -> Readout:
        if session not in self.readouts:
            raise unknown("session", session, self.readouts)
        return self.readouts[session]  # type: ignore[return-value]

    def forward(
        self, features: Float[Tensor, "batch feature time height width"], session: str | None = None
    ) -> Float[Tensor, "batch time neuron"]:
        """Rates of one session's neurons, or of all sessions' in sorted order."""
        if session is not None:
            return self[session](features)
        return torch.cat([self[name](features) for name in self.sessions], dim=-1)
