"""What single-cell models share: sessions, each with a model of its neurons, and what they refuse."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from jaxtyping import Float, Shaped
from torch import Tensor, nn

from retina_nb.errors import UserError, unknown
from retina_nb.models.inputs import check_numbers
from retina_nb.recording import Recording, sessions_that_share
from retina_nb.representations import model_words, one_line


@one_line
class SessionModels(nn.Module):
    """A model for each session.

    Args:
        models: by session. Each is called as ``model(stimulus)`` and has ``lag``, ``kind`` and ``config``.
        about: what is known of the recordings.

    Raises:
        UserError: if there is no model, or a session's name is empty or holds a dot.
    """

    _in_words = model_words

    kind = "sessions"

    def __init__(self, models: Mapping[str, nn.Module], *, about: dict[str, Any] | None = None) -> None:
        super().__init__()
        if not models:
            raise UserError("there must be a model for at least one session")
        for session in models:
            if not session or "." in session:
                raise UserError(f"a session's name must not be empty or hold a dot, rename {session!r}")
        self.models = nn.ModuleDict(models)
        self.about = about or {}

    @property
    def sessions(self) -> list[str]:
        """The sessions' names, sorted."""
        return sorted(self.models)

    @property
    def lag(self) -> int:
        """Bins of history before the first output."""
        return self[self.sessions[0]].lag

    @property
    def config(self) -> dict[str, Any]:
        """Kind and shapes of every session's model; `from_config` makes a model of them."""
        models = {session: {"kind": self[session].kind, **self[session].config} for session in self.sessions}
        return {"models": models}

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> "SessionModels":
        """Models of these kinds and shapes, whose weights mean nothing yet."""
        kinds = single_cell_kinds()
        models = {
            session: kinds[one["kind"]].from_config({name: one[name] for name in one if name != "kind"})
            for session, one in config["models"].items()
        }
        return cls(models)

    def __getitem__(self, session: str) -> Any:
        if session not in self.models:
            raise unknown("session", session, self.models)
        return self.models[session]

    def forward(
        self, stimulus: Shaped[Tensor, "batch channel time height width"], session: str | None = None
    ) -> Float[Tensor, "batch time_out neuron"]:
        """Rates of a session's neurons; of all sessions' in sorted order if None. ``time_out = time - lag``."""
        if session is not None:
            return self[session](stimulus)
        return torch.cat([self[name](stimulus) for name in self.sessions], dim=-1)


def single_cell_kinds() -> dict[str, Any]:
    """The classes of single-cell models by kind."""
    from retina_nb.models.glm import GLM
    from retina_nb.models.linear_nonlinear import LinearNonlinear
    from retina_nb.models.spatial_contrast import SpatialContrast
    from retina_nb.models.subunits import SubunitModel

    return {model.kind: model for model in (GLM, LinearNonlinear, SpatialContrast, SubunitModel)}


def fit_sessions(recordings: Mapping[str, Recording], fit: Callable[[list[Recording]], Sequence[Any]]) -> SessionModels:
    """Fit the sessions that saw the same frames together.

    Args:
        recordings: sessions by name.
        fit: makes a model for each of several sessions that saw the same frames.
    """
    models: dict[str, nn.Module] = {}
    for names in sessions_that_share(recordings):
        members = [recordings[name] for name in names]
        for name, recording, model in zip(names, members, fit(members), strict=True):
            model.about, models[name] = recording.conditions, model
    neurons = {name: recording.n_neurons for name, recording in recordings.items()}
    return SessionModels(models, about={"neurons": neurons, **next(iter(recordings.values())).conditions})


def by_session(weights: Sequence[Tensor], recordings: Sequence[Recording]) -> list[tuple[Tensor, ...]]:
    """The weights of each session's neurons, of weights (neuron, ...) of the neurons of all sessions."""
    counts = [recording.n_neurons for recording in recordings]
    whole = torch.contiguous_format
    return list(zip(*([part.clone(memory_format=whole) for part in one.split(counts)] for one in weights), strict=True))


def check_stimulus(stimulus: Tensor, frame: tuple[int, ...], lag: int, like: Tensor) -> None:
    """Refuse a stimulus (batch, channel, time, height, width) that has other frames, is too short or not of finite
    numbers as `like`."""
    found = tuple(stimulus.shape[1:2] + stimulus.shape[3:])
    if found != frame:
        raise UserError(f"the filters take stimuli of (channel, height, width) {frame}, this one has {found}")
    if stimulus.shape[2] <= lag:
        raise UserError(f"the filters need more than {lag} bins of stimulus, this one has {stimulus.shape[2]}")
    check_numbers(stimulus, like)
