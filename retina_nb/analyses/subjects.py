"""The subject of an experiment: some neurons of a model, what screen they look at, and how they respond."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from inspect import signature
from itertools import chain
from typing import Any

import numpy as np
import pandas as pd
import torch
from jaxtyping import Float, Int
from torch import Tensor
from tqdm.auto import tqdm

from retina_nb.cores import StackedCore
from retina_nb.errors import UserError, unknown
from retina_nb.representations import one_line
from retina_nb.stimuli import Stimulus, batch
from retina_nb.tensors import as_tensor

# What experiments are given to show: one stimulus, or many side by side.
One = Stimulus | Float[np.ndarray, "channel time height width"]
Many = Stimulus | Sequence[Stimulus] | Float[np.ndarray, "batch channel time height width"]

# An experiment that asks for more batches than this shows its progress.
_LONG = 20


@one_line
@dataclass(frozen=True)
class Subject:
    """Neurons of a model under experiment; made by `subject`.

    Args:
        model: the twin, ensemble, baseline or truth.
        session: whose neurons; None for all sessions', in sorted order.
        neurons: numbers of the neurons, in the session or among all.
        stimulus_shape: (channel, height, width) of its stimuli.
        rate: bins per second (Hz).
        pixel_um: side of a pixel on the retina (µm); None if unknown.
        device: where the model is.
    """

    model: Any
    session: str | None
    neurons: np.ndarray
    stimulus_shape: tuple[int, int, int]
    rate: float
    pixel_um: float | None
    device: torch.device

    @property
    def lag(self) -> int:
        """Bins of history before the first output."""
        return self.model.lag

    @property
    def channels(self) -> list[str]:
        """Names of the stimulus channels: those of the recordings, or their numbers."""
        return list(self.model.about.get("channels") or map(str, range(self.stimulus_shape[0])))

    def table(self) -> pd.DataFrame:
        """A row for each neuron: ``session`` and ``neuron``, its number in the session."""
        names = [(name, n) for name, count in _counts(self.model, self.session).items() for n in range(count)]
        return pd.DataFrame([names[n] for n in self.neurons], columns=["session", "neuron"])

    def respond(
        self, stimulus: Float[Tensor, "batch channel time height width"]
    ) -> Float[Tensor, "batch time_out neuron"]:
        """The neurons' rates (events per bin), through which gradients flow to the stimulus."""
        stimulus, index = stimulus.to(self.device), torch.from_numpy(self.neurons)
        if "neurons" in signature(getattr(self.model, "forward", self.model)).parameters:
            return self.model(stimulus, self.session, index)
        return self.model(stimulus, self.session).index_select(-1, index.to(self.device))

    @property
    def linear_stage(self) -> tuple[Callable[[Tensor], Tensor], Callable[[Tensor], Tensor]]:
        """What the model begins with that is linear in the stimulus, and what makes the neurons' rates of that.

        One after the other they are `respond`. Where many stimuli are sums of few, or gradients are summed over time,
        the first, which is the dearest of a twin with a `StackedCore`, is needed for few only. Of other models, the
        first gives the stimulus itself.
        """
        core = self._staged_core
        if core is None:
            return lambda stimulus: stimulus.to(self.device), self.respond
        of_core = self.session if core.per_session else None
        index = torch.from_numpy(self.neurons)

        def rest(seen: Tensor) -> Tensor:
            return self.model.read(core.after_linear(seen, of_core), self.session, index)

        return lambda stimulus: core.linear(stimulus.to(self.device), of_core), rest

    def linear_still(
        self, image: Float[Tensor, "batch channel height width"], course: Float[Tensor, " time"]
    ) -> Float[Tensor, "batch part time_out height_out width_out"]:
        """What the first of `linear_stage` makes of an image that is still but for its strength, which has a course."""
        core = self._staged_core
        if core is None or core.per_session:
            return self.linear_stage[0](image[:, :, None] * course[:, None, None])
        return core.linear_still(image, course)

    @property
    def _staged_core(self) -> StackedCore | None:
        """The core, if its linear stage can be taken apart from the rest."""
        core = getattr(self.model, "core", None)
        if not isinstance(core, StackedCore) or (core.per_session and self.session is None):
            return None
        # A layer that is listened to, or replaced, must be called.
        hooked = any(part._forward_hooks or part._forward_pre_hooks for part in self.model.modules())
        return None if hooked else core

    @torch.no_grad()
    def rates(self, stimuli: Many, *, batch_size: int = 16) -> Float[np.ndarray, "batch time_out neuron"]:
        """The neurons' rates (events per bin) to many stimuli, `batch_size` of which are shown at once.

        Raises:
            UserError: if the stimuli do not fit the model, are not longer than its lag or not finite, or none may be
                shown at once.
        """
        stimuli = self.movies(stimuli)
        self.examine(stimuli)
        check_batch_size(batch_size)
        parts = range(0, len(stimuli), batch_size)
        made = [
            self.respond(as_tensor(np.ascontiguousarray(stimuli[start : start + batch_size]))).float().cpu()
            for start in tqdm(parts, disable=len(parts) <= _LONG, leave=False)
        ]
        return torch.cat(made).numpy()

    def show(self, stimuli: Many, *, batch_size: int = 16) -> Float[np.ndarray, "batch time neuron"]:
        """The neurons' rates in every bin of stimuli that come after a screen which showed the first frame for long."""
        stimuli = self.movies(stimuli)
        if stimuli.ndim != 5:
            self.check(stimuli.shape)
        before = np.repeat(stimuli[:, :, :1], self.lag, axis=2)
        return self.rates(np.concatenate([before, stimuli], axis=2), batch_size=batch_size)

    def check(self, shape: Sequence[int]) -> None:
        """Refuse stimuli that do not fit the model.

        Raises:
            UserError: with the axis that does not fit.
        """
        channel, height, width = self.stimulus_shape
        wanted = f"(batch, {channel}, time > {self.lag}, {height}, {width})"
        if len(shape) != 5 or (shape[1], *shape[3:]) != self.stimulus_shape or shape[2] <= self.lag:
            raise UserError(f"the stimuli {tuple(shape)} do not fit the model, which needs {wanted}")
        if not shape[0]:
            raise UserError("there are no stimuli to show: give one or more")

    def examine(self, stimuli: Float[np.ndarray, "batch channel time height width"]) -> None:
        """Refuse stimuli that do not fit the model, or are not finite: every response to them would be NaN.

        Raises:
            UserError: with the axis that does not fit, or the stimulus that is not finite.
        """
        self.check(stimuli.shape)
        if not np.isfinite(stimuli.sum(dtype=np.float64)):  # without a copy of large stimuli
            bad = np.argwhere(~np.isfinite(stimuli))
            if len(bad):
                where = dict(zip(("stimulus", "channel", "frame", "y", "x"), bad[0].tolist(), strict=True))
                raise UserError(
                    f"the stimuli are not finite at {where}: leave out what is unknown, or set it to grey, 0"
                )

    def frames(self, stimulus: Stimulus | np.ndarray) -> Float[np.ndarray, "..."]:
        """Frames of a stimulus, which was made for the model's screen if it says for which; else as they are.

        Raises:
            UserError: if it was made for another rate or size of pixels.
        """
        if not isinstance(stimulus, Stimulus):
            return np.asarray(stimulus, dtype=np.float32)
        screen = stimulus.screen
        if screen.rate != self.rate or (self.pixel_um and screen.pixel_um != self.pixel_um):
            raise UserError(
                f"the stimulus was made for {screen.rate:g} Hz and pixels of {screen.pixel_um:g} µm, the model has "
                f"{self.rate:g} Hz and {self.pixel_um or float('nan'):g} µm: make it for Screen.of(model)"
            )
        return stimulus.frames

    def movies(self, stimuli: Stimulus | Sequence[Stimulus] | np.ndarray) -> Float[np.ndarray, "..."]:
        """Frames of many stimuli, as `frames` gives them; shorter ones are followed by grey.

        Raises:
            UserError: if one was made for another rate or size of pixels, or they are none.
        """
        some = [stimuli] if isinstance(stimuli, Stimulus) else stimuli
        if isinstance(some, np.ndarray) or not all(isinstance(one, Stimulus) for one in some):
            return np.asarray(some, dtype=np.float32)
        for one in some:
            self.frames(one)
        return batch(some)[0]

    def pixels(self, um: float) -> float:
        """A length on the retina (µm) in pixels.

        Raises:
            UserError: if the size of a pixel is unknown.
        """
        if not self.pixel_um:
            raise UserError("the model does not know the size of its pixels: set model.about['pixel_um'] (µm)")
        return um / self.pixel_um


