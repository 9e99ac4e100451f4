"""What one neuron is predicted to do, at once, beside what is known of it: for those who look before they analyse."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import torch
from jaxtyping import Float

from retina_nb.analyses.subjects import Subject, subject
from retina_nb.errors import UserError
from retina_nb.recording import Recording
from retina_nb.representations import one_line
from retina_nb.stimuli import Stimulus


@one_line
@dataclass(frozen=True)
class Preview:
    """A neuron's responses to one stimulus; made by `preview` and `preview_recorded`.

    Args:
        frames: the stimulus (channel, time, height, width).
        rates: the responses (time,) in events per second: the ``"twin"``'s, and where they are known the ``"truth"``'s
            and the ``"recorded"`` mean over trials.
        rate: bins per second (Hz).
        session, neuron: whose they are.
    """

    frames: Float[np.ndarray, "channel time height width"]
    rates: Mapping[str, Float[np.ndarray, " time"]]
    rate: float
    session: str
    neuron: int

    @property
    def seconds(self) -> Float[np.ndarray, " time"]:
        """When each bin starts (s)."""
        return np.arange(self.frames.shape[1]) / self.rate

    def agreement(self, name: str) -> float:
        """Correlation of the twin's response with the truth's or the recorded one; NaN if one of them is constant."""
        twin, other = self.rates["twin"], self.rates[name]
        constant = min(np.ptp(twin), np.ptp(other)) < 1e-6 * max(np.abs(other).max(), 1e-6)
        return float("nan") if constant else float(np.corrcoef(twin, other)[0, 1])

    def to_dataframe(self) -> pd.DataFrame:
        """A row for each bin: ``session``, ``neuron``, ``seconds`` and the rates (1/s)."""
        return pd.DataFrame({"session": self.session, "neuron": self.neuron, "seconds": self.seconds, **self.rates})


def preview(twin: Any, stimulus: Stimulus, *, session: str, neuron: int, truth: Any = None) -> Preview:
    """What a twin says that a neuron does, and what it truly does if the truth is known.

    The stimulus comes after a screen that showed its first frame for long.

    Args:
        twin: a twin, ensemble or baseline.
        stimulus: made for its screen.
        session, neuron: whose response.
        truth: a model of the truth of the same sessions; None if there is none.

    Raises:
        UserError: if there is no such session or neuron, or the stimulus does not fit.
    """
    one = subject(twin, session=session, neurons=neuron)
    rates = {"twin": _shown(one, stimulus)}
    if truth is not None:
        rates["truth"] = _shown(subject(truth, session=session, neurons=neuron), stimulus)
    return Preview(stimulus.frames, rates, one.rate, session, neuron)


def preview_recorded(
    twin: Any, recording: Recording, *, neuron: int, start: float = 0.0, seconds: float = 4.0, truth: Any = None
) -> Preview:
    """What a twin says that a neuron did during a stimulus that was repeated to it, and what it did.

    Args:
        twin: a twin, ensemble or baseline that knows the session.
        recording: the session.
        neuron: its number there.
        start: when to begin (s); the first stimulus is left out for as long as the twin needs history.
        seconds: how long.
        truth: a model of the truth of the same session; None if there is none.

    Raises:
        UserError: if there is no such session or neuron, no stimulus was repeated, or it does not last so long.
    """
    one = subject(twin, session=recording.session, neurons=neuron)
    if not recording.repeats:
        raise UserError(f"no stimulus was repeated in session {recording.session}: choose another stimulus")
    name = next(iter(recording.repeats))
    lag = max(one.lag, truth.lag if truth is not None else 0)
    first, count = lag + round(start * one.rate), round(seconds * one.rate)
    bins = recording.repeats[name][0]
    if not 0 < count <= len(bins) - first:
        longest = max((len(bins) - lag) / one.rate, 0)
        raise UserError(f"the repeated stimulus {name!r} is known for {longest:.1f} s, not for {start + seconds:g} s")
    frames = np.asarray(recording.stimulus_at(bins[first - lag : first + count]), dtype=np.float32)

    def predicted(model: Any) -> np.ndarray:
        seen = subject(model, session=recording.session, neurons=neuron)
        return seen.rates(frames[None, :, lag - seen.lag :])[0, :, 0] * seen.rate

    rates = {"twin": predicted(twin)}
    if truth is not None:
        rates["truth"] = predicted(truth)
    trials = recording.trials(name)[:, first : first + count, neuron]
    rates["recorded"] = trials.mean(axis=0).astype(np.float32) * np.float32(one.rate)
    return Preview(frames[:, lag:], rates, one.rate, recording.session, neuron)


def _shown(one: Subject, stimulus: Stimulus) -> Float[np.ndarray, " time"]:
    frames = one.frames(stimulus)
    apart = _image_and_course(frames)
    if apart is None:
        return one.show(frames[None])[0, :, 0] * one.rate
    # The first convolution, the dearest of a twin, is nearly free for an image that is still but for its strength.
    image, course = (torch.from_numpy(part).to(one.device) for part in apart)
    one.check((1, image.shape[0], one.lag + len(course), *image.shape[1:]))
    with torch.no_grad():
        seen = one.linear_still(image[None], torch.cat([course[:1].expand(one.lag), course]))
        return one.linear_stage[1](seen)[0, :, 0].float().cpu().numpy() * one.rate


def _image_and_course(
    frames: Float[np.ndarray, "channel time height width"],
) -> tuple[Float[np.ndarray, "channel height width"], Float[np.ndarray, " time"]] | None:
    """The image and its strength over time whose product a stimulus is; None if it is none."""
    channel, time, y, x = np.unravel_index(np.abs(frames).argmax(), frames.shape)
    image = frames[:, time]
    if not image[channel, y, x]:
        return image, np.zeros(frames.shape[1], dtype=frames.dtype)
    course = frames[channel, :, y, x] / image[channel, y, x]
    made = image[:, None] * course[:, None, None]
    return (image, course) if np.allclose(made, frames, rtol=1e-6, atol=1e-7) else None
