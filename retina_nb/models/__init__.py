"""Models: twins, baselines, presets, and models on disk."""

from retina_nb.models.building import build_twin
from retina_nb.models.checkpoints import load_twin
from retina_nb.models.core_readout import CoreReadout
from retina_nb.models.presets import load_preset, presets
from retina_nb.models.published import zoo

__all__ = ["CoreReadout", "build_twin", "load_preset", "load_twin", "presets", "zoo"]
