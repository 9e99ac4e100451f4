"""Make checkpoints/variants and checkpoints/single_cells: small random models by OpenRetina 1.1.1, with predictions.

PYTHON_OF_AN_ENVIRONMENT_WITH_OPENRETINA tests/golden/make_variants.py
"""

import logging
import tempfile
import warnings
from pathlib import Path

import lightning
import numpy as np
import torch
from omegaconf import OmegaConf
from openretina.models.core_readout import ExampleCoreReadout, UnifiedCoreReadout
from openretina.models.linear_nonlinear import SingleCellSeparatedLNP
from openretina.models.spatial_contrast import SingleCellSpatialContrast, SpatialContrastCoreReadout

FOLDER = Path(__file__).parent / "checkpoints" / "variants"
CELLS = FOLDER.parent / "single_cells"
SESSIONS = {"b_two": 3, "a_one": 2}
STIMULUS = (1, 2, 24, 11, 13)

SIMPLE = {
    "_target_": "openretina.modules.core.base_core.SimpleCoreWrapper",
    "temporal_kernel_sizes": [7, 4],
    "spatial_kernel_sizes": [5, 3],
    "gamma_input": 0.3,
    "gamma_temporal": 2.0,
    "gamma_in_sparse": 0.2,
    "gamma_hidden": 0.1,
    "cut_first_n_frames": 0,
    "input_padding": False,
    "hidden_padding": [0, 1, 1],
}
NO_PENALTY = {"gamma_input": 0.0, "gamma_in_sparse": 0.0, "gamma_hidden": 0.0, "gamma_temporal": 0.0}
RECURRENT = {"rec_channels": 4, "input_kern": 3, "rec_kern": 3, "groups": 1, "gamma_rec": 1, "pad_input": True}
GRU = {
    "_target_": "openretina.modules.core.gru_core.ConvGRUCore",
    "temporal_kernel_sizes": [7, 4],
    "spatial_kernel_sizes": [5, 3],
    "gamma_hidden": 0.1,
    "gamma_input": 0.3,
    "gamma_in_sparse": 0.2,
    "gamma_temporal": 2.0,
    "use_gru": True,
    "use_projections": True,
    "gru_kwargs": RECURRENT,
}
DUMMY = {"_target_": "openretina.modules.core.base_core.DummyCore", "cut_first_n_frames": 2}
READOUTS = "openretina.modules.readout.multi_readout."
MASK = {
    "_target_": f"{READOUTS}MultiGaussianMaskReadout",
    "scale": True,
    "bias": True,
    "gaussian_mean_scale": 6.0,
    "gaussian_var_scale": 4.0,
    "positive": True,
    "mask_l1_reg": 1.0,
    "feature_weights_l1_reg": 0.7,
}
POINT = {
    "_target_": f"{READOUTS}MultiSampledGaussianReadout",
    "bias": True,
    "init_mu_range": 0.3,
    "init_sigma_range": 0.2,
    "gamma": 0.9,
}
FACTORIZED = {
    "_target_": f"{READOUTS}MultiFactorizedReadout",
    "mask_l1_reg": 5.0,
    "weights_l1_reg": 4.0,
    "laplace_mask_reg": 0.0,  # this version takes it of masks whose pixels are mixed up
    "readout_bias": True,
    "init_scales": [[0.0, 0.15], [0.0, 0.15]],
}
LNP = {"_target_": f"{READOUTS}MultipleLNPReadout", "smooth_weight": 0.5, "sparse_weight": 0.3}

