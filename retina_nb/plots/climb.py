"""An ascent to a most exciting input under way, painted fast enough to be watched."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes

from retina_nb.analyses.most_exciting import MostExciting, space_time_parts
from retina_nb.plots.most_exciting import (
    counted_end,
    show_counted,
    show_courses,
    show_strip,
    strip_tiles,
    strip_words,
)
from retina_nb.plots.pictures import Repainted, moving_scale
from retina_nb.plots.style import CEILING, TWIN, blank

_FRAMES = 10
# Margins are given: a layout that is found anew would move under a slider, and takes its time.
_MARGINS = {"left": 0.06, "right": 0.98, "top": 0.88, "bottom": 0.11, "hspace": 0.45, "wspace": 0.2}


class ClimbFigure:
    """Shows where the ascents of one model are, one after another; see `show`.

    Args:
        made: where one of them is: all have its length, its channels and its counted bins.
    """

    def __init__(self, made: MostExciting) -> None:
        figure = blank((7.2, 4.4))
        axes = figure.subplot_mosaic("sss;crp", height_ratios=[1.4, 1], gridspec_kw=_MARGINS)
        strip, *below = (axes[name] for name in "scrp")
        self._course, self._response, self._climbed = below
        bins, self._end = made.stimuli.shape[2], counted_end(made)
        self._frames = np.linspace(max(self._end - 1 - 3 * bins // 4, 0), self._end - 1, _FRAMES).round().astype(int)
        self._image, self._limit = show_strip(strip, made, self._frames)
        seconds = (np.arange(bins) - self._end + 1) / made.rate
        flat = np.zeros((len(made.channels), self._end))
        self._courses = show_courses(self._course, seconds[: self._end], flat, made.channels, legend="upper left")
        self._course.set_xlabel("time (s)", fontsize=8)
        self._line = show_counted(self._response, made, 0, seconds[bins - made.responses.shape[1] :])
        (self._turns,) = self._climbed.plot([], [], color=CEILING, lw=1, transform=self._climbed.get_xaxis_transform())
        (self._path,) = self._climbed.plot([], [], color=TWIN, lw=1.5)
        (self._now,) = self._climbed.plot([], [], "o", color=TWIN, ms=5)
        self._score = self._climbed.set_title("", fontsize=8)
        self._climbed.text(0.5, -0.19, "step", fontsize=8, ha="center", va="top", transform=self._climbed.transAxes)
        self._title = figure.suptitle("", fontsize=10)
        for ax in below:
            ax.spines[["top", "right"]].set_visible(False)
            ax.tick_params(labelsize=8)
            ax.locator_params(nbins=4)
        scales = [moving_scale(axis) for axis in (*(ax.yaxis for ax in below), self._climbed.xaxis)]
        # With them the line at zero, which is where the scale has it.
        lines = [*self._course.lines, self._line, self._turns, self._path, self._now]
        self._painted = Repainted(figure, [self._image, *scales, *lines, self._limit, self._score, self._title])

    def show(
        self, made: MostExciting, path: Sequence[float], *, turns: Sequence[int] = (), title: str = ""
    ) -> Repainted:
        """Frames of the stimulus, its courses in time, the response to it, and the score so far.

        Args:
            made: what has been reached, in its first row.
            path: the best score (events per bin) after each step of all that was climbed, under any constraints.
            turns: the steps at which constraints changed, drawn as vertical lines.
            title: above the figure.
        """
        tiles, limit = strip_tiles(made, self._frames)
        self._image.set_data(tiles)
        self._image.set_clim(-limit, limit)
        self._limit.set_text(strip_words(limit))
        courses = space_time_parts(made.stimuli[0, :, : self._end])[0]
        for line, course in zip(self._courses, courses, strict=True):
            line.set_ydata(course)
        _fit(self._course, courses, above=0.4)  # for the legend
        rates = made.responses[0] * made.rate
        self._line.set_ydata(rates)
        _fit(self._response, np.append(rates, 0))
        self._turns.set_data(np.repeat(turns, 3), np.tile([0, 1, np.nan], len(turns)))
        climbed = np.asarray(path) * made.rate
        self._path.set_data(np.arange(len(path)), climbed)
        self._now.set_data([len(path) - 1], climbed[-1:])
        self._climbed.set_xlim(-0.5, max(len(path), 20))
        _fit(self._climbed, climbed)
        self._score.set_text(f"score: {climbed[-1]:.3g} events/s")
        self._title.set_text(title)
        self._painted.words = (
            f"{title}: stimulus of {strip_words(limit).removeprefix('red and blue: ')} after {len(path) - 1} steps, "
            f"score {climbed[-1]:.3g} events per second"
        )
        return self._painted


def _fit(ax: Axes, values: np.ndarray, above: float = 0.05) -> None:
    """Have the scale go a little further than some values, and by a hundredth at least: no less can be read off it."""
    low, high = float(values.min()), float(values.max())
    extent = max(high - low, 0.01)
    ax.set_ylim(low - 0.05 * extent, high + above * extent)
