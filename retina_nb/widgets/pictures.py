"""Figures as the bytes of a picture."""

from io import BytesIO
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from PIL import Image

from retina_nb.errors import UserError


def png(figure: Any) -> bytes:
    """A figure as a PNG, at its own size and resolution; it is taken from pyplot, which would show it a second time.

    The figure can be drawn again after it was changed.

    Raises:
        UserError: if it is no figure.
    """
    if not isinstance(figure, Figure):
        raise UserError(f"what a widget draws must be a matplotlib figure, and is {type(figure).__name__}: return it")
    plt.close(figure)
    canvas = figure.canvas if type(figure.canvas) is FigureCanvasAgg else FigureCanvasAgg(figure)
    canvas.draw()
    written = BytesIO()
    # A browser on the same machine has the bytes at once: a picture that is compressed less is there sooner.
    Image.fromarray(np.asarray(canvas.buffer_rgba())).save(written, "png", compress_level=1)
    return written.getvalue()
