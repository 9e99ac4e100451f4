"""Models: twins, baselines, presets, and twins on disk."""

from retina_nb.models.checkpoints import load_twin
from retina_nb.models.core_readout import CoreReadout
from retina_nb.models.presets import build_twin, load_preset, presets

__all__ = ["CoreReadout", "build_twin", "load_preset", "load_twin", "presets"]
