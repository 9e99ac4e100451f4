"""In-silico experiments: functions of a twin, or of a recording, that return a small dataclass."""

from retina_nb.analyses.attribution import Attribution, conductance, integrated_gradients
from retina_nb.analyses.contrast_gradients import ContrastGradients, contrast_gradients, equal_contrast
from retina_nb.analyses.features import Features, feature_clips, find_features, score_with_features, tell_types
from retina_nb.analyses.hidden_units import UnitMatches, match_units
from retina_nb.analyses.local_spike_triggered import LocalSpikeTriggeredAverages, local_spike_triggered_averages
from retina_nb.analyses.response_fields import ResponseField, response_field
from retina_nb.analyses.tuning import (
    ChirpResponses,
    ColourTuning,
    DirectionTuning,
    FlashResponses,
    TuningCurve,
    bar_direction_tuning,
    chirp_responses,
    colour_tuning,
    contrast_tuning,
    find_centers,
    fit_naka_rushton,
    flash_responses,
    grating_direction_tuning,
    size_tuning,
    spatial_frequency_tuning,
    speed_tuning,
    temporal_frequency_tuning,
)

__all__ = [
    "Attribution",
    "ChirpResponses",
    "ColourTuning",
    "ContrastGradients",
    "DirectionTuning",
    "Features",
    "FlashResponses",
    "LocalSpikeTriggeredAverages",
    "ResponseField",
    "TuningCurve",
    "UnitMatches",
    "bar_direction_tuning",
    "chirp_responses",
    "colour_tuning",
    "conductance",
    "contrast_gradients",
    "contrast_tuning",
    "equal_contrast",
    "feature_clips",
    "find_centers",
    "find_features",
    "fit_naka_rushton",
    "flash_responses",
    "grating_direction_tuning",
    "integrated_gradients",
    "local_spike_triggered_averages",
    "match_units",
    "response_field",
    "score_with_features",
    "size_tuning",
    "spatial_frequency_tuning",
    "speed_tuning",
    "tell_types",
    "temporal_frequency_tuning",
]
