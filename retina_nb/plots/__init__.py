"""Figures. They draw what they are given and compute nothing that a notebook would want to keep."""

from retina_nb.plots.comparison import show_comparison, show_kernels, show_masks
from retina_nb.plots.models import show_by_type, show_curves, show_maps, show_medians
from retina_nb.plots.receptive_fields import show_covariance, show_data_needed, show_recovered
from retina_nb.plots.recordings import Prediction, show_predictions, show_responses, show_stimulus
from retina_nb.plots.scores import show_learning_curve, show_positions, show_scores

__all__ = [
    "Prediction",
    "show_by_type",
    "show_comparison",
    "show_covariance",
    "show_curves",
    "show_data_needed",
    "show_kernels",
    "show_learning_curve",
    "show_maps",
    "show_masks",
    "show_medians",
    "show_positions",
    "show_predictions",
    "show_recovered",
    "show_responses",
    "show_scores",
    "show_stimulus",
]
