"""Stimuli made from parameters, as (channel, time, height, width) float32 in units of contrast."""

from retina_nb.stimuli.natural import natural_movie
from retina_nb.stimuli.noise import white_noise
from retina_nb.stimuli.parametric import drifting_grating, full_field_chirp, moving_bar

__all__ = ["drifting_grating", "full_field_chirp", "moving_bar", "natural_movie", "white_noise"]
