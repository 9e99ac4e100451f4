"""The twin that comes with the package, to be explored in a browser: `make voila` serves it as a page."""

from IPython.display import Markdown, display

import retina_nb as rnb
from retina_nb import widgets

display(
    Markdown(
        "# What would this retina say?\n\nChoose a cell, by its number or on the map of where cells look, choose a "
        "stimulus, and drag. Blue is what the twin says, green what the simulated cell truly does."
    )
)
display(widgets.explore_twin(rnb.load_twin("simulated"), truth=rnb.load_truth()))
