"""What neurons prefer: polarity, direction, speed, frequency, size, contrast and colour, from textbook stimuli."""

from retina_nb.analyses.receptive_fields.centers import find_centers
from retina_nb.analyses.tuning.chirps import ChirpResponses, chirp_responses
from retina_nb.analyses.tuning.colours import FIELDS, ColourTuning, colour_tuning
from retina_nb.analyses.tuning.curves import TuningCurve, fit_naka_rushton, naka_rushton
from retina_nb.analyses.tuning.directions import (
    DirectionTuning,
    bar_direction_tuning,
    direction_tuning_p,
    grating_direction_tuning,
    vector_sum,
)
from retina_nb.analyses.tuning.flashes import FlashResponses, flash_responses
from retina_nb.analyses.tuning.motion import (
    contrast_tuning,
    spatial_frequency_tuning,
    speed_tuning,
    temporal_frequency_tuning,
)
from retina_nb.analyses.tuning.spots import size_tuning

__all__ = [
    "FIELDS",
    "ChirpResponses",
    "ColourTuning",
    "DirectionTuning",
    "FlashResponses",
    "TuningCurve",
    "bar_direction_tuning",
    "chirp_responses",
    "colour_tuning",
    "contrast_tuning",
    "direction_tuning_p",
    "find_centers",
    "fit_naka_rushton",
    "flash_responses",
    "grating_direction_tuning",
    "naka_rushton",
    "size_tuning",
    "spatial_frequency_tuning",
    "speed_tuning",
    "temporal_frequency_tuning",
    "vector_sum",
]