VARIANTS = {
    "mask_bare": (SIMPLE, MASK | {"scale": False, "bias": False, "positive": False}),
    "mask_averaged": (SIMPLE | {"dropout_rate": 0.4}, MASK | {"readout_reg_avg": True}),
    "pad_number": (SIMPLE | {"hidden_padding": 1}, MASK),
    "pad_same": (SIMPLE | {"input_padding": True, "hidden_padding": True, "cut_first_n_frames": 6}, MASK),
    "pad_triples": (SIMPLE | {"input_padding": [2, 2, 1], "hidden_padding": [1, 1, 0]}, MASK),
    "even_kernels": (SIMPLE | {"spatial_kernel_sizes": [4, 4], "hidden_padding": True}, MASK),
    "pooled": (
        SIMPLE | {"temporal_kernel_sizes": [5, 4, 3], "spatial_kernel_sizes": [3, 3, 3], "maxpool_every_n_layers": 2},
        MASK,
    ),
    "downsampled": (SIMPLE | {"downsample_input_kernel_size": [1, 1, 2]}, MASK),
    "separable": (SIMPLE | NO_PENALTY | {"convolution_type": "separable"}, MASK),
    "full": (SIMPLE | NO_PENALTY | {"convolution_type": "full"}, MASK),
    "time_independent": (SIMPLE | {"convolution_type": "time_independent", "gamma_temporal": 0.0}, MASK),
    "colours": (SIMPLE | {"color_squashing_weights": [0.3, 0.9]}, MASK),
    "point_isotropic": (SIMPLE, POINT | {"gauss_type": "isotropic", "reg_avg": True}),
    "point_uncorrelated": (SIMPLE, POINT | {"gauss_type": "uncorrelated", "bias": False}),
    "point_corners": (SIMPLE, POINT | {"align_corners": False}),
    "factorized_absnorm": (SIMPLE, FACTORIZED | {"mask_constraint": "abs", "weights_constraint": "absnorm"}),
    "factorized_norm": (SIMPLE, FACTORIZED | {"weights_constraint": "norm", "readout_bias": False}),
    "gru_groups": (GRU | {"gru_kwargs": RECURRENT | {"groups": 2}}, MASK),
    "gru_unpadded": (GRU | {"gru_kwargs": RECURRENT | {"rec_channels": 6, "rec_kern": 5, "pad_input": False}}, POINT),
    "gru_bias_alone": (GRU | {"batch_norm_scale": False, "nonlinearity": "ReLU"}, MASK),
    "gru_no_norm": (GRU | {"batch_norm": False, "final_nonlinearity": False, "input_padding": True}, MASK),
    "gru_off": (GRU | {"use_gru": False, "use_projections": False, "batch_adaptation": True}, MASK),
    "lnp": (DUMMY, LNP | {"nonlinearity": "exp"}),
    "lnp_bias": (DUMMY, LNP | {"nonlinearity": "softplus", "bias": True}),
}
EXAMPLES = {
    "example_default": {},
    "example_averaged": {
        "core_hidden_padding": False,
        "cut_first_n_frames_in_core": 0,
        "readout_reg_avg": True,
        "core_gamma_input": 0.3,
    },
}


def unified(core, readout):
    channels = 1 if "color_squashing_weights" in core else 2
    root = OmegaConf.create({"core": core | {"_convert_": "object"}, "readout": readout | {"_convert_": "object"}})
    hidden = [4, 6, 5][: len(core.get("temporal_kernel_sizes", []))] or None
    if hidden is None:
        root.readout.in_shape = list(STIMULUS[1:])
    return UnifiedCoreReadout(
        in_shape=(channels, *STIMULUS[2:]),
        hidden_channels=hidden,
        n_neurons_dict=SESSIONS,
        core=root.core,
        readout=root.readout,
        data_info={
            "n_neurons_dict": SESSIONS,
            "input_shape": (2, *STIMULUS[3:]),
            "mean_activity_dict": {name: torch.rand(n) + 0.5 for name, n in SESSIONS.items()},
            "stimulus_rate_hz": "85Hz",
            "retina_pixel_size_um": "7.5 for full resolution",
            "stim_mean": float("nan"),
            "stim_std": 1.0,
        },
    )


def example(options):
    return ExampleCoreReadout(
        in_shape=(2, 60, *STIMULUS[3:]),
        hidden_channels=(4, 5),
        temporal_kernel_sizes=(9, 5),
        spatial_kernel_sizes=(5, 3),
        n_neurons_dict=SESSIONS,
        data_info={"n_neurons_dict": SESSIONS, "input_shape": (2, *STIMULUS[3:])},
        **options,
    )


def spatial_contrast(folder, **options):
    cells = {name: {"cell_indices": list(range(n))} for name, n in SESSIONS.items()}
    for session, n in SESSIONS.items():
        for cell in range(n):
            np.save(f"{folder}/cell_data_{session}_WN_stas_cell_{cell}.npy", average(cell))
    return SpatialContrastCoreReadout(
        in_shape=(1, *STIMULUS[2:]),
        n_neurons_dict=SESSIONS,
        sta_dir=folder,
        temporal_crop_frames=7,
        data_info={"n_neurons_dict": SESSIONS, "sessions_kwargs": cells, "stimulus_rate_hz": 85.0},
        **options,
    )


def single_spatial_contrast(folder, **options):
    np.save(f"{folder}/cell.npy", average(1))
    return SingleCellSpatialContrast((1, *STIMULUS[2:]), folder, "cell.npy", temporal_crop_frames=6, **options)


