"""The neurons of a session where their receptive fields are, each a button."""

from collections.abc import Callable, Sequence

import ipywidgets as ipw
import numpy as np
from jaxtyping import Float

from retina_nb.plots.style import POLARITY_COLOURS
from retina_nb.representations import one_line
from retina_nb.widgets.look import close_all

# The grid is finer than the buttons, so that they are where they belong; they may overlap.
_CELL, _BUTTON, _MOST = 2, 12, np.array([180, 280])  # px
_SHAPE = {"width": f"{_BUTTON}px", "height": f"{_BUTTON}px", "padding": "0", "margin": "0", "min_width": "0"}
_CHOSEN = "3px solid var(--jp-ui-font-color0, black)"


@one_line
class Mosaic(ipw.VBox):
    """Buttons on a map of the screen, one for each neuron, in the color of its polarity, and a legend.

    (A picture widget knows nothing of clicks.) A keyboard goes past the map: it has the slider of the neuron's number.

    Args:
        choose: called with the number of the neuron that was clicked.

    Attributes:
        buttons: of the session's neurons.
    """

    def __init__(self, choose: Callable[[int], None]) -> None:
        self._choose, self._chosen = choose, 0
        self._made: list[ipw.Button] = []  # those of the largest session so far: others use them, too
        self._styles = {name: ipw.ButtonStyle(button_color=color) for name, color in POLARITY_COLOURS.items()}
        edge = {"border": "1px solid var(--jp-border-color1, #ccc)", "margin": "2px"}
        self._map = ipw.GridBox(layout={**edge, "width": "fit-content", "flex": "0 0 auto", "overflow": "hidden"})
        self._legend = ipw.HTML(layout={"margin": "0 2px 10px 2px"})
        super().__init__([self._map, self._legend])

    def _in_words(self) -> str:
        return f"{len(self.buttons)} cells"

    @property
    def buttons(self) -> tuple[ipw.Button, ...]:
        return self._map.children

    def place(
        self, centers: Float[np.ndarray, "neuron 2"], kinds: Sequence[str], labels: Sequence[str], chosen: int
    ) -> None:
        """Put the neurons of a session on the map, which goes as far as they do.

        Args:
            centers: (y, x) of their receptive fields.
            kinds: of each, ``"ON"``, ``"OFF"`` or ``"ON-OFF"``.
            labels: what is shown of a neuron when the pointer is over it.
            chosen: the neuron that is marked.
        """
        low, extent = centers.min(axis=0), np.maximum(np.ptp(centers, axis=0), 1e-6)
        scale = min(_MOST / extent)  # the same in both directions
        span = _BUTTON // _CELL
        cells = np.floor((centers - low) * scale / _CELL).astype(int) + 2
        rows, columns = cells.max(axis=0) + span
        self._map.layout.grid_template_rows = f"repeat({rows}, {_CELL}px)"
        self._map.layout.grid_template_columns = f"repeat({columns}, {_CELL}px)"
        self._make(len(labels))
        for button, (row, column), kind, label in zip(self._made, cells, kinds, labels, strict=False):
            button.tooltip, button.style = label, self._styles[kind]
            button.layout.grid_area = f"{row} / {column} / span {span} / span {span}"
        self._map.children = self._made[: len(labels)]
        present = [name for name in POLARITY_COLOURS if name in kinds]
        self._legend.value = " ".join(
            f'<span style="color:{POLARITY_COLOURS[name]}">\u25a0</span> {name}' for name in present
        )
        self.mark(chosen)

    def mark(self, chosen: int) -> None:
        """Give the chosen neuron an edge."""
        self._made[self._chosen].layout.border = None
        self._made[chosen].layout.border = _CHOSEN
        self._chosen = chosen

    def _make(self, number: int) -> None:
        """Have so many buttons or more."""
        for neuron in range(len(self._made), number):
            button = ipw.Button(layout=_SHAPE, style=self._styles["ON"], tabbable=False)
            button.on_click(lambda _, neuron=neuron: self._choose(neuron))
            self._made.append(button)

    def close(self) -> None:
        """Close it with all that it is made of."""
        self._map.children = self._made
        close_all(self)
        for style in self._styles.values():
            style.close()
        super().close()
