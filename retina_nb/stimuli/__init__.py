"""Stimuli made from parameters in physical units, for any screen, with their timing tables.

Angles are in degrees, 0 towards the right of the screen and 90 towards its top; contrasts in units in which 0 is grey.
"""

from retina_nb.stimuli.files import load_stimulus, save_stimulus, to_levels
from retina_nb.stimuli.flashes import chirp, flash, flash_train, flicker, paired_flash, random_flicker, steps
from retina_nb.stimuli.motion import drifting_grating, motion_onset, motion_reversal, moving_bar, reversing_grating
from retina_nb.stimuli.natural import image_sequence, moving_texture, natural_movie, object_motion
from retina_nb.stimuli.noise import white_noise
from retina_nb.stimuli.spots import annulus, aperture, looming, spot
from retina_nb.stimuli.stimulus import Screen, Stimulus, batch, sequence

__all__ = [
    "Screen",
    "Stimulus",
    "annulus",
    "aperture",
    "batch",
    "chirp",
    "drifting_grating",
    "flash",
    "flash_train",
    "flicker",
    "image_sequence",
    "load_stimulus",
    "looming",
    "motion_onset",
    "motion_reversal",
    "moving_bar",
    "moving_texture",
    "natural_movie",
    "object_motion",
    "paired_flash",
    "random_flicker",
    "reversing_grating",
    "save_stimulus",
    "sequence",
    "spot",
    "steps",
    "to_levels",
    "white_noise",
]
