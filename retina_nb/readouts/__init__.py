"""Readouts: from feature movie to rates."""

from retina_nb.readouts.base import LinearReadout, Readout
from retina_nb.readouts.clone import ClonedReadout
from retina_nb.readouts.factorized import FactorizedReadout
from retina_nb.readouts.gaussian_mask import GaussianMaskReadout
from retina_nb.readouts.linear_nonlinear import LinearNonlinearReadout
from retina_nb.readouts.point_gaussian import PointGaussianReadout
from retina_nb.readouts.sessions import SessionReadouts
from retina_nb.readouts.spatial_contrast import SpatialContrastReadout

__all__ = [
    "ClonedReadout",
    "FactorizedReadout",
    "GaussianMaskReadout",
    "LinearNonlinearReadout",
    "LinearReadout",
    "PointGaussianReadout",
    "Readout",
    "SessionReadouts",
    "SpatialContrastReadout",
]
