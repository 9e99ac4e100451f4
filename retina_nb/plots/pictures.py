"""Figures as the bytes of a picture, as fast as they can be had for someone who drags a slider."""

from collections.abc import Sequence
from io import BytesIO
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.artist import Artist
from matplotlib.axis import Axis
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from PIL import Image

from retina_nb.errors import UserError


def png(picture: Any) -> bytes:
    """A figure as a PNG, at its own size and resolution; it is taken from pyplot, which would show it a second time.

    The figure can be drawn again after it was changed.

    Args:
        picture: a matplotlib figure, or what makes a PNG of itself with ``_repr_png_``, as `Repainted` does.

    Raises:
        UserError: if it is none of these.
    """
    if hasattr(picture, "_repr_png_"):
        return picture._repr_png_()
    if not isinstance(picture, Figure):
        raise UserError(f"what a widget draws must be a matplotlib figure, and is {type(picture).__name__}: return it")
    canvas = _canvas(picture)
    canvas.draw()
    return compressed(Image.fromarray(np.asarray(canvas.buffer_rgba())))


def compressed(image: Image.Image) -> bytes:
    """A PNG. A browser on the same machine has its bytes at once: one that is compressed less is there sooner."""
    written = BytesIO()
    image.save(written, "png", compress_level=1)
    return written.getvalue()


class Repainted:
    """A figure of which a few artists change all the time, and the rest, such as axes and labels, now and then.

    The rest is painted once and kept. After it was changed, `forget` has it painted anew.

    Args:
        figure: taken from pyplot; its layout stays as it is at first.
        moving: the artists that change, from back to front.

    Attributes:
        words: what the picture shows now, for those who cannot see it.
    """

    def __init__(self, figure: Figure, moving: Sequence[Artist]) -> None:
        self.figure, self._moving, self.words = figure, list(moving), ""
        for artist in moving:
            artist.set_animated(True)
        self._canvas, self._rest = _canvas(figure), None
        self._canvas.draw()
        figure.set_layout_engine("none")

    def forget(self) -> None:
        """What does not move was changed."""
        self._rest = None

    def _repr_png_(self) -> bytes:
        if self._rest is None:
            self._canvas.draw()
            self._rest = self._canvas.copy_from_bbox(self.figure.bbox)
        else:
            self._canvas.restore_region(self._rest)
        for artist in self._moving:
            self.figure.draw_artist(artist)
        return compressed(Image.fromarray(np.asarray(self._canvas.buffer_rgba())).convert("RGB"))


def moving_scale(axis: Axis) -> Axis:
    """A scale of a `Repainted` figure whose numbers change. Its label should be a text that does not move.

    It would else look for a place for its label each time, and take half as long again.
    """
    axis.set_label_coords(0, 0)
    return axis


def _canvas(figure: Figure) -> Any:
    plt.close(figure)
    return figure.canvas if type(figure.canvas) is FigureCanvasAgg else FigureCanvasAgg(figure)