def subject(
    model: Any,
    *,
    session: str | None = None,
    neurons: int | np.integer | Iterable[int] | np.ndarray | None = None,
    device: str | torch.device | None = None,
) -> Subject:
    """Choose the neurons of a model for an experiment.

    Args:
        model: a twin, ensemble, baseline or truth: what is called as ``model(stimulus, session)``, has a ``lag`` and
            knows in ``about`` its rate and neurons. If it is also called as ``model(stimulus, session, neurons)``, it
            is asked for the chosen ones only.
        session: whose neurons; all sessions' in sorted order if None.
        neurons: their numbers, in the session or among all, or True or False for each of them; all if None.
        device: where to move the model; it stays where it is if None.

    Raises:
        UserError: if there is no such session or neuron, no neuron is chosen, or the model does not know its stimuli
            or rate.
    """
    if not callable(model):
        raise UserError(f"an experiment needs a model, as load_twin gives it, not a {type(model).__name__}")
    shape, about = getattr(model, "stimulus_shape", None), getattr(model, "about", {})
    if shape is None:
        raise UserError("the model does not know its stimuli: set model.stimulus_shape to (channel, height, width)")
    if not about.get("rate_hz"):
        raise UserError("the model does not know its rate: set model.about['rate_hz'] (Hz)")
    total = sum(_counts(model, session).values())
    chosen = chosen_neurons(neurons, total, f"session {session}" if session is not None else "the model")
    if device is not None:
        model.to(device)
    here = next(chain(model.parameters(), model.buffers()), torch.zeros(())).device
    model.eval()
    return Subject(model, session, chosen, tuple(shape), float(about["rate_hz"]), about.get("pixel_um"), here)


