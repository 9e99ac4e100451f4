"""Cores: from stimulus to feature movie."""

from retina_nb.cores.base import Core, feature_shape
from retina_nb.cores.front_end import PhotoreceptorFrontEnd
from retina_nb.cores.gru import ConvGRUCore
from retina_nb.cores.pass_through import PassThrough
from retina_nb.cores.stacked import StackedCore

__all__ = ["ConvGRUCore", "Core", "PassThrough", "PhotoreceptorFrontEnd", "StackedCore", "feature_shape"]
