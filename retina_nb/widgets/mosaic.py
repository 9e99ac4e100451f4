"""The neurons of a session where their receptive fields are, each a button."""

from collections.abc import Callable, Sequence

import ipywidgets as ipw
import numpy as np
from jaxtyping import Float
from matplotlib.colors import to_hex

from retina_nb.plots.style import CEILING, TWIN
from retina_nb.representations import one_line

# The grid is finer than the buttons, so that they are where they belong; they may overlap.
_CELL, _BUTTON, _MOST = 2, 12, np.array([180, 280])  # px
_CHOSEN, _OTHER = to_hex(TWIN), to_hex(CEILING)


@one_line
class Mosaic(ipw.GridBox):
    """Buttons on a map of the screen, one for each neuron. (A picture widget knows nothing of clicks.)

    Args:
        choose: called with the number of the neuron that was clicked.
    """

    def __init__(self, choose: Callable[[int], None]) -> None:
        self._choose = choose
        edge = {"border": f"1px solid {_OTHER}", "margin": "2px 2px 10px 2px"}
        super().__init__(layout={**edge, "width": "fit-content", "flex": "0 0 auto", "overflow": "hidden"})

    def _in_words(self) -> str:
        return f"{len(self.children)} cells"

    def place(self, centers: Float[np.ndarray, "neuron 2"], labels: Sequence[str], chosen: int) -> None:
        """Put the neurons of a session on the map, which goes as far as they do.

        Args:
            centers: (y, x) of their receptive fields.
            labels: what is shown of a neuron when the pointer is over it.
            chosen: the neuron that is marked.
        """
        low, extent = centers.min(axis=0), np.maximum(np.ptp(centers, axis=0), 1e-6)
        scale = min(_MOST / extent)  # the same in both directions
        span = _BUTTON // _CELL
        cells = np.floor((centers - low) * scale / _CELL).astype(int) + 2
        rows, columns = cells.max(axis=0) + span
        self.layout.grid_template_rows = f"repeat({rows}, {_CELL}px)"
        self.layout.grid_template_columns = f"repeat({columns}, {_CELL}px)"
        shape = {"width": f"{_BUTTON}px", "height": f"{_BUTTON}px", "padding": "0", "margin": "0", "min_width": "0"}
        buttons = []
        for neuron, ((row, column), label) in enumerate(zip(cells, labels, strict=True)):
            area = f"{row} / {column} / span {span} / span {span}"
            button = ipw.Button(tooltip=label, layout={**shape, "grid_area": area})
            button.on_click(lambda _, neuron=neuron: self._choose(neuron))
            buttons.append(button)
        self.children = buttons
        self.mark(chosen)

    def mark(self, chosen: int) -> None:
        """Give the chosen neuron the colour of the twin."""
        for neuron, button in enumerate(self.children):
            button.style.button_color = _CHOSEN if neuron == chosen else _OTHER