def chosen_neurons(
    neurons: int | np.integer | Iterable[int] | np.ndarray | None, total: int, where: str
) -> Int[np.ndarray, " neuron"]:
    """Numbers of the chosen ones of so many neurons, given by their numbers or by True or False for each.

    Raises:
        UserError: if they are none, not whole numbers, or one does not exist; it says where, e.g. "session a".
    """
    if neurons is None:
        return np.arange(total)
    given = np.atleast_1d(np.asarray(list(neurons) if isinstance(neurons, Iterable) else neurons))
    if given.dtype == bool and given.shape == (total,):
        given = np.flatnonzero(given)
    if not given.size:
        raise UserError("no neuron was chosen: give at least one of neurons=, or none for all")
    if given.ndim != 1 or not np.issubdtype(given.dtype, np.integer):
        raise UserError(
            f"neurons={neurons} must be numbers from 0 to {total - 1}, or True or False for each of {total} neurons"
        )
    wrong = given[(given < 0) | (given >= total)]
    if len(wrong):
        raise UserError(f"there is no neuron {wrong[0]}: {where} has neurons 0 to {total - 1}")
    return given.astype(int)


def check_batch_size(batch_size: int) -> None:
    """Refuse to show nothing at once.

    Raises:
        UserError: if the size is below 1.
    """
    if batch_size < 1:
        raise UserError(f"batch_size={batch_size} must be 1 or more: it is how many are computed at once")


def checked_window(one: Subject, window: tuple[int, int] | None, bins: int) -> tuple[int, int]:
    """Bins of a stimulus of so many whose responses count (first, one after the last); all that have one if None.

    Raises:
        UserError: if it is empty, or there is no response in some of it.
    """
    first, last = window or (one.lag, bins)
    if not one.lag <= first < last <= bins:
        raise UserError(
            f"there is no response in all of the window {(first, last)}: it must be in bins {one.lag} to {bins} of the "
            f"stimulus, since the model needs {one.lag} bins of history"
        )
    return first, last


@contextmanager
def frozen(model: Any) -> Iterator[None]:
    """While it lasts, no gradients are kept for the model's own weights: an experiment needs those of the stimulus."""
    learned = [parameter for parameter in model.parameters() if parameter.requires_grad]
    for parameter in learned:
        parameter.requires_grad_(False)
    try:
        yield
    finally:
        for parameter in learned:
            parameter.requires_grad_(True)


def _counts(model: Any, session: str | None) -> dict[str, int]:
    """Number of neurons of the session, or of all sessions in sorted order."""
    counts = model.about.get("neurons")
    if not counts:
        raise UserError("the model does not know its neurons: set model.about['neurons'] to {session: number}")
    if session is None:
        return {name: counts[name] for name in sorted(counts)}
    if session not in counts:
        raise unknown("session of the model", session, counts)
    return {session: counts[session]}
