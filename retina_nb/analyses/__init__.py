"""In-silico experiments: functions of a twin, or of a recording, that return a small dataclass."""

from retina_nb.analyses.attribution import Attribution, conductance, integrated_gradients
from retina_nb.analyses.contrast_gradients import ContrastGradients, contrast_gradients, equal_contrast
from retina_nb.analyses.features import Features, feature_clips, find_features, score_with_features, tell_types
from retina_nb.analyses.hidden_units import UnitMatches, match_units
from retina_nb.analyses.local_spike_triggered import LocalSpikeTriggeredAverages, local_spike_triggered_averages
from retina_nb.analyses.receptive_fields import ReceptiveFields, receptive_fields, spike_triggered_averages
from retina_nb.analyses.response_fields import ResponseField, response_field

__all__ = [
    "Attribution",
    "ContrastGradients",
    "Features",
    "LocalSpikeTriggeredAverages",
    "ReceptiveFields",
    "ResponseField",
    "UnitMatches",
    "conductance",
    "contrast_gradients",
    "equal_contrast",
    "feature_clips",
    "find_features",
    "integrated_gradients",
    "local_spike_triggered_averages",
    "match_units",
    "receptive_fields",
    "response_field",
    "score_with_features",
    "spike_triggered_averages",
    "tell_types",
]
