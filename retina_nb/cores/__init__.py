"""Cores: from stimulus to feature movie."""

from retina_nb.cores.base import Core, feature_shape
from retina_nb.cores.stacked import StackedCore

__all__ = ["Core", "StackedCore", "feature_shape"]
