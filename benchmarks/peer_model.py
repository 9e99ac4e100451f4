"""openretina's two-layer model of Höfling 2024 at low resolution, built by its Python for a comparison."""

# mypy: disable-error-code="import-not-found"

from typing import Any


def low_res_model(session: str, neurons: int, *, bins: int, positive: bool) -> Any:
    """The model, with random weights.

    Args:
        session: name of its only session.
        neurons: number of neurons.
        bins: length of the stimuli that it is made for.
        positive: whether feature weights are positive.
    """
    import torch
    from openretina.models.core_readout import UnifiedCoreReadout

    counts = {session: neurons}
    core = {
        "_target_": "openretina.modules.core.base_core.SimpleCoreWrapper",
        "_convert_": "object",
        "temporal_kernel_sizes": [21, 11],
        "spatial_kernel_sizes": [11, 5],
        **dict.fromkeys(("gamma_input", "gamma_temporal", "gamma_in_sparse", "gamma_hidden"), 0.0),
        "cut_first_n_frames": 0,
        "input_padding": False,
        "hidden_padding": [0, 2, 2],
        "convolution_type": "custom_separable",
    }
    readout = {
        "_target_": "openretina.modules.readout.multi_readout.MultiGaussianMaskReadout",
        "_convert_": "object",
        "scale": True,
        "bias": True,
        "gaussian_mean_scale": 6.0,
        "gaussian_var_scale": 4.0,
        "positive": positive,
        "mask_l1_reg": 1.0,
        "feature_weights_l1_reg": 1.0,
        "readout_reg_avg": False,
    }
    about = {"n_neurons_dict": counts, "input_shape": (2, 18, 16), "stimulus_rate_hz": "30Hz"}
    about |= {"retina_pixel_size_um": "50", "mean_activity_dict": {session: torch.ones(neurons)}}
    return UnifiedCoreReadout(
        in_shape=(2, bins, 18, 16),
        hidden_channels=[16, 16],
        n_neurons_dict=counts,
        core=_config(core),
        readout=_config(readout),
        data_info=about,
    )


def _config(settings: dict[str, Any]) -> Any:
    from omegaconf import OmegaConf

    return OmegaConf.create(settings)
