"""Datasets by name. Each module of this package reads one dataset: ``load(**settings)`` and its `CARD`."""

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from typing import Any

import pandas as pd

from retina_nb.errors import unknown
from retina_nb.recording import Recording

# The modules are imported when their dataset is asked for.
_DATASETS = ("simulated", "liu_2017", "hoefling_2024", "maheswaranathan_2023", "goldin_2022")


@dataclass(frozen=True)
class DatasetCard:
    """What a dataset is, in one row of `datasets()`. Rates in Hz, pixels in µm on the retina."""

    summary: str
    species: str
    rate: float
    pixel_um: float
    stimulus: str
    citation: str


def load_recordings(name: str, **settings: Any) -> dict[str, Recording]:
    """Load the recordings of a dataset, one for each session.

    Args:
        name: a name listed by `datasets()`.
        settings: what the dataset's ``load`` function takes, e.g. ``seed=1`` for the simulated retina.

    Raises:
        UserError: if there is no such dataset or setting (the closest one is named), or its files are
            missing, damaged or of another kind.
    """
    load = _load_function(name)
    known = inspect.signature(load).parameters
    for setting in settings:
        if setting not in known:
            raise unknown(f"setting of dataset {name}", setting, known)
    return load(**settings)


def datasets() -> pd.DataFrame:
    """Every dataset, a row each, with what its `DatasetCard` says."""
    cards = [import_module(f"retina_nb.loaders.{name}").CARD for name in _DATASETS]
    return pd.DataFrame(cards, index=pd.Index(_DATASETS, name="dataset"))


def _load_function(name: str) -> Callable[..., dict[str, Recording]]:
    if name not in _DATASETS:
        raise unknown("dataset", name, _DATASETS)
    return import_module(f"retina_nb.loaders.{name}").load
