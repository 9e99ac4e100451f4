"""Figures. They draw what they are given and compute nothing that a notebook would want to keep."""

from retina_nb.plots.attribution import show_attribution, show_conductance, show_matches
from retina_nb.plots.audit import show_audit, show_estimates
from retina_nb.plots.comparison import show_comparison, show_kernels, show_masks
from retina_nb.plots.features import show_features, show_readers
from retina_nb.plots.gradients import show_contrast_gradients, show_local_fields, show_polarity, show_response_field
from retina_nb.plots.models import show_by_type, show_curves, show_maps, show_medians
from retina_nb.plots.most_discriminative import show_group_stimuli, show_groups, show_similarity
from retina_nb.plots.most_exciting import show_ascent, show_most_exciting, show_space_time
from retina_nb.plots.phenomena import show_phenomenon
from retina_nb.plots.populations import (
    show_clouds,
    show_correlations,
    show_frames,
    show_mosaics,
    show_null,
    show_population_curves,
    show_table,
)
from retina_nb.plots.receptive_fields import show_covariance, show_data_needed, show_recovered
from retina_nb.plots.recordings import Prediction, show_predictions, show_responses, show_stimulus
from retina_nb.plots.scores import show_learning_curve, show_positions, show_scores
from retina_nb.plots.sweep import show_best_runs, show_parallel_coordinates, show_sweep
from retina_nb.plots.tuning import (
    show_agreement,
    show_chirp_responses,
    show_direction_test,
    show_direction_tuning,
    show_flash_responses,
    show_indices,
    show_tuning_curves,
)

__all__ = [
    "Prediction",
    "show_agreement",
    "show_ascent",
    "show_attribution",
    "show_audit",
    "show_best_runs",
    "show_by_type",
    "show_chirp_responses",
    "show_clouds",
    "show_comparison",
    "show_conductance",
    "show_contrast_gradients",
    "show_correlations",
    "show_covariance",
    "show_curves",
    "show_data_needed",
    "show_direction_test",
    "show_direction_tuning",
    "show_estimates",
    "show_features",
    "show_flash_responses",
    "show_frames",
    "show_group_stimuli",
    "show_groups",
    "show_indices",
    "show_kernels",
    "show_learning_curve",
    "show_local_fields",
    "show_maps",
    "show_masks",
    "show_matches",
    "show_medians",
    "show_mosaics",
    "show_most_exciting",
    "show_null",
    "show_parallel_coordinates",
    "show_phenomenon",
    "show_polarity",
    "show_population_curves",
    "show_positions",
    "show_predictions",
    "show_readers",
    "show_recovered",
    "show_response_field",
    "show_responses",
    "show_scores",
    "show_similarity",
    "show_space_time",
    "show_stimulus",
    "show_sweep",
    "show_table",
    "show_tuning_curves",
]
