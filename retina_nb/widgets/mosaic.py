"""The neurons of a session where their receptive fields are, each a button."""

from collections.abc import Callable, Sequence

import ipywidgets as ipw
import numpy as np
from jaxtyping import Float
from matplotlib.colors import to_hex

from retina_nb.plots.style import CEILING, TWIN

# The grid is finer than the buttons, so that they are where they belong; they may overlap.
_CELL, _BUTTON, _HEIGHT = 2, 12, 200
_CHOSEN, _OTHER = to_hex(TWIN), to_hex(CEILING)


class Mosaic(ipw.GridBox):
    """Buttons on a map of the screen, one for each neuron.

    Args:
        choose: called with the number of the neuron that was clicked.
    """

    def __init__(self, choose: Callable[[int], None]) -> None:
        self._choose = choose
        super().__init__(layout={"border": f"1px solid {_OTHER}", "margin": "4px 2px 8px 2px", "flex": "0 0 auto"})

    def place(
        self, centers: Float[np.ndarray, "neuron 2"], size: tuple[int, int], labels: Sequence[str], chosen: int
    ) -> None:
        """Put the neurons of a session on the map.

        Args:
            centers: (y, x) in pixels.
            size: (height, width) of the screen (pixels).
            labels: what is shown of a neuron when the pointer is over it.
            chosen: the neuron that is marked.
        """
        rows, columns = _HEIGHT // _CELL, round(_HEIGHT * size[1] / size[0]) // _CELL
        self.layout.grid_template_rows = f"repeat({rows}, {_CELL}px)"
        self.layout.grid_template_columns = f"repeat({columns}, {_CELL}px)"
        self.layout.width = "fit-content"
        span = _BUTTON // _CELL
        buttons = []
        for neuron, (center, label) in enumerate(zip(centers, labels, strict=True)):
            row, column = (
                int(np.clip(round((one + 0.5) / side * cells - span / 2), 0, cells - span)) + 1
                for one, side, cells in zip(center, size, (rows, columns), strict=True)
            )
            shape = {"width": f"{_BUTTON}px", "height": f"{_BUTTON}px", "padding": "0", "margin": "0", "min_width": "0"}
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
