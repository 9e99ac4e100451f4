"""Twins by name: architectures as YAML files in ``presets/``, changed by overrides."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import torch

from retina_nb.errors import UserError, unknown
from retina_nb.models.parts import assemble

_FOLDER = Path(__file__).parents[1] / "presets"


def presets() -> pd.DataFrame:
    """Every preset, a row each: what it is, the stimuli it was made for, its parts, its lag (bins) and its size."""
    return pd.DataFrame(
        [_row(load_preset(name)) for name in preset_names()], index=pd.Index(preset_names(), name="preset")
    )


def _row(preset: dict[str, Any]) -> dict[str, Any]:
    shape = preset["input_shape"]
    with torch.device("meta"):  # sizes alone
        twin = assemble(
            preset, shape, {"neurons": {"one": 1}, "rate_hz": 30.0, "stimulus_mean": 1.0, "stimulus_std": 1.0}
        )
    core, neuron = (sum(p.numel() for p in part.parameters()) for part in (twin.core, twin.readout))
    return {
        "summary": preset["summary"],
        "input_shape": tuple(shape),
        "core": preset["core"]["kind"],
        "features": preset["core"].get("hidden_channels"),
        "temporal_kernels": preset["core"].get("temporal_kernel_sizes"),
        "spatial_kernels": preset["core"].get("spatial_kernel_sizes"),
        "readout": preset["readout"]["kind"],
        "lag": twin.lag,
        "core_parameters": core,
        "parameters_per_neuron": neuron,
    }


def load_preset(name: str, overrides: Sequence[str] = ()) -> dict[str, Any]:
    """A preset as nested dictionaries.

    Args:
        name: one of `presets()`.
        overrides: changes in Hydra's syntax, e.g. ``["core.hidden_channels=[8,8]", "training.learning_rate=0.01"]``.

    Raises:
        UserError: if there is no such preset, or an override matches nothing in it.
    """
    from hydra import compose, initialize_config_dir
    from hydra.errors import HydraException
    from omegaconf import OmegaConf

    if isinstance(overrides, str):
        raise UserError(f"overrides must be a list, write [{overrides!r}]")
    if name not in preset_names():
        raise unknown("preset", name, preset_names())
    with initialize_config_dir(str(_FOLDER), version_base="1.3"):
        try:
            config = compose(name, overrides=list(overrides))
        except HydraException as error:
            reason = str(error).splitlines()[0].rstrip(".")
            raise UserError(f"overrides {list(overrides)} do not fit preset {name}: {reason}") from None
    return OmegaConf.to_container(config, resolve=True)  # type: ignore[return-value]


def preset_names() -> list[str]:
    """The presets' names, sorted."""
    return sorted(file.stem for file in _FOLDER.glob("*.yaml"))
