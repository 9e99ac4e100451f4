"""A stimulus's frame at one moment above the responses to it, painted fast enough to be dragged."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from retina_nb.analyses.preview import Preview
from retina_nb.plots.pictures import Repainted
from retina_nb.plots.style import CHANNEL_MAPS, RECORDED, TRUTH_AREA, TWIN_LINE, area, blank

_STYLES: dict[str, dict[str, Any]] = {
    "recorded": {"color": RECORDED, "lw": 1.0, "label": "recorded, mean over trials"},
    "twin": TWIN_LINE,
}

_CALLED = {"truth": "truth", "recorded": "recording"}
# Inches. Everything has its place at once: a layout that is found anew would move under a slider, and takes its time.
_SIZE, _LEFT, _GAP = (6.8, 4.9), 0.75, 0.12
_FRAME_HIGH, _FRAMES_WIDE = 1.9, 4.4
_CURSOR = "#D55E00"


class PreviewFigure:
    """Shows previews of one model one after another; see `show`.

    Args:
        size: (height, width) of the screen (pixels).
        channels: their names.
    """

    def __init__(self, size: tuple[int, int], channels: Sequence[str]) -> None:
        made = blank(_SIZE)
        across = min(_FRAME_HIGH * size[1] / size[0], _FRAMES_WIDE / len(channels) - _GAP)
        high, below = across * size[0] / size[1], _SIZE[1] - 0.3
        self._images, self._rings = [], []
        for number, name in enumerate(channels):
            ax = _axes(made, _LEFT + number * (across + _GAP), below - high, across, high)
            ax.spines[:].set_visible(False)
            ax.set(xticks=[], yticks=[], xlim=(-0.5, size[1] - 0.5), ylim=(size[0] - 0.5, -0.5))
            ax.set_title(name, fontsize=9)
            look: dict[str, Any] = {
                "cmap": CHANNEL_MAPS.get(name, "gray"),
                "interpolation": "nearest",
                "aspect": "auto",
            }
            self._images.append(ax.imshow(np.zeros(size), **look))
            self._rings += ax.plot([0], [0], "o", ms=13, mfc="none", mec=_CURSOR, mew=1.5)
        beside = (_LEFT + len(channels) * (across + _GAP)) / _SIZE[0]
        self._words = made.text(beside, (below - 0.02) / _SIZE[1], "", va="top", fontsize=9.5, linespacing=1.6)
        self._beside = (beside - 0.01, (below - _FRAME_HIGH) / _SIZE[1])
        wide = _SIZE[0] - _LEFT - 0.25
        self._stimulus, self._response = _axes(made, _LEFT, 2.05, wide, 0.5), _axes(made, _LEFT, 0.5, wide, 1.4)
        hues = [colormaps[CHANNEL_MAPS.get(name, "gray")](0.35) for name in channels]
        self._courses = [self._stimulus.plot([], [], color=hue, lw=1.2, ds="steps-post")[0] for hue in hues]
        self._truth = self._response.fill_between([0], [0], **TRUTH_AREA)
        self._lines = {name: self._response.plot([], [], **style)[0] for name, style in _STYLES.items()}
        self._cursors = [ax.axvline(0, color=_CURSOR, lw=1) for ax in (self._stimulus, self._response)]
        self._stimulus.set(xticklabels=[])
        self._stimulus.set_ylabel("stimulus\nat the cell", fontsize=9)
        self._response.set(ylabel="events per second", xlabel="time (s)")
        self._frame: tuple = ()
        lines = [self._truth, *self._lines.values(), *self._cursors]
        moving = [*self._images, *self._rings, self._words, *self._courses, *lines]
        self._painted = Repainted(made, moving)

    def show(self, seen: Preview, *, place: Sequence[float], at: float, words: str = "") -> Repainted:
        """The picture of a preview.

        Args:
            seen: the preview.
            place: (y, x) of the neuron on the screen (pixels).
            at: the moment of the frame that is shown (s).
            words: what else is to say of the neuron.
        """
        now = int(np.clip(round(at * seen.rate), 0, seen.frames.shape[1] - 1))
        limit = max(1.0, float(np.percentile(np.abs(seen.frames), 99.5)))
        for image, ring, channel in zip(self._images, self._rings, seen.frames, strict=True):
            image.set_data(channel[now])
            image.set_clim(-limit, limit)
            ring.set_data([place[1]], [place[0]])
        y, x = (round(float(np.clip(one, 0, side - 1))) for one, side in zip(place, seen.frames.shape[2:], strict=True))
        for line, channel in zip(self._courses, seen.frames, strict=True):
            line.set_data(seen.seconds, channel[:, y, x])
        for name, line in self._lines.items():
            known = name in seen.rates
            line.set_data(seen.seconds if known else [], seen.rates[name] if known else [])
        self._truth.set_verts([area(seen.seconds, seen.rates["truth"])] if "truth" in seen.rates else [])
        for line in self._cursors:
            line.set_xdata([now / seen.rate])
        others = [name for name in seen.rates if name != "twin"]
        agreements = [f"correlation with the {_CALLED[name]}: {seen.agreement(name):.2f}" for name in others]
        said = [*filter(None, [words]), *agreements, f"frame at {now / seen.rate:.2f} s"]
        self._words.set_text("\n".join(said))
        peaks = [_peak(name, rates, seen.rate) for name, rates in seen.rates.items()]
        self._painted.words = ", ".join([*said, *peaks]).replace("\n", ", ")
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
        known = {"truth": self._truth, **self._lines}
        shown = [one for name, one in known.items() if name in seen.rates]
        made = self._painted.figure
        for old in made.legends:
            old.remove()
        made.legend(handles=shown, frameon=False, fontsize=9, loc="lower left", bbox_to_anchor=self._beside)
        self._painted.forget()


def _axes(made: Figure, left: float, bottom: float, wide: float, high: float) -> Axes:
    ax = made.add_axes((left / _SIZE[0], bottom / _SIZE[1], wide / _SIZE[0], high / _SIZE[1]))
    ax.spines[["top", "right"]].set_visible(False)
    return ax


def _peak(name: str, rates: np.ndarray, rate: float) -> str:
    at = int(rates.argmax())
    return f"{name}: largest rate {rates[at]:.3g} events per second at {at / rate:.2f} s"


def _above(value: float) -> float:
    """The next of a few round numbers: a scale that stays as it is while a curve grows a little."""
    if value <= 0:
        return 1.0
    power = 10.0 ** np.floor(np.log10(value))
    return float(next(step * power for step in (1, 1.5, 2, 3, 4, 6, 8, 10) if step * power >= value * (1 - 1e-9)))
