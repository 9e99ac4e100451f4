"""One readout for each recording session, behind one core."""

from collections.abc import Mapping, Sequence

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
        self.readouts = nn.ModuleDict()
        for session, readout in readouts.items():
            self.add(session, readout)

    @property
    def sessions(self) -> list[str]:
        """The sessions' names, sorted."""
        return sorted(self.readouts)

    @property
    def lag(self) -> int:
        """Bins of features before the first output, the same for all."""
        return max((readout.lag for readout in self.readouts.values()), default=0)  # type: ignore[type-var, return-value]

    def add(self, session: str, readout: Readout) -> None:
        """Add the readout of a new session.

        Raises:
            UserError: if its name cannot be used or is taken, or its lag is not that of the others.
        """
        if not session or "." in session:
            raise UserError(f"a session's name must not be empty or hold a dot, rename {session!r}")
        if session in self.readouts:
            raise UserError(f"there is a session {session} already, remove it first or rename the new one")
        if self.readouts and readout.lag != self.lag:
            raise UserError(f"the readout of session {session} has a lag of {readout.lag}, the others {self.lag}")
        self.readouts[session] = readout

    def remove(self, session: str) -> Readout:
        """Take a session's readout away; returns it.

        Raises:
            UserError: if there is no such session.
        """
        readout = self[session]
        del self.readouts[session]
        return readout

    def __getitem__(self, session: str) -> Readout:
        if session not in self.readouts:
            raise unknown("session", session, self.readouts)
        return self.readouts[session]  # type: ignore[return-value]

    def forward(
        self, features: Float[Tensor, "batch feature time height width"], session: str | None = None
    ) -> Float[Tensor, "batch time_out neuron"]:
        """Rates of one session's neurons, or of all sessions' in sorted order."""
        if session is not None:
            return self[session](features)
        return torch.cat([*self.rates(features, self.sessions).values()], dim=-1)

    def rates(
        self, features: Float[Tensor, "batch feature time height width"], sessions: Sequence[str]
    ) -> dict[str, Float[Tensor, "batch time_out _"]]:
        """Rates of the neurons of several sessions."""
        return {session: self[session](features) for session in sessions}
