"""What people drag in a notebook. Widgets show what `retina_nb.analyses` and `retina_nb.plots` make of their controls;
they compute nothing themselves. All are plain ipywidgets, so that they work wherever these do.
"""

from retina_nb.widgets.browse_neurons import BrowseNeurons, browse_neurons
from retina_nb.widgets.browse_sweep import BrowseSweep, browse_sweep
from retina_nb.widgets.controls import slider
from retina_nb.widgets.explore_twin import explore_twin
from retina_nb.widgets.live import Live, live
from retina_nb.widgets.play import Player, play
from retina_nb.widgets.steer_mei import SteerMei, steer_mei

__all__ = [
    "BrowseNeurons",
    "BrowseSweep",
    "Live",
    "Player",
    "SteerMei",
    "browse_neurons",
    "browse_sweep",
    "explore_twin",
    "live",
    "play",
    "slider",
    "steer_mei",
]