def average(number):
    """A spike-triggered average: a Gaussian off the middle that changes its sign in time, and noise."""
    y, x = np.indices(STIMULUS[3:])
    place = np.exp(-((y - 4 - number) ** 2 + (x - 7 + number) ** 2) / (2 * 1.5**2))
    course = np.sin(np.linspace(0, 6, 12)) * np.linspace(0, 1, 12)
    noise = np.random.default_rng(number).normal(size=(12, *place.shape))
    return (course[:, None, None] * place + 0.01 * noise).astype(np.float32)


def lnp(**options):
    return SingleCellSeparatedLNP((2, 8, *STIMULUS[3:]), spat_kernel_size=STIMULUS[3:], **options)


SINGLE_CELLS = {
    "contrast": (spatial_contrast, {}),
    "contrast_cut": (spatial_contrast, {"cut_first_n_frames": 3}),
    "single_contrast": (single_spatial_contrast, {}),
    "single_contrast_cropped": (single_spatial_contrast, {"spat_crop_size": (7, 6)}),
    "single_lnp": (lnp, {"rank": 2, "nonlinearity": "softplus"}),
    "single_lnp_softplus": (lnp, {"nonlinearity": "parametrized_softplus"}),
}


@torch.no_grad()
def write_single_cell(name, model):
    stir(model)
    trainer = lightning.Trainer(max_epochs=0, logger=False, enable_checkpointing=False, accelerator="cpu")
    trainer.strategy.connect(model)
    trainer.save_checkpoint(CELLS / f"{name}.ckpt")
    model.eval()
    stimulus = torch.randn(1, getattr(model, "in_channels", 1), *STIMULUS[2:])
    responses = {
        f"response/{session}": model(stimulus, session).numpy() for session in getattr(model, "readout", ["cell"])
    }
    place = {"place": np.array(model.rf_location)} if hasattr(model, "rf_location") else {}
    np.savez_compressed(CELLS / f"{name}.npz", stimulus=stimulus.numpy(), **responses, **place)


@torch.no_grad()
def stir(model):
    """Random weights on which predictions visibly depend."""
    spreads = {"mask_mean": 0.05, "_log_var": 0.2, "_mu": 0.6, "sin_weights": 0.5, "cos_weights": 0.5}
    spreads["weight_spatial"] = 0.3
    for name, weights in model.named_parameters():
        spread = next((value for end, value in spreads.items() if name.endswith(end)), None)
        noise = torch.randn(weights.shape)
        if spread is None:
            weights.add_(0.3 * noise * max(float(weights.std()) if weights.numel() > 1 else 1.0, 0.2))
        else:
            weights.copy_(spread * noise)
    for name, values in model.named_buffers():
        if "running_mean" in name:
            values.copy_(0.3 * torch.randn(values.shape))
        elif "running_var" in name:
            values.copy_(0.5 + torch.rand(values.shape))


@torch.no_grad()
def write(name, model, frames):
    stir(model)
    trainer = lightning.Trainer(max_epochs=0, logger=False, enable_checkpointing=False, accelerator="cpu")
    trainer.strategy.connect(model)
    trainer.save_checkpoint(FOLDER / f"{name}.ckpt")
    model.eval()
    stimulus = torch.randn(1, 2, frames, *STIMULUS[3:])
    values = {"stimulus": stimulus.numpy()}
    for session in SESSIONS:
        values[f"response/{session}"] = model(stimulus, session).numpy()
        values[f"regularizer/{session}"] = float(model.readout.regularizer(session))
    values["regularizer/core"] = float(model.core.regularizer())
    np.savez_compressed(FOLDER / f"{name}.npz", **values)


def main():
    warnings.filterwarnings("ignore")
    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
    FOLDER.mkdir(parents=True, exist_ok=True)
    for number, (name, (core, readout)) in enumerate(VARIANTS.items()):
        torch.manual_seed(number)
        write(name, unified(core, readout), STIMULUS[2])
    for number, (name, options) in enumerate(EXAMPLES.items()):
        torch.manual_seed(100 + number)
        write(name, example(options), 50)
    CELLS.mkdir(exist_ok=True)
    for number, (name, (make, options)) in enumerate(SINGLE_CELLS.items()):
        torch.manual_seed(200 + number)
        with tempfile.TemporaryDirectory() as folder:
            write_single_cell(name, make(folder, **options) if "contrast" in name else make(**options))


if __name__ == "__main__":
    main()
