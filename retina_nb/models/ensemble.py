"""Several twins of the same cells as one model: their mean, and how far they disagree."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from jaxtyping import Float, Int, Shaped
from torch import Tensor, nn

from retina_nb.errors import UserError
from retina_nb.models.core_readout import CoreReadout
from retina_nb.representations import model_words, one_line


@one_line
class Ensemble(nn.Module):
    """The mean of several twins, which predicts better than they do on average (Perrone & Cooper 1993; Höfling 2024).

    Members are trained apart, and differ by their seed or their preset:

    >>> twins = [build_twin(preset, recordings, seed=seed) for seed in range(5)]
    >>> fits = [fit(twin, recordings, seed=seed) for seed, twin in enumerate(twins)]
    >>> ensemble = Ensemble(twins)

    It is called as a twin is. Its lag is the longest of its members', whose rates are aligned.

    Args:
        twins: two or more, of the same sessions.

    Raises:
        UserError: if there are less than two, or they differ in sessions, neurons or stimuli.
    """

    _in_words = model_words

    kind = "ensemble"

    def __init__(self, twins: Sequence[CoreReadout]) -> None:
        super().__init__()
        if len(twins) < 2:
            raise UserError(f"an ensemble needs two twins or more, not {len(twins)}")
        first = twins[0]
        for number, twin in enumerate(twins):
            for what, found, expected in (
                ("sessions", twin.sessions, first.sessions),
                ("neurons", twin.about.get("neurons"), first.about.get("neurons")),
                ("stimuli of (channel, height, width)", twin.stimulus_shape, first.stimulus_shape),
                ("a rate (Hz) of", twin.about.get("rate_hz"), first.about.get("rate_hz")),
            ):
                if found != expected:
                    raise UserError(f"twin {number} of the ensemble has {what} {found}, twin 0 has {expected}")
        self.members = nn.ModuleList(twins)
        self.about, self.stimulus_shape = first.about, first.stimulus_shape

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> "Ensemble":
        """An ensemble of the same architectures with random weights, to be filled from a checkpoint."""
        from retina_nb.models.parts import assemble

        shape, about = config["stimulus_shape"], dict(config["about"])
        return cls([assemble(member, shape, about) for member in config["members"]])

    @property
    def config(self) -> dict[str, Any] | None:
        """What `from_config` makes the ensemble of; None if a member was made of parts by hand."""
        configs = [member.config for member in self._twins]
        about = {name: self.about.get(name) for name in ("neurons", "rate_hz", "stimulus_mean", "stimulus_std")}
        if None in configs:
            return None
        return {"members": configs, "stimulus_shape": self.stimulus_shape, "about": about}

    @property
    def sessions(self) -> list[str]:
        """Names of the sessions, sorted."""
        return self._twins[0].sessions

    @property
    def lag(self) -> int:
        """Bins of history before the first output, the most of any member."""
        return max(member.lag for member in self._twins)

    @property
    def lookahead(self) -> int:
        """Bins of the future that an output sees, the most of any member."""
        return max(member.lookahead for member in self._twins)

    def forward(
        self,
        stimulus: Shaped[Tensor, "*batch channel time height width"],
        session: str | None = None,
        neurons: Int[Tensor, " neuron"] | None = None,
    ) -> Float[Tensor, "*batch time_out neuron"]:
        """Mean rates of a session's neurons; of all sessions' in sorted order if None. ``time_out = time - lag``.

        Raises:
            UserError: if the stimulus does not fit or there is no such session.
        """
        return self.rates(stimulus, session, neurons).mean(dim=0)

    def spread(
        self, stimulus: Float[Tensor, "batch channel time height width"], session: str | None = None
    ) -> Float[Tensor, "batch time_out neuron"]:
        """Standard deviation of the members' rates: where it is large, the data do not say what the rate is."""
        return self.rates(stimulus, session).std(dim=0)

    def rates(
        self,
        stimulus: Shaped[Tensor, "*batch channel time height width"],
        session: str | None = None,
        neurons: Int[Tensor, " neuron"] | None = None,
    ) -> Float[Tensor, "member *batch time_out neuron"]:
        """Every member's rates."""
        if stimulus.ndim == 5 and stimulus.shape[2] <= self.lag:
            raise UserError(
                f"the ensemble needs more than {self.lag} bins of stimulus, this one has {stimulus.shape[2]}"
            )
        return torch.stack([twin(stimulus, session, neurons)[:, self.lag - twin.lag :] for twin in self._twins])

    @property
    def _twins(self) -> list[CoreReadout]:
        return list(self.members)  # type: ignore[arg-type]
