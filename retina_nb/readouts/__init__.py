"""Readouts: from feature movie to rates."""

from retina_nb.readouts.base import LinearReadout, Readout
from retina_nb.readouts.gaussian_mask import GaussianMaskReadout
from retina_nb.readouts.sessions import SessionReadouts

__all__ = ["GaussianMaskReadout", "LinearReadout", "Readout", "SessionReadouts"]
