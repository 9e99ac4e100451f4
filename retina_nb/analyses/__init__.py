"""In-silico experiments: functions of a twin, or of a recording, that return a small dataclass."""

from retina_nb.analyses.contrast_gradients import ContrastGradients, contrast_gradients, equal_contrast
from retina_nb.analyses.local_spike_triggered import LocalSpikeTriggeredAverages, local_spike_triggered_averages
from retina_nb.analyses.receptive_fields import ReceptiveFields, receptive_fields, spike_triggered_averages
from retina_nb.analyses.response_fields import ResponseField, response_field

__all__ = [
    "ContrastGradients",
    "LocalSpikeTriggeredAverages",
    "ReceptiveFields",
    "ResponseField",
    "contrast_gradients",
    "equal_contrast",
    "local_spike_triggered_averages",
    "receptive_fields",
    "response_field",
    "spike_triggered_averages",
]
