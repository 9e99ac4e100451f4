"""A stimulus played as a film."""

from base64 import b64encode
from typing import Any

import ipywidgets as ipw
import numpy as np
from jaxtyping import Float
from traitlets import Any as AnyTrait

from retina_nb.errors import UserError
from retina_nb.plots.films import film, film_row, film_strip, film_views, strip_step
from retina_nb.recording import Movie
from retina_nb.representations import one_line
from retina_nb.stimuli import Stimulus
from retina_nb.widgets.controls import control, slider
from retina_nb.widgets.look import CLASS, close_all, look, said

_SPEEDS = {"a tenth": 0.1, "a quarter": 0.25, "half": 0.5, "as recorded": 1.0, "double": 2.0}
# Frames of one picture: a browser keeps what it decoded of those near the frame on screen.
_STRIP = 15
_PRINTED, _LONGEST = 9, 3000


class _Row(ipw.Layout):
    """A layout whose row can be linked to a number in the browser."""

    grid_row = AnyTrait(None, allow_none=True).tag(sync=True)


@one_line
class Player(ipw.HBox):
    """A film and its controls; made by `play`.

    All frames go to the browser once, as strips of pictures in a window that shows a single frame; which one is linked
    in the browser to the play button and the slider, so that nothing waits for the kernel.

    Attributes:
        controls: ``play`` and ``frame``, whose values are the number of the frame, counted from 1, ``speed``, and
            ``view``: the channel or the composite that is shown.
    """

    def __init__(
        self, frames: Float[np.ndarray, "channel time height width"], rate: float, names: list[str], start: int
    ) -> None:
        self._frames, self._rate, self._names = frames, rate, names
        self._captions = [f"{(start + number) / rate:.2f} s" for number in range(frames.shape[1])]
        self._limit = max(float(np.percentile(np.abs(frames), 99.5)), 1e-6)
        first, last = 1, frames.shape[1]
        self.controls: dict[str, Any] = {
            "play": ipw.Play(min=first, max=last, value=first, interval=self._interval(1.0), show_repeat=True),
            "frame": slider(first, last, value=first, label="time"),
            "view": control("channel", film_views(names)),
            "speed": control("speed", _SPEEDS, 1.0),
        }
        self.controls["frame"].readout = False  # the time is under the picture
        self._strips = ipw.VBox(layout={"grid_row": "1", "grid_column": "1", "overflow": "visible", "margin": "0"})
        # The window shows the end of its rows, and the marker is in the last of them: the frame beside it is seen.
        marker = ipw.Box(layout=_Row(grid_row=first, grid_column="1", visibility="hidden"))
        self._window = ipw.GridBox(
            [self._strips, marker], layout={"overflow": "hidden", "align_content": "flex-end", "margin": "2px"}
        )
        self._show()
        play, frame = self.controls["play"], self.controls["frame"]
        links = [
            ipw.jslink((play, "value"), (frame, "value")),
            ipw.jslink((frame, "value"), (marker.layout, "grid_row")),
        ]
        self._links = links  # a link that nobody keeps ends
        self.controls["speed"].observe(lambda change: setattr(play, "interval", self._interval(change.new)), "value")
        self.controls["view"].observe(lambda _: self._show(), "value")
        if len(names) == 1:
            self.controls["view"].layout.display = "none"
        words = ipw.HTML(said(f"Film of a stimulus of {len(self._captions) / rate:.1f} s"), layout={"height": "0"})
        words.layout.margin = "0"
        side = ipw.VBox([*self.controls.values(), words], layout={"flex": "0 1 auto", "min_width": "0"})
        layout = {"flex_flow": "row wrap", "align_items": "flex-start"}
        super().__init__([self._window, side, look()], layout=layout)
        self.add_class(CLASS)

    def _in_words(self) -> str:
        return f"{len(self._captions)} frames, {len(self._captions) / self._rate:.1f} s"

    def close(self) -> None:
        """Close it with all that it is made of."""
        for link in self._links:
            link.close()
        close_all(self)
        super().close()

    def _interval(self, speed: float) -> int:
        return max(1, round(1000 / (self._rate * speed)))

    def _film(self, chosen: slice | np.ndarray, **options: Any) -> np.ndarray:
        view = self.controls["view"].value
        return film(self._frames[:, chosen], self._names, view=view, limit=self._limit, **options)

    def _show(self) -> None:
        starts = range(0, self._frames.shape[1], _STRIP)
        parts = [slice(start, start + _STRIP) for start in starts]
        high, wide = self._film(slice(0, 1)).shape[1:3]
        step = strip_step(high)
        # The pictures take the others' places at once, without a moment of nothing.
        values = [film_strip(self._film(part), self._captions[part]) for part in parts]
        if not self._strips.children:
            rigid = {"flex": "0 0 auto", "margin": "0", "max_width": "none"}
            self._strips.children = [ipw.Image(value=value, format="png", layout=rigid) for value in values]
        for picture, value in zip(self._strips.children, values, strict=True):
            picture.value = value
        self._strips.layout.height, self._window.layout.grid_auto_rows = f"{step}px", f"{step}px"
        self._window.layout.height, self._window.layout.width = f"{step}px", f"{wide}px"

    def _repr_mimebundle_(self, **options: Any) -> tuple[dict[str, Any], dict[str, Any]]:
        printed = np.linspace(0, self._frames.shape[1] - 1, min(_PRINTED, self._frames.shape[1])).astype(int)
        row = film_row(self._film(printed, height=108), [self._captions[number] for number in printed])
        data = super()._repr_mimebundle_(**options) | {"image/png": b64encode(row).decode()}
        return data, {"image/png": {"alt": f"Frames of a stimulus of {len(self._captions) / self._rate:.1f} s"}}


def play(
    stimulus: Stimulus | Movie | np.ndarray, *, rate: float | None = None, start: float = 0.0, seconds: float = 20.0
) -> Player:
    """Play a stimulus: a film with a play button, a slider for its time, its speed, and its channels.

    Where there is no kernel, readers see a row of its frames.

    Args:
        stimulus: a `Stimulus`, a `Movie`, or frames (channel, time, height, width) in units in which 0 is grey.
        rate: frames per second (Hz); that of the stimulus, or 30, if None.
        start, seconds: which part to play (s), the whole at most. All of it goes to the browser.

    Raises:
        UserError: if it is none of these, or has nothing in that part.
    """
    frames = stimulus.frames if isinstance(stimulus, Stimulus | Movie) else stimulus
    if len(getattr(frames, "shape", ())) != 4:
        raise UserError("what is played must be a Stimulus, a Movie or an array (channel, time, height, width)")
    rate = rate or (stimulus.screen.rate if isinstance(stimulus, Stimulus) else 30.0)
    first, count = round(start * rate), round(seconds * rate)
    if not (0 <= first < frames.shape[1] and 0 < count <= _LONGEST):
        raise UserError(
            f"there is nothing to play from {start:g} s on for {seconds:g} s: the stimulus lasts "
            f"{frames.shape[1] / rate:.1f} s, and at most {_LONGEST / rate:.0f} s are played at once"
        )
    part = np.asarray(frames[:, np.arange(first, min(first + count, frames.shape[1]))], dtype=np.float32)
    names = list(stimulus.channels) if isinstance(stimulus, Movie) and stimulus.channels else _numbered(len(part))
    return Player(part, rate, names, first)


def _numbered(count: int) -> list[str]:
    # Two channels are green and ultraviolet in every dataset that has two.
    return ["green", "UV"] if count == 2 else [f"channel {number}" for number in range(count)]
