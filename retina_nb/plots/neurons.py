"""What is known of one neuron, side by side, painted fast enough to leaf through many."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.projections.polar import PolarAxes

from retina_nb.analyses.most_exciting import MostExciting, space_time_parts
from retina_nb.analyses.receptive_fields import ReceptiveFields
from retina_nb.analyses.tuning import ChirpResponses, DirectionTuning
from retina_nb.plots.most_exciting import show_courses, show_strip, strip_tiles, strip_words
from retina_nb.plots.pictures import Repainted, moving_scale
from retina_nb.plots.recordings import Prediction, prediction_curves, show_prediction
from retina_nb.plots.style import CEILING, RECORDED, TWIN, WIDEST, blank
from retina_nb.plots.tuning import closed_curve, show_directions
from retina_nb.representations import one_line

_FRAMES = 10
_CALLED = {
    "field": "receptive field",
    "directions": "tuning to directions",
    "chirps": "response to the chirp",
    "prediction": "recorded and predicted trace",
    "exciting": "most exciting input",
}
# Inches. Every row has its place at once: a layout that is found anew would move, and takes its time.
_WIDE, _ABOVE, _BETWEEN, _BELOW = WIDEST, 0.65, 0.65, 0.5
_FIELD, _OTHERS = 1.5, {"chirps": 0.8, "prediction": 0.9, "exciting": 1.1}


@one_line
@dataclass(frozen=True)
class KnownNeuron:
    """What is known of a neuron; None is what is not.

    Args:
        field: the receptive field of this neuron alone.
        channels: names of the stimulus channels.
        row: which of the neurons it is in `directions` and `chirps`.
        directions, chirps: the tuning of several neurons.
        prediction: its recorded responses and what is predicted of them.
        exciting: its most exciting input, in the first row.
        title: what to call it.
    """

    field: ReceptiveFields
    channels: Sequence[str]
    row: int = 0
    directions: DirectionTuning | None = None
    chirps: ChirpResponses | None = None
    prediction: Prediction | None = None
    exciting: MostExciting | None = None
    title: str = ""

    @property
    def parts(self) -> tuple[str, ...]:
        """What is known beside the receptive field."""
        return tuple(name for name in ("directions", *_OTHERS) if getattr(self, name) is not None)

    @property
    def bins(self) -> int:
        """How much of the prediction is shown."""
        return 0 if self.prediction is None else len(prediction_curves(self.prediction, self.field.rate)[0])


# What changes from neuron to neuron, from back to front, and how it comes to show one.
_Panel = tuple[list[Artist], Callable[[KnownNeuron], None]]


class NeuronFigure:
    """Shows neurons of one model one after another; see `show`."""

    def __init__(self) -> None:
        self._kinds: dict[Any, tuple[Repainted, list[Callable[[KnownNeuron], None]]]] = {}

    def show(self, known: KnownNeuron) -> Repainted:
        """A neuron's receptive field, tuning to directions and response to the chirp, and what else is known.

        The receptive field is drawn as the product of a map and a course in time, for each channel, that is closest to
        it.
        """
        kind = known.parts, known.bins
        if kind not in self._kinds:
            self._kinds[kind] = _paint(known)
        painted, updates = self._kinds[kind]
        for update in updates:
            update(known)
        painted.words = f"{known.title}: {', '.join(_CALLED[name] for name in ('field', *known.parts))}"
        return painted


def _paint(known: KnownNeuron) -> tuple[Repainted, list[Callable[[KnownNeuron], None]]]:
    """A figure for what is known of a neuron, and what has it show another one of which as much is known."""
    heights = [_FIELD, *(high for name, high in _OTHERS.items() if name in known.parts)]
    tall = _ABOVE + sum(heights) + _BETWEEN * (len(heights) - 1) + _BELOW
    figure = blank((_WIDE, tall))
    margins = {"left": 0.09, "right": 0.96, "top": 1 - _ABOVE / tall, "bottom": _BELOW / tall}
    between = _BETWEEN / float(np.mean(heights))
    grid = figure.add_gridspec(len(heights), 1, height_ratios=heights, hspace=between, **margins)
    first, *rest = (grid[row] for row in range(len(heights)))
    channels = len(known.channels)
    widths = [1.0] * channels + [1.7, 1.2]
    above = first.subgridspec(1, channels + 2, width_ratios=widths, wspace=0.4)
    *maps, course, circle = (above[column] for column in range(channels + 2))
    title = figure.suptitle("", fontsize=10)
    panels: list[_Panel] = [
        ([title], lambda known: title.set_text(known.title)),
        _field([figure.add_subplot(one) for one in maps], _plain(figure.add_subplot(course)), known),
    ]
    if known.directions is not None:
        panels.append(_directions(figure.add_subplot(circle, projection="polar"), known))  # type: ignore[arg-type]
    makers = {"chirps": _chirp, "prediction": _prediction, "exciting": _exciting}
    shown = [make for name, make in makers.items() if name in known.parts]
    panels += [make(_plain(figure.add_subplot(place)), known) for make, place in zip(shown, rest, strict=True)]
    return Repainted(figure, [artist for moving, _ in panels for artist in moving]), [update for _, update in panels]


def _plain(ax: Axes) -> Axes:
    ax.spines[["top", "right"]].set_visible(False)
    ax.tick_params(labelsize=8)
    return ax


def _rate(ax: Axes) -> None:
    """What is upward."""
    ax.text(-0.06, 0.5, "events/s", fontsize=8, rotation=90, ha="right", va="center", transform=ax.transAxes)


def _field(axes: Sequence[Axes], course: Axes, known: KnownNeuron) -> _Panel:
    size = known.field.linear.shape[3:]
    images = [ax.imshow(np.zeros(size), cmap="RdBu_r", vmin=-1, vmax=1) for ax in axes]
    centers = [ax.plot([], [], "+", color=RECORDED, ms=9, mew=1)[0] for ax in axes]
    frames = [spine for ax in axes for spine in ax.spines.values()]  # the pictures would hide half of them
    for ax, name in zip(axes, known.channels, strict=True):
        ax.set(xticks=[], yticks=[])
        ax.set_title(f"field, {name}", fontsize=8)
    bins = known.field.linear.shape[2]
    seconds = (np.arange(bins) - bins + 1) / known.field.rate
    lines = show_courses(course, seconds, np.zeros((len(axes), bins)), known.channels, legend="upper left")
    course.set_title("its course in time", fontsize=8)
    course.set_xlabel("time before the response (s)", fontsize=8)
    course.set_ylim(-1.1, 1.1)

    def update(known: KnownNeuron) -> None:
        courses, maps, _ = space_time_parts(known.field.linear[0])
        strength = np.abs(courses).max(axis=1)
        most = max(strength.max(), 1e-12)
        for image, one, part in zip(images, maps, strength / most, strict=True):
            image.set_data(one * part)  # a channel that counts little is pale: maps are on one scale
        for center in centers:
            center.set_data(known.field.centers[0, 1:], known.field.centers[0, :1])
        for line, one in zip(lines, courses / most, strict=True):
            line.set_ydata(one)

    return [*images, *centers, *frames, *lines], update


def _directions(ax: PolarAxes, known: KnownNeuron) -> _Panel:
    assert known.directions is not None
    outline, area, vector = show_directions(ax, known.directions, known.row)
    title = ax.set_title("", fontsize=8)
    ax.tick_params(labelsize=8, pad=-2)

    def update(known: KnownNeuron) -> None:
        tuning, row = known.directions, known.row
        assert tuning is not None
        curve = closed_curve(tuning, row)
        outline.set_data(*curve)
        area.set_xy(np.stack(curve, axis=1))
        angle = np.deg2rad(tuning.preferred_direction[row])
        vector.set_data([angle, angle], [0, tuning.dsi[row]])
        title.set_text(f"directions: DSI {tuning.dsi[row]:.2f}")

    return [area, outline, vector, title], update


def _chirp(ax: Axes, known: KnownNeuron) -> _Panel:
    assert known.chirps is not None
    seconds, flat = known.chirps.seconds, np.zeros(len(known.chirps.seconds))
    (above,) = ax.plot(seconds, flat, color=CEILING, lw=0.8)
    (line,) = ax.plot(seconds, flat, color=TWIN, lw=1)
    ax.set(xlim=(0, seconds[-1]))
    _rate(ax)
    ax.set_title("chirp (grey: the contrast of the screen)", fontsize=8, loc="left")
    ax.set_xlabel("time (s)", fontsize=8)

    def update(known: KnownNeuron) -> None:
        assert known.chirps is not None
        rates = known.chirps.rates[known.row]
        top = max(float(rates.max()), 1e-6)
        above.set_ydata(top * (1.35 + 0.2 * known.chirps.stimulus[0]))
        line.set_ydata(rates)
        ax.set_ylim(0, 1.6 * top)

    return [moving_scale(ax.yaxis), above, line], update


def _prediction(ax: Axes, known: KnownNeuron) -> _Panel:
    assert known.prediction is not None
    band, lines = show_prediction(ax, known.prediction, known.field.rate)
    title = ax.set_title("", fontsize=8, loc="left")
    ax.set_ylabel("")
    _rate(ax)
    ax.set_xlabel("time (s)", fontsize=8)
    ax.legend(frameon=False, fontsize=8, ncols=3, loc="lower right", bbox_to_anchor=(1, 0.95))

    def update(known: KnownNeuron) -> None:
        assert known.prediction is not None
        time, mean, error, predicted = prediction_curves(known.prediction, known.field.rate)
        there_and_back = np.concatenate([time, time[::-1]])
        band.set_verts([np.stack([there_and_back, np.concatenate([mean + error, (mean - error)[::-1]])], axis=1)])
        for line, rates in zip(lines, [mean, *predicted.values()], strict=True):
            line.set_data(time, rates)
        top = max(float((mean + error).max()), *(float(rates.max()) for rates in predicted.values()), 1e-6)
        ax.set_ylim(0, 1.05 * top)
        title.set_text(known.prediction.title)

    return [moving_scale(ax.yaxis), band, *lines, title], update


def _exciting(ax: Axes, known: KnownNeuron) -> _Panel:
    assert known.exciting is not None
    bins = known.exciting.stimuli.shape[2]
    frames = np.linspace(bins // 4, bins - 1, _FRAMES).round().astype(int)
    image, words = show_strip(ax, known.exciting, frames)
    title = ax.set_title("", fontsize=8, loc="left")

    def update(known: KnownNeuron) -> None:
        assert known.exciting is not None
        tiles, limit = strip_tiles(known.exciting, frames)
        image.set_data(tiles)
        image.set_clim(-limit, limit)
        words.set_text(strip_words(limit))
        title.set_text(f"most exciting input: {known.exciting.scores[0] * known.exciting.rate:.3g} events/s")

    return [image, words, title], update
