"""Models: twins, baselines, presets, and models on disk."""

from retina_nb.models.building import build_twin
from retina_nb.models.checkpoints import load_twin, save_model
from retina_nb.models.core_readout import CoreReadout
from retina_nb.models.ensemble import Ensemble
from retina_nb.models.presets import load_preset

__all__ = ["CoreReadout", "Ensemble", "build_twin", "load_preset", "load_twin", "save_model"]
