"""What there is to choose from: every preset with its parts and its size."""

from typing import Any

import pandas as pd
import torch

from retina_nb.models.parts import assemble
from retina_nb.models.presets import load_preset, preset_names


def presets() -> pd.DataFrame:
    """Every preset, a row each: what it is, the stimuli it was made for, its parts, its lag (bins) and its size.

    Example:
        >>> import retina_nb as rnb
        >>> rnb.presets().loc["simulated_retina", "readout"]
        'gaussian_mask'
    """
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
