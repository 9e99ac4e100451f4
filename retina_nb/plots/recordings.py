"""Figures of what was shown and what was recorded."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.collections import PolyCollection
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from retina_nb.plots.style import CEILING, CHANNEL_MAPS, COLOURS, RECORDED, figure
from retina_nb.recording import Recording
from retina_nb.representations import one_line

_LOOKS = 8  # frames among which one is chosen


def show_stimulus(recording: Recording, *, split: str = "train", frames: int = 6, every: float = 4.0) -> Figure:
    """Frames of a stimulus, a row for each channel: in each stretch of time the one with most detail.

    Args:
        recording: the session.
        split: which bins.
        frames: number of frames.
        every: seconds that each stretch lasts.
    """
    bins = recording.bins(split)
    starts = (np.arange(frames) * every * recording.rate).astype(int)
    looked_at = np.linspace(0, every * recording.rate, _LOOKS, endpoint=False).astype(int)
    candidates = (starts[:, None] + looked_at) % len(bins)
    # Between clips, and when the whole screen flickers, there is nothing to see.
    detail = recording.stimulus_at(bins[candidates.ravel()]).std(axis=(2, 3)).sum(axis=0).reshape(candidates.shape)
    chosen = candidates[np.arange(frames), detail.argmax(axis=1)]
    stimulus = recording.stimulus_at(bins[chosen])
    names = recording.movie.channels or [f"channel {number}" for number in range(len(stimulus))]
    made, axes = figure(len(stimulus), frames, size=(1.25 * frames, 1.5 * len(stimulus)), squeeze=False)
    limit = np.percentile(np.abs(stimulus), 99)
    for row, channel, name in zip(axes, stimulus, names, strict=True):
        for ax, image, bin_ in zip(row, channel, bins[chosen], strict=True):
            ax.imshow(image, cmap=CHANNEL_MAPS.get(name, "gray"), vmin=-limit, vmax=limit)
            ax.set(xticks=[], yticks=[])
            ax.spines[:].set_visible(False)
            if ax in axes[0]:
                ax.set_title(f"{bin_ / recording.rate:.0f} s", fontsize=9)
        row[0].set_ylabel(name)
    return made


def show_responses(
    panels: Mapping[str, Float[np.ndarray, "trial time"]], rate: float, *, seconds: float = 12
) -> Figure:
    """The first seconds of responses to a repeated stimulus: every trial above, their mean below.

    Args:
        panels: for each row's title, the responses of one neuron.
        rate: bins per second (Hz).
        seconds: how much to show.
    """
    made, axes = figure(len(panels), 1, size=(7.5, 1.4 * len(panels)), sharex=True, squeeze=False)
    for ax, (title, trials) in zip(axes[:, 0], panels.items(), strict=True):
        part = trials[:, : int(seconds * rate)]
        time = np.arange(part.shape[1]) / rate
        mean = part.mean(axis=0) * rate
        top = max(mean.max(), 1e-9)
        # Dark is many spikes; a few of the largest counts would else leave the rest white.
        image = {"cmap": "Greys", "vmin": 0, "vmax": max(np.percentile(part, 99.5), 1e-9), "interpolation": "none"}
        ax.imshow(part, aspect="auto", extent=(0, time[-1], 1.1 * top, 2.2 * top), **image)
        ax.plot(time, mean, color=RECORDED, lw=1)
        ax.set(xlim=(0, time[-1]), ylim=(0, 2.2 * top), yticks=[0, round(top)], ylabel="events/s")
        ax.set_title(title, loc="left", fontsize=9)
    axes[-1, 0].set(xlabel="time (s)")
    return made


@one_line
@dataclass(frozen=True)
class Prediction:
    """One neuron's responses to a repeated stimulus, and what each model predicts for its end."""

    title: str
    trials: Float[np.ndarray, "trial time"]
    models: Mapping[str, Float[np.ndarray, " time_out"]]


def show_predictions(panels: Sequence[Prediction], rate: float, *, seconds: float = 10) -> Figure:
    """The recorded mean over trials with its standard error, and predictions.

    Args:
        panels: a row each.
        rate: bins per second (Hz).
        seconds: how much of the end to show.
    """
    made, axes = figure(len(panels), 1, size=(7.5, 1.8 * len(panels)), sharex=True, squeeze=False)
    for ax, panel in zip(axes[:, 0], panels, strict=True):
        show_prediction(ax, panel, rate, seconds=seconds)
        ax.set_title(panel.title, loc="left", fontsize=9)
    lines = axes[0, 0].get_legend_handles_labels()
    made.legend(*lines, loc="outside upper right", frameon=False, fontsize=9, ncols=4)  # where no title is so long
    axes[-1, 0].set(xlabel="time (s)")
    return made


def show_prediction(
    ax: Axes, panel: Prediction, rate: float, *, seconds: float = 10
) -> tuple[PolyCollection, list[Line2D]]:
    """One row of `show_predictions`, on an axis of another figure.

    Returns:
        What changes with the neuron: the band of the standard error, and the lines of the recorded mean and the models.
    """
    time, mean, error, predicted = prediction_curves(panel, rate, seconds=seconds)
    band = ax.fill_between(time, mean - error, mean + error, color=CEILING, lw=0)
    lines = ax.plot(time, mean, color=RECORDED, lw=1, label="recorded, mean over trials")
    for name, prediction in predicted.items():
        lines += ax.plot(time, prediction, color=COLOURS[name], lw=1.2, label=name)
    ax.set(ylabel="events/s", ylim=(0, None), xlim=(0, time[-1]))
    return band, lines


def prediction_curves(
    panel: Prediction, rate: float, *, seconds: float = 10
) -> tuple[
    Float[np.ndarray, " time"],
    Float[np.ndarray, " time"],
    Float[np.ndarray, " time"],
    dict[str, Float[np.ndarray, " time"]],
]:
    """What `show_prediction` draws: time (s), the recorded mean, its standard error and each prediction (1/s)."""
    bins = min(int(seconds * rate), *(len(prediction) for prediction in panel.models.values()))
    trials, time = panel.trials[:, -bins:] * rate, np.arange(bins) / rate
    mean, error = trials.mean(axis=0), trials.std(axis=0) / np.sqrt(len(trials))
    return time, mean, error, {name: one[-bins:] * rate for name, one in panel.models.items()}
