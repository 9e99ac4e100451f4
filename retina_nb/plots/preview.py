"""A stimulus's frame at one moment above the responses to it, painted fast enough to be dragged."""

from collections.abc import Sequence

import numpy as np
from matplotlib import colormaps

from retina_nb.analyses.preview import Preview
from retina_nb.plots.pictures import Repainted
from retina_nb.plots.style import CHANNEL_MAPS, COLOURS, RECORDED, figure

_STYLES = {
    "recorded": {"color": RECORDED, "lw": 1.0, "label": "recorded, mean over trials"},
    "truth": {"color": COLOURS["truth"], "lw": 2.0, "label": "truth"},
    "twin": {"color": COLOURS["twin"], "lw": 1.5, "label": "twin"},
}


class PreviewFigure:
    """Shows previews of one model one after another; see `show`.

    Args:
        size: (height, width) of the screen (pixels).
        channels: their names.
    """

    def __init__(self, size: tuple[int, int], channels: Sequence[str]) -> None:
        made, axes = figure(3, 1, size=(7.4, 4.9), height_ratios=[2.2, 0.6, 1.6])
        axes[0].axis("off")
        self._stimulus, self._response = axes[1:]
        self._images, self._rings = [], []
        across = 2.2 / 4.9 * size[1] / size[0] * 0.42
        for number, name in enumerate(channels):
            inset = axes[0].inset_axes((0.0 + number * across, 0.0, across * 0.92, 0.9))
            look = {"cmap": CHANNEL_MAPS.get(name, "gray"), "vmin": -1, "vmax": 1, "interpolation": "nearest"}
            self._images.append(inset.imshow(np.zeros(size), aspect="auto", **look))
            self._rings += inset.plot([0], [0], "o", ms=13, mfc="none", mec="#D55E00", mew=1.5)
            inset.set(xticks=[], yticks=[], xlim=(-0.5, size[1] - 0.5), ylim=(size[0] - 0.5, -0.5))
            inset.set_title(name, fontsize=9)
        self._words = axes[0].text(len(channels) * across + 0.02, 0.86, "", va="top", fontsize=9.5, linespacing=1.6)
        hues = [colormaps[CHANNEL_MAPS.get(name, "gray")](0.35) for name in channels]
        self._courses = [self._stimulus.plot([], [], color=hue, lw=1.2, ds="steps-post")[0] for hue in hues]
        self._lines = {name: self._response.plot([], [], **style)[0] for name, style in _STYLES.items()}
        self._cursors = [ax.axvline(0, color="#D55E00", lw=1) for ax in axes[1:]]
        self._stimulus.set(ylabel="stimulus\nat the cell", xticklabels=[], yticks=[-1, 0, 1])
        self._response.set(ylabel="rate (1/s)", xlabel="time (s)")
        self._frame: tuple = ()
        moving = [*self._images, *self._rings, self._words, *self._courses, *self._lines.values(), *self._cursors]
        self._painted = Repainted(made, moving)

    def show(self, seen: Preview, *, place: Sequence[float], at: float, words: str = "") -> Repainted:
        """The picture of a preview.

        Args:
            seen: the preview.
            place: (y, x) of the neuron on the screen (pixels).
            at: the moment of the frame that is shown (s).
            words: what else is to say of the neuron.
        """
        now = int(np.clip(at * seen.rate, 0, seen.frames.shape[1] - 1))
        limit = max(1.0, float(np.percentile(np.abs(seen.frames), 99.5)))
        for image, ring, channel in zip(self._images, self._rings, seen.frames, strict=True):
            image.set_data(channel[now])
            image.set_clim(-limit, limit)
            ring.set_data([place[1]], [place[0]])
        y, x = (round(float(np.clip(one, 0, side - 1))) for one, side in zip(place, seen.frames.shape[2:], strict=True))
        for line, channel in zip(self._courses, seen.frames, strict=True):
            line.set_data(seen.seconds, channel[:, y, x])
        for name, line in self._lines.items():
            line.set_data(*((seen.seconds, seen.rates[name]) if name in seen.rates else ([], [])))
        for line in self._cursors:
            line.set_xdata([now / seen.rate])
        agreements = [f"correlation with the {name}: {seen.agreement(name):.2f}" for name in seen.rates if name != "twin"]
        self._words.set_text("\n".join([*filter(None, [words]), *agreements, f"frame at {now / seen.rate:.2f} s"]))
        self._set_frame(seen, limit)
        return self._painted

    def _set_frame(self, seen: Preview, limit: float) -> None:
        """Axes and legend, which are painted anew only where they change."""
        top = _above(max(float(rates.max()) for rates in seen.rates.values()))
        frame = (seen.frames.shape[1], top, _above(limit), tuple(sorted(seen.rates)))
        if frame == self._frame:
            return
        self._frame = frame
        for ax in (self._stimulus, self._response):
            ax.set_xlim(0, len(seen.seconds) / seen.rate)
        self._response.set_ylim(0, top)
        self._stimulus.set(ylim=(-1.1 * frame[2], 1.1 * frame[2]), yticks=[-frame[2], 0, frame[2]])
        shown = [line for name, line in self._lines.items() if name in seen.rates]
        self._response.legend(
            handles=shown, frameon=False, fontsize=8, ncols=3, loc="lower right", bbox_to_anchor=(1, 0.97)
        )
        self._painted.forget()


def _above(value: float) -> float:
    """The next of 1, 2, 5, 10, 20, ... and of their parts: a scale that stays as it is while a curve grows a little."""
    if value <= 0:
        return 1.0
    power = 10.0 ** np.floor(np.log10(value))
    return float(next(step * power for step in (1, 2, 5, 10) if step * power >= value * (1 - 1e-9)))
