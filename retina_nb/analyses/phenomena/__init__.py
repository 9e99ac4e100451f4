"""Phenomena of the retina, found in physiology, asked of a model: a score per neuron (Maheswaranathan et al. 2023)."""

from retina_nb.analyses.phenomena.contrast import contrast_adaptation, frequency_doubling, polarity_reversal
from retina_nb.analyses.phenomena.flashes import latency_coding, omitted_stimulus_response, paired_flash_suppression
from retina_nb.analyses.phenomena.motion import (
    motion_anticipation,
    motion_reversal_response,
    object_motion_sensitivity,
)
from retina_nb.analyses.phenomena.result import Phenomenon

__all__ = [
    "Phenomenon",
    "contrast_adaptation",
    "frequency_doubling",
    "latency_coding",
    "motion_anticipation",
    "motion_reversal_response",
    "object_motion_sensitivity",
    "omitted_stimulus_response",
    "paired_flash_suppression",
    "polarity_reversal",
]
