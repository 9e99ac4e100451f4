"""The twin: a core shared by all sessions and a readout for each."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float, Int, Shaped
from torch import Tensor, nn

from retina_nb.cores import Core, feature_shape
from retina_nb.errors import UserError, unknown
from retina_nb.models.inputs import check_numbers
from retina_nb.readouts import Readout, SessionReadouts
from retina_nb.readouts.base import read_neurons
from retina_nb.recording import Recording, by_name
from retina_nb.representations import as_html, model_words, one_line

_AXES = ("batch", "channel", "time", "height", "width")
# Long enough for the history of any core, to see how much of it is lost.
_PROBE_BINS = 200


@one_line
class CoreReadout(nn.Module):
    """A core-readout model of recorded cells.

    Args:
        core: module from stimulus to feature movie.
        readout: module from feature movie to rates; `SessionReadouts` for several sessions.
        stimulus_shape: (channel, height, width) of the stimuli it was made for; None to accept any.
        config: the preset it was built from, kept in its checkpoint; None for parts made by hand.
        about: what is known of the recordings: rate (Hz), pixel size (µm), normalisation, units, scores.
    """

    _in_words = model_words

    kind = "core_readout"

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
        self.core_frozen = False

    @property
    def sessions(self) -> list[str]:
        """Names of the sessions, sorted; none if there is a single readout without a name."""
        return self.readout.sessions if isinstance(self.readout, SessionReadouts) else []

    @property
    def lag(self) -> int:
        """Bins of history needed before the first output, of core and readout; measured if the core does not say."""
        if not hasattr(self.core, "lag"):
            if self.stimulus_shape is None:
                raise UserError(
                    "the core does not say its lag: set core.lag to the bins that it loses, or predict once"
                )
            self._measure_lag(self.stimulus_shape)
        return self.core.lag + self.readout.lag

    @property
    def lookahead(self) -> int:
        """Bins of the future that an output sees: 0 if the twin is causal."""
        return self.core.lookahead

    def forward(
        self,
        stimulus: Shaped[Tensor, "*batch channel time height width"],
        session: str | None = None,
        neurons: Int[Tensor, " neuron"] | None = None,
    ) -> Float[Tensor, "*batch time_out neuron"]:
        """Rates of a session's neurons; of all sessions' in sorted order if None. ``time_out = time - lag``.

        Args:
            stimulus: what is shown.
            session: whose neurons.
            neurons: their numbers, in the session or among all; of others nothing is computed. All if None.

        Raises:
            UserError: if the stimulus does not fit, saying in which axis, or there is no such session.
        """
        self._check(stimulus, session)
        if session is None and self.core.per_session and self.sessions:
            every = torch.cat([self(stimulus, one) for one in self.sessions], dim=-1)
            return every if neurons is None else every.index_select(-1, neurons.to(every.device))
        return self.read(self.features(stimulus, session), session, neurons)

    def features(
        self, stimulus: Float[Tensor, "batch channel time height width"], session: str | None = None
    ) -> Float[Tensor, "batch feature time_out height_out width_out"]:
        """What the core makes of a stimulus; the session matters to cores that are ``per_session`` only."""
        return self.core(stimulus, session) if self.core.per_session else self.core(stimulus)

    def read(
        self,
        features: Float[Tensor, "batch feature time height width"],
        session: str | None = None,
        neurons: Int[Tensor, " neuron"] | None = None,
    ) -> Float[Tensor, "batch time_out neuron"]:
        """Rates from features that the core has made; see `forward`."""
        if isinstance(self.readout, SessionReadouts):
            return self.readout(features, session, neurons)
        return read_neurons(self.readout, features, neurons)

    def rates(
        self, features: Float[Tensor, "batch feature time height width"], sessions: Sequence[str]
    ) -> dict[str, Float[Tensor, "batch time_out _"]]:
        """Rates of the neurons of several sessions, from features that the core has made."""
        if isinstance(self.readout, SessionReadouts):
            return self.readout.rates(features, sessions)
        return {session: self.readout(features) for session in sessions}

    def session_readout(self, session: str) -> Readout:
        """The readout of a session."""
        return self.readout[session] if isinstance(self.readout, SessionReadouts) else self.readout

    def freeze_core(self, frozen: bool = True) -> None:
        """Keep the core as it is in training: no gradients, fixed statistics of normalisation, no dropout."""
        self.core_frozen = frozen
        self.core.requires_grad_(not frozen)
        self.core.train(self.training and not frozen)

    def train(self, mode: bool = True) -> "CoreReadout":
        """Training mode, of the readouts alone if the core is frozen."""
        super().train(mode)
        self.core.train(mode and not self.core_frozen)
        return self

    def add_sessions(self, recordings: Recording | Mapping[str, Recording], *, seed: int = 0) -> None:
        """Add readouts of the twin's preset for new sessions, started from what their recordings say.

        The recordings must be like those that the twin was made for, or its core would see something else.

        Args:
            recordings: the new sessions by name, or one.
            seed: fixes their initial weights.

        Raises:
            UserError: if a session exists already, differs in stimulus, rate, pixel size, channels or normalisation
                from the twin's, or the twin was made of parts by hand.
        """
        from retina_nb.models.building import new_readouts, start_readouts

        recordings = by_name(recordings)
        readouts, like = self._session_readouts(), next(self.core.parameters(), torch.zeros(()))
        for session, readout in new_readouts(self, recordings, seed).items():
            readouts.add(session, readout.to(like))
        self.core.set_sessions(readouts.sessions)
        start_readouts(self, recordings)
        neurons = {name: one.n_neurons for name, one in recordings.items()}
        self.about = self.about | {"neurons": self.about["neurons"] | neurons}

    def remove_sessions(self, sessions: Iterable[str]) -> None:
        """Forget the readouts of some sessions.

        Raises:
            UserError: if there is no such session; then none is removed.
        """
        sessions, readouts = list(sessions), self._session_readouts()
        for session in sessions:
            if session not in readouts.sessions:
                raise unknown("session of the twin", session, readouts.sessions)
        for session in sessions:
            readouts.remove(session)
        self.core.set_sessions(readouts.sessions)
        kept = {name: n for name, n in self.about.get("neurons", {}).items() if name not in sessions}
        self.about = self.about | {"neurons": kept}

    def save(self, path: str | Path) -> Path:
        """Write weights, architecture and what is known of the recordings to a safetensors file; returns its path."""
        from retina_nb.models.checkpoints import save_model

        return save_model(self, path)

    def card(self) -> None:
        """Print what the twin is, what it was trained on and how good it is."""
        print(self._card())

    def _card(self) -> str:
        from retina_nb.models.cards import card

        return card(self)

    _repr_html_ = as_html(_card)

    def _measure_lag(self, stimulus_shape: tuple[int, int, int]) -> None:
        self.core.lag = _PROBE_BINS - feature_shape(self.core, stimulus_shape, _PROBE_BINS)[1]

    def _session_readouts(self) -> SessionReadouts:
        if not isinstance(self.readout, SessionReadouts):
            raise UserError("the twin has a single readout without a session: make it with SessionReadouts")
        return self.readout

    def _check(self, stimulus: Tensor, session: str | None) -> None:
        if isinstance(self.readout, SessionReadouts):
            if session is not None and session not in self.sessions:
                raise unknown("session of the twin", session, self.sessions)
            if not self.sessions:
                raise UserError("the twin has no sessions: give it some with add_sessions(recordings)")
        shape = tuple(stimulus.shape)
        if stimulus.ndim != 5:
            raise UserError(
                f"a stimulus must be ({', '.join(_AXES)}), not {shape}; "
                "add an axis with stimulus[None] if it has no batch"
            )
        if not shape[0]:
            raise UserError(f"the stimulus {shape} is empty along axis 0 (batch): give one or more")
        wanted = zip((1, 3, 4), self.stimulus_shape or (), strict=False)
        wrong = [
            f"axis {axis} ({_AXES[axis]}) is {shape[axis]} not {size}" for axis, size in wanted if shape[axis] != size
        ]
        if wrong:
            raise UserError(f"the stimulus {shape} does not fit the twin: {' and '.join(wrong)}")
        check_numbers(stimulus, next(self.parameters(), stimulus))
        if not hasattr(self.core, "lag"):
            self._measure_lag((shape[1], shape[3], shape[4]))
        if shape[2] <= self.lag:
            raise UserError(
                f"the stimulus {shape} is too short: axis 2 (time) is {shape[2]}, "
                f"the twin needs more than {self.lag} bins of stimulus"
            )
