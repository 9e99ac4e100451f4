"""Models of openretina 1.1.1 in the settings that it ships, and their checkpoints, which our reader reads."""

# mypy: disable-error-code="import-not-found"

import logging
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

import retina_nb as rnb
from retina_nb.models.core_readout import CoreReadout


@dataclass(frozen=True)
class Architecture:
    """What a core is made of.

    Args:
        shape: (channel, height, width) of its stimuli.
        padding: zeros around the input of layers after the first, vertically and horizontally.
        pool_every: n to halve height and width after the first of every n layers.
    """

    shape: tuple[int, int, int]
    features: tuple[int, ...]
    temporal_sizes: tuple[int, ...]
    spatial_sizes: tuple[int, ...]
    padding: int
    pool_every: int | None = None


ARCHITECTURES = {
    "low_res": Architecture((2, 18, 16), (16, 16), (21, 11), (11, 5), 2),
    "high_res": Architecture((2, 72, 64), (16,) * 4, (13, 11, 5, 5), (15, 15, 7, 7), 5, 2),
    "karamanlis": Architecture((1, 60, 80), (16, 32, 64), (11, 11, 11), (21, 15, 11), 5),
}
CHUNK, LAG = 50, 30  # bins; the same in all three


def peer_model(
    architecture: str, neurons: Mapping[str, int], *, bins: int = CHUNK, positive: bool = True, seed: int = 0
) -> Any:
    """openretina's model with random weights, in training mode.

    Penalties are those that have a gradient there: on temporal kernels and on readouts.

    Args:
        architecture: name in `ARCHITECTURES`.
        neurons: number of neurons of each session.
        bins: length of the stimuli that it is made for.
        positive: whether feature weights are positive.
        seed: fixes the weights.
    """
    from omegaconf import OmegaConf
    from openretina.models.core_readout import UnifiedCoreReadout

    made = ARCHITECTURES[architecture]
    core = {
        "_target_": "openretina.modules.core.base_core.SimpleCoreWrapper",
        "_convert_": "object",
        "temporal_kernel_sizes": list(made.temporal_sizes),
        "spatial_kernel_sizes": list(made.spatial_sizes),
        **dict.fromkeys(("gamma_input", "gamma_in_sparse", "gamma_hidden"), 0.0),
        "gamma_temporal": 40.0,
        "cut_first_n_frames": 0,
        "input_padding": False,
        "hidden_padding": [0, made.padding, made.padding],
        "maxpool_every_n_layers": made.pool_every,
        "convolution_type": "custom_separable",
    }
    readout = {
        "_target_": "openretina.modules.readout.multi_readout.MultiGaussianMaskReadout",
        "_convert_": "object",
        **dict.fromkeys(("scale", "bias"), True),
        "gaussian_mean_scale": 6.0,
        "gaussian_var_scale": 4.0,
        "positive": positive,
        "mask_l1_reg": 1.0,
        "feature_weights_l1_reg": 1.0,
        "readout_reg_avg": False,
    }
    channels, height, width = made.shape
    about = {
        "n_neurons_dict": dict(neurons),
        "input_shape": made.shape,
        "stimulus_rate_hz": "30Hz",
        "retina_pixel_size_um": "50",
        "mean_activity_dict": {session: torch.ones(n) for session, n in neurons.items()},
    }
    torch.manual_seed(seed)
    model = UnifiedCoreReadout(
        in_shape=(channels, bins, height, width),
        hidden_channels=list(made.features),
        n_neurons_dict=dict(neurons),
        core=OmegaConf.create(core),
        readout=OmegaConf.create(readout),
        data_info=about,
    )
    with torch.no_grad():
        for layer in model.core.features:
            layer.conv.sin_weights[..., 0] = 0  # a sine of frequency 0, which does nothing
            layer.conv.weight_spatial.data *= 10  # or all it gives would be below the epsilon of the normalisation
        for one in model.readout.values():
            one.mask_mean.normal_(0, 0.05)
            one.mask_log_var.normal_(-0.5, 0.05)
    return model.train()


@torch.no_grad()
def settle(model: Any, architecture: str) -> Any:
    """A model whose cells respond: batch normalisation has seen noise, feature weights differ. In evaluation mode."""
    channels, height, width = ARCHITECTURES[architecture].shape
    norms = [layer.norm for layer in model.core.features]
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # the mean over what follows
    for _ in range(4):
        model.core(torch.randn(8, channels, CHUNK, height, width))
    for norm in norms:
        norm.momentum = 0.1
    for one in model.readout.values():
        one.features.uniform_(0, 1).pow_(4)
    return model.eval()


def both(model: Any, path: Path) -> tuple[CoreReadout, Any]:
    """Our twin and openretina's model, each read from the checkpoint of a model that openretina writes to `path`."""
    import lightning
    from openretina.models.core_readout import UnifiedCoreReadout

    path.parent.mkdir(parents=True, exist_ok=True)
    for logger in ("lightning.pytorch", "lightning.fabric"):
        logging.getLogger(logger).setLevel(logging.ERROR)  # no advertisements
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        trainer = lightning.Trainer(
            max_epochs=0, logger=False, enable_checkpointing=False, accelerator="cpu", enable_progress_bar=False
        )
        trainer.strategy.connect(model)
        trainer.save_checkpoint(path)
        theirs = UnifiedCoreReadout.load_from_checkpoint(path, map_location="cpu", weights_only=False)
    return rnb.load_twin(path), theirs.train(model.training)


def by_our_names(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """openretina's weights, or their gradients, by the names and in the shapes that ours have.

    Left out is its second bias of each layer, which is added to that of the normalisation and is kept at zero.
    """
    found: dict[str, Tensor] = {}
    for layer in {name.split(".")[2] for name in weights if name.startswith("core.features.")}:
        there, here = f"core.features.{layer}", f"core.layers.{layer.removeprefix('layer')}"
        sines, cosines = weights[f"{there}.conv.sin_weights"], weights[f"{there}.conv.cos_weights"]
        # In ours, cosines and sines take turns, and there is no sine of frequency 0.
        turns = torch.stack([cosines[..., 1:], sines[..., 1:]], dim=-1).flatten(-2)
        found[f"{here}.conv.time_weights"] = torch.cat([cosines[..., :1], turns], dim=-1)
        found[f"{here}.conv.space_weights"] = weights[f"{there}.conv.weight_spatial"][:, :, 0]
        found |= {f"{here}.norm.{one}": weights[f"{there}.norm.{one}"] for one in ("weight", "bias")}
    names = {"mask_mean": "position", "mask_log_var": "log_variance", "scale_param": "scale", "bias": "bias"}
    for session in {name.split(".")[1] for name in weights if name.startswith("readout.")}:
        there, here = f"readout.{session}", f"readout.readouts.{session}"
        found |= {f"{here}.{ours}": weights[f"{there}.{theirs}"] for theirs, ours in names.items()}
        found[f"{here}.features"] = weights[f"{there}.features"][0, :, 0]
    return found
