"""Readouts of OpenRetina as ours: what to build, and each session's weights."""

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor

from retina_nb.errors import UserError
from retina_nb.models.openretina.cores import Part, State

# A reader of one kind: their configuration, one session's part of the state dict, (feature, height, width).
Reader = Callable[[Mapping[str, Any], State, tuple[int, int, int]], Part]


def read_readout(theirs: Mapping[str, Any], state: State, shape: tuple[int, int, int]) -> Part:
    """One session's readout, given their configuration (with ``_target_``) and its part of the state dict.

    Args:
        shape: (feature, height, width) of the feature movie.

    Raises:
        UserError: if there is no readout like it here.
    """
    kind = str(theirs.get("_target_")).rsplit(".", 1)[-1]
    if kind not in _READERS:
        raise UserError(f"the checkpoint has readouts of kind {kind}; those that can be read are {', '.join(_READERS)}")
    return _READERS[kind](theirs, state, shape)


def _gaussian_mask(theirs: Mapping[str, Any], state: State, shape: tuple[int, int, int]) -> Part:
    mask, features = theirs.get("mask_l1_reg", 1.0), theirs.get("feature_weights_l1_reg", 1.0)
    # Ours is a mean over neurons. Theirs is a sum over them, or, if asked, a mean over neurons, features and axes.
    averaged = bool(theirs.get("readout_reg_avg"))
    config = {
        "kind": "gaussian_mask",
        "position_scale": theirs["gaussian_mean_scale"],
        "width_scale": theirs["gaussian_var_scale"],
        "positive": theirs["positive"],
        "scale": theirs["scale"],
        "bias": theirs["bias"],
        "width_penalty": mask,
        "position_penalty": mask / 2 if averaged else mask,
        "feature_penalty": features / shape[0] if averaged else features,
    }
    weights = {
        "position": state["mask_mean"],
        "log_variance": state["mask_log_var"],
        "features": state["features"][0, :, 0],
        "scale": state["scale_param"],
        "bias": state["bias"] if "bias" in state else state["bias_param"],
    }
    return config, weights


def _point_gaussian(theirs: Mapping[str, Any], state: State, shape: tuple[int, int, int]) -> Part:
    for option in ("grid_mean_predictor", "shared_features", "shared_grid"):
        if theirs.get(option) is not None:
            raise UserError(f"the checkpoint's readouts use {option}, which cannot be read")
    penalty = theirs.get("gamma", 1.0)
    config = {
        "kind": "point_gaussian",
        "covariance": theirs.get("gauss_type", "full"),
        "align_corners": theirs.get("align_corners", True),
        "bias": "bias" in state,
        "nonlinearity": _nonlinearity(theirs.get("nonlinearity_function")),
        "feature_penalty": penalty / shape[0] if theirs.get("reg_avg") else penalty,
    }
    spread = state["sigma"][0]
    weights = {
        "position": state["_mu"][0, :, 0].flip(-1),  # theirs is x before y
        "spread": spread.flip(-1, -2) if config["covariance"] == "full" else spread.flip(-1)[:, 0],
        "features": state["_features"][0, :, 0],
        "bias": state["bias"] if "bias" in state else torch.zeros(len(spread)),
    }
    return config, weights


def _factorized(theirs: Mapping[str, Any], state: State, shape: tuple[int, int, int]) -> Part:
    learned = bool(theirs.get("readout_bias"))
    config = {
        "kind": "factorized",
        "mask_constraint": theirs.get("mask_constraint"),
        "feature_constraint": theirs.get("weights_constraint"),
        "bias": learned,
        "mask_penalty": theirs["mask_l1_reg"],
        "feature_penalty": theirs["weights_l1_reg"],
        "roughness_penalty": theirs["laplace_mask_reg"] / (3 if theirs.get("readout_reg_avg") else 1),
    }
    weights = {
        "mask": state["mask_weights"].T.unflatten(1, shape[1:]),
        "features": state["feature_weights"],
        # Theirs keeps a bias that it does not add.
        "bias": state["bias"] if learned else torch.zeros_like(state["bias"]),
    }
    return config, weights


def _linear_nonlinear(theirs: Mapping[str, Any], state: State, shape: tuple[int, int, int]) -> Part:
    filters = state["inner_product_kernel.weight"]  # (neuron, channel, 1, height, width)
    config = {
        "kind": "linear_nonlinear",
        "bias": "inner_product_kernel.bias" in state,
        "nonlinearity": theirs.get("nonlinearity", "exp"),
        "roughness_penalty": theirs.get("smooth_weight", 0.0),
        "sparsity_penalty": theirs.get("sparse_weight", 0.0),
    }
    bias: Tensor = state.get("inner_product_kernel.bias", torch.zeros(len(filters)))
    return config, {"space_filters": filters.movedim(2, 1), "bias": bias}


def _spatial_contrast(theirs: Mapping[str, Any], state: State, shape: tuple[int, int, int]) -> Part:
    names = {"contrast_weight": "w", "gain": "nl_a", "slope": "nl_b", "bias": "nl_c"}
    temporal = state["temporal_filters"]
    weights = {"spatial_filters": state["spatial_filters"], "temporal_filters": temporal[:, None]}
    config = {"kind": "spatial_contrast", "history": temporal.shape[1]}
    return config, weights | {ours: state[name] for ours, name in names.items()}


_READERS: dict[str, Reader] = {
    "MultiGaussianMaskReadout": _gaussian_mask,
    "MultiSampledGaussianReadout": _point_gaussian,
    "MultiFactorizedReadout": _factorized,
    "MultiSpatialContrastReadout": _spatial_contrast,
    "MultipleLNPReadout": _linear_nonlinear,
}


def _nonlinearity(theirs: Any) -> str:
    if theirs is None:
        return "softplus"
    name = theirs["_target_"] if isinstance(theirs, Mapping) and "_target_" in theirs else type(theirs).__name__
    return str(name).rsplit(".", 1)[-1].lower()
