"""The twin that comes with the package, to be explored in a browser: `make voila` serves it as a page."""

from IPython.display import HTML, Markdown, display

import retina_nb as rnb
from retina_nb import widgets

# Colors of JupyterLab's dark theme for those whose system is dark.
DARK = """
<style>
@media (prefers-color-scheme: dark) {
  :root:root {
    color-scheme: dark;
    --jp-layout-color0: #111; --jp-layout-color1: #212121; --jp-layout-color2: #424242; --jp-layout-color3: #616161;
    --jp-ui-font-color0: #fff; --jp-ui-font-color1: #e0e0e0; --jp-ui-font-color2: #b0b0b0; --jp-ui-font-color3: #909090;
    --jp-content-font-color0: #fff; --jp-content-font-color1: #e0e0e0; --jp-content-font-color2: #b0b0b0;
    --jp-border-color0: #616161; --jp-border-color1: #616161; --jp-border-color2: #424242;
    --jp-brand-color1: #64b5f6; --jp-error-color0: #ff8a80;
  }
  .widget-dropdown > select { background-image: none; appearance: auto; }
  body { background: var(--jp-layout-color0); color: var(--jp-content-font-color1); }
}
</style>
"""

display(
    HTML(DARK),
    Markdown(
        "# What would this retina say?\n\nChoose a cell, by its number or on the map of where cells look, choose a "
        "stimulus, and drag. The blue line is what the twin says, the green area what the simulated cell truly does."
    ),
)
display(widgets.explore_twin(rnb.load_twin("simulated"), truth=rnb.load_truth()))
