"""A notebook-first research workbook for neural-network models of the retina."""

from importlib import import_module
from typing import Any

__version__ = "0.1.0"

# Everything a notebook needs is one attribute of the package, and nothing is imported before it is used.
_HOME = {
    "Ensemble": "models",
    "Movie": "recording",
    "Recording": "recording",
    "UserError": "errors",
    "audit": "quality",
    "build_twin": "models",
    "compare_all_models": "evaluation",
    "compare_models": "metrics",
    "datasets": "loaders",
    "evaluate": "evaluation",
    "fit": "training",
    "load_recordings": "loaders",
    "load_truth": "loaders.simulated",
    "load_twin": "models",
    "normalize": "loaders.normalize",
    "predict": "evaluation",
    "presets": "models.preset_table",
    "read_sweep": "sweeps.table",
    "search": "sweeps.search",
    "select_neurons": "quality",
    "write_recordings": "loaders.stored",
    "save_model": "models",
    "sweep": "sweeps.driver",
    "verdicts": "expectations",
    "write_results": "results",
    "zoo": "models.published",
}
# Packages whose contents a notebook names as rnb.PACKAGE.NAME.
_PACKAGES = ("analyses", "loaders", "models", "plots", "stimuli", "widgets")
__all__ = ["__version__", *_HOME, *_PACKAGES]


def __getattr__(name: str) -> Any:
    if name in _PACKAGES:
        return import_module(f"retina_nb.{name}")
    if name not in _HOME:
        raise AttributeError(f"module 'retina_nb' has no attribute {name!r}")
    return getattr(import_module(f"retina_nb.{_HOME[name]}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
