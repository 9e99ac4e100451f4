"""The twin: a core shared by all sessions and a readout for each."""

from pathlib import Path
from typing import Any

from jaxtyping import Float
from torch import Tensor, nn

from retina_nb.cores import Core, feature_shape
from retina_nb.errors import UserError
from retina_nb.readouts import Readout, SessionReadouts

# Long enough for the history of any core, to see how much of it is lost.
_PROBE_BINS = 200


class CoreReadout(nn.Module):
    """A core-readout model of recorded cells.

    Args:
        core: module from stimulus to feature movie.
        readout: module from feature movie to rates; `SessionReadouts` for several sessions.
        stimulus_shape: (channel, height, width) of the stimuli it was made for; None to accept any.
        config: the preset it was built from, kept in its checkpoint; None for parts made by hand.
        about: what is known of the recordings: rate (Hz), pixel size (µm), normalisation, units, scores.
    """

    def __init__(
        self,
        core: Core,
        readout: Readout | SessionReadouts,
        *,
        stimulus_shape: tuple[int, int, int] | None = None,
        config: dict[str, Any] | None = None,
        about: dict[str, Any] | None = None,
    ) -> None:
        super().__init__()
        self.core = core
        self.readout = readout
        self.stimulus_shape = stimulus_shape
        self.config = config
        self.about = about or {}

    @property
    def sessions(self) -> list[str]:
        """Names of the sessions, sorted; none if there is a single readout without a name."""
        return self.readout.sessions if isinstance(self.readout, SessionReadouts) else []

    @property
    def lag(self) -> int:
        """Bins of history needed before the first output; measured once if the core does not say."""
        if not hasattr(self.core, "lag"):
            if self.stimulus_shape is None:
                raise UserError("the core does not say its lag: set core.lag to the bins that it loses")
            self.core.lag = _PROBE_BINS - feature_shape(self.core, self.stimulus_shape, _PROBE_BINS)[1]
        return self.core.lag

    def forward(
        self, stimulus: Float[Tensor, "*batch channel time height width"], session: str | None = None
    ) -> Float[Tensor, "*batch time_out neuron"]:
        """Rates of a session's neurons; of all sessions' in sorted order if None. ``time_out = time - lag``.

        Raises:
            UserError: if the stimulus does not fit or there is no such session.
        """
        self._check(stimulus)
        return self.read(self.core(stimulus), session)

    def read(
        self, features: Float[Tensor, "batch feature time height width"], session: str | None = None
    ) -> Float[Tensor, "batch time neuron"]:
        """Rates from features that the core has made."""
        if isinstance(self.readout, SessionReadouts):
            return self.readout(features, session)
        return self.readout(features)

    def session_readout(self, session: str) -> Readout:
        """The readout of a session."""
        return self.readout[session] if isinstance(self.readout, SessionReadouts) else self.readout

    def save(self, path: str | Path) -> Path:
        """Write weights, architecture and what is known of the recordings to a safetensors file; returns its path."""
        from retina_nb.models.checkpoints import save_twin

        return save_twin(self, path)

    def _check(self, stimulus: Tensor) -> None:
        if stimulus.ndim != 5:
            raise UserError(
                f"a stimulus must be (batch, channel, time, height, width), not {tuple(stimulus.shape)}; "
                "add an axis with stimulus[None] if it has no batch"
            )
        found = tuple(stimulus.shape[1:2] + stimulus.shape[3:])
        if self.stimulus_shape is not None and found != self.stimulus_shape:
            raise UserError(
                f"the twin takes stimuli of (channel, height, width) {self.stimulus_shape}, this one has {found}"
            )
        if stimulus.shape[2] <= self.lag:
            raise UserError(f"the twin needs more than {self.lag} bins of stimulus, this one has {stimulus.shape[2]}")
