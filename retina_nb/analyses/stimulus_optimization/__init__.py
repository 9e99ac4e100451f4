"""Stimuli by gradient ascent: many at once, each for a goal of its own, held to constraints."""

from retina_nb.analyses.stimulus_optimization.ascent import OPTIMIZERS, Ascent, ascend, climb
from retina_nb.analyses.stimulus_optimization.centred import centred
from retina_nb.analyses.stimulus_optimization.constraints import Constraint, projection
from retina_nb.analyses.stimulus_optimization.own_rates import own_rates

__all__ = ["OPTIMIZERS", "Ascent", "Constraint", "ascend", "centred", "climb", "own_rates", "projection"]
