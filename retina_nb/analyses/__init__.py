"""In-silico experiments: functions of a twin, or of a recording, that return a small dataclass."""

from retina_nb.analyses.most_discriminative import MostDiscriminative, adjusted_rand, most_discriminative_stimuli
from retina_nb.analyses.most_exciting import (
    MostExciting,
    most_exciting_features,
    most_exciting_inputs,
    motion_direction,
    space_time_parts,
)
from retina_nb.analyses.receptive_fields import ReceptiveFields, receptive_fields, spike_triggered_averages
from retina_nb.analyses.stimulus_optimization import Constraint

__all__ = [
    "Constraint",
    "MostDiscriminative",
    "MostExciting",
    "ReceptiveFields",
    "adjusted_rand",
    "most_discriminative_stimuli",
    "most_exciting_features",
    "most_exciting_inputs",
    "motion_direction",
    "receptive_fields",
    "space_time_parts",
    "spike_triggered_averages",
]
