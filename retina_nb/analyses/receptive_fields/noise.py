"""A model's answer to white noise, as a recording of which receptive fields are estimated like those of real cells."""

from collections.abc import Iterable
from typing import Any

import numpy as np
import torch

from retina_nb.analyses.receptive_fields.reverse_correlation import OF_MODEL
from retina_nb.analyses.subjects import subject
from retina_nb.recording import Movie, Recording
from retina_nb.stimuli import Screen, white_noise

# Bins shown at once, which bounds the memory for long noise.
_BLOCK = 600


def record_noise(
    model: Any,
    *,
    duration: float = 300.0,
    stixel: int = 1,
    hold: int = 1,
    kind: str = "gaussian",
    contrast: float = 1.0,
    session: str | None = None,
    neurons: int | Iterable[int] | None = None,
    device: str | torch.device | None = None,
    seed: int = 0,
) -> Recording:
    """A recording of a model that sees white noise. Its responses are the model's rates, without noise of their own.

    Args:
        model: a twin, ensemble, baseline or truth.
        duration: in seconds.
        stixel, hold, kind, contrast: of the noise, see `retina_nb.stimuli.white_noise`.
        session: whose neurons; all sessions' if None.
        neurons: their numbers; all if None.
        device: where to move the model.
        seed: of the noise.

    Raises:
        UserError: if there is no such session or neuron, or no such noise.
    """
    watching = subject(model, session=session, neurons=neurons, device=device)
    screen = Screen(
        watching.stimulus_shape[1:], watching.rate, watching.pixel_um or float("nan"), watching.stimulus_shape[0]
    )
    noise = white_noise(
        screen, duration=duration, stixel=stixel, hold=hold, kind=kind, contrast=contrast, seed=seed
    ).frames
    lag, time = watching.lag, noise.shape[1]
    history = np.zeros((noise.shape[0], lag, *noise.shape[2:]), dtype=np.float32)
    shown = np.concatenate([history, noise], axis=1)[None]
    rates = [watching.rates(shown[:, :, start : start + lag + _BLOCK])[0] for start in range(0, time, _BLOCK)]
    table = watching.table()
    return Recording(
        session or "all sessions",
        Movie(noise, channels=tuple(watching.channels)),
        np.concatenate(rates),
        watching.rate,
        pixel_um=screen.pixel_um,
        neurons={"session": table["session"].to_numpy(), "neuron": table["neuron"].to_numpy()},
        signed=True,
        about={OF_MODEL: True},
    )
