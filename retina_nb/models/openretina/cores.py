"""Cores of OpenRetina as ours: what to build, and its weights."""

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from retina_nb.errors import UserError

# What a layer may have; what else it had would change what it computes.
_OF_LAYERS = r"conv\..+|norm\.(weight|bias|running_mean|running_var|num_batches_tracked)|scale\.scale|bias\.bias"

State = Mapping[str, Tensor]
Part = tuple[dict[str, Any], dict[str, Tensor]]  # configuration and weights, both ours

_CONVOLUTIONS = {
    "custom_separable": "pairwise_separable",
    "separable": "separable",
    "full": "full",
    "time_independent": "time_independent",
}


def read_core(theirs: Mapping[str, Any], state: State) -> Part:
    """A core, given its configuration (with ``_target_``) and its part of the state dict.

    Raises:
        UserError: if there is no core like it here.
    """
    kind = str(theirs.get("_target_")).rsplit(".", 1)[-1]
    if kind not in _READERS:
        raise UserError(f"the checkpoint has a core of kind {kind}; those that can be read are {', '.join(_READERS)}")
    return _READERS[kind](theirs, state)


def _dummy_core(theirs: Mapping[str, Any], state: State) -> Part:
    return {"kind": "pass_through", "cut": theirs.get("cut_first_n_frames") or 0}, {}


def _simple_core(theirs: Mapping[str, Any], state: State) -> Part:
    temporal, spatial = _sizes(theirs)
    paddings = [theirs.get("input_padding", False)] + [theirs.get("hidden_padding", True)] * (len(spatial) - 1)
    config = {
        "kind": "stacked",
        **_convolutions(theirs, temporal, spatial, paddings),
        "dropout": theirs.get("dropout_rate", 0.0),
        "pool_every": theirs.get("maxpool_every_n_layers"),
        "downsample": list(theirs.get("downsample_input_kernel_size") or (1, 1, 1)),
        "colour_weights": state.get("color_squashing_layer.channel_weights", torch.zeros(0)).tolist(),
        "cut": theirs.get("cut_first_n_frames", 30),
        "roughness": theirs["gamma_input"],
        "speed": theirs["gamma_temporal"],
        "sparsity": theirs["gamma_hidden"],
        "overall_sparsity": theirs["gamma_in_sparse"],
    }
    return config, _layers(config, state)


def _gru_core(theirs: Mapping[str, Any], state: State) -> Part:
    temporal, spatial = _sizes(theirs)
    depth = len(spatial)
    # A hidden layer is padded for the kernel of the layer before it, and the first hidden layer not at all.
    padded = [0, 0, *spatial[1:-1]] if theirs.get("hidden_padding", True) else [0] * depth
    padded[0] = spatial[0] if theirs.get("input_padding", False) else 0
    name = _snake(str(theirs.get("nonlinearity", "ELU")))
    names = [name if theirs.get("final_nonlinearity", True) else "identity"]
    names += [name if layer < depth - 1 else names[0] for layer in range(1, depth)]
    penalised = theirs.get("convolution_type", "custom_separable") == "custom_separable"
    config = {
        "kind": "stacked",
        **_convolutions(theirs, temporal, spatial, [(0, kernel // 2, kernel // 2) for kernel in padded[:depth]]),
        "normalization": "batch" if theirs.get("batch_norm", True) else "none",
        "nonlinearity": names,
        "projection": name if theirs.get("use_projections") else None,
        "roughness": theirs.get("gamma_input", 0.0) * penalised,
        "roughness_padding": 1 if theirs.get("laplace_padding", 0) is None else theirs.get("laplace_padding", 0),
        "speed": theirs.get("gamma_temporal", 0.0) * penalised,
        "overall_sparsity": theirs.get("gamma_hidden", 0.0) * penalised,
        "joint_sparsity": theirs.get("gamma_in_sparse", 0.0) * penalised,
    }
    weights = _layers(config, state)
    if config["projection"]:
        weights["projection.conv.weights"] = state["features.projection.0.conv.weight"]
        weights["projection.norm.bias"] = torch.zeros(len(weights["projection.conv.weights"]))
    if not theirs.get("use_gru"):
        return config, weights
    gru = dict(theirs.get("gru_kwargs") or {})
    recurrent = {
        "kind": "conv_gru",
        "recurrent_channels": gru["rec_channels"],
        "input_kernel_size": gru["input_kern"],
        "recurrent_kernel_size": gru["rec_kern"],
        "groups": gru.get("groups", 1),
        "pad_input": gru.get("pad_input", True),
    }
    weights = {f"stack.{key}": value for key, value in weights.items()}
    return config | recurrent, weights | _gru(state, recurrent["groups"])


_READERS: dict[str, Callable[[Mapping[str, Any], State], Part]] = {
    "SimpleCoreWrapper": _simple_core,
    "ConvGRUCore": _gru_core,
    "DummyCore": _dummy_core,
}


def _snake(name: str) -> str:
    """Our name of a nonlinearity, given torch's of its class."""
    return {"LeakyReLU": "leaky_relu"}.get(name, name.lower())


def _sizes(theirs: Mapping[str, Any]) -> tuple[list[int], list[int]]:
    layers = len(theirs["channels"]) - 1
    sizes = (theirs["temporal_kernel_sizes"], theirs["spatial_kernel_sizes"])
    temporal, spatial = ([size] * layers if isinstance(size, int) else list(size) for size in sizes)
    if theirs.get("convolution_type") == "time_independent":
        temporal = [1] * layers  # whatever the file says, such kernels have one bin
    return temporal, spatial


def _convolutions(
    theirs: Mapping[str, Any], temporal: Sequence[int], spatial: Sequence[int], paddings: Sequence[Any]
) -> dict[str, Any]:
    """The options of the convolutions. Theirs pad time as well as space, ours only space unless asked to."""
    kind = theirs.get("convolution_type", "custom_separable")
    if kind not in _CONVOLUTIONS:
        raise UserError(
            f"the checkpoint has convolutions of kind {kind}; those that can be read are {', '.join(_CONVOLUTIONS)}"
        )
    space: list[Any] = []
    time, border = [], []
    for bins, padding in zip(temporal, paddings, strict=True):
        if padding is True or padding == "same":
            space.append(True)
            time.append(((bins - 1) // 2, bins - 1 - (bins - 1) // 2))
            border.append((0, 0))
            continue
        pad = _triple(padding)
        space.append(list(pad[1:]))
        # Theirs pad the input of both steps of a separable convolution.
        time.append((2 * pad[0],) * 2 if kind == "separable" else (pad[0],) * 2)
        border.append(pad[1:] if kind == "separable" else (0, 0))
    return {
        "hidden_channels": list(theirs["channels"][1:]),
        "temporal_kernel_sizes": list(temporal),
        "spatial_kernel_sizes": list(spatial),
        "convolution": _CONVOLUTIONS[kind],
        "input_padding": space[0],
        "hidden_padding": space[1:],
        "noncausal_padding": time if any(map(any, time)) else [],
        "border": border if any(map(any, border)) else [],
    }


def _triple(padding: Any) -> tuple[int, int, int]:
    if padding in (False, None, "valid"):
        return 0, 0, 0
    if isinstance(padding, int):
        return padding, padding, padding
    time, height, width = padding
    return time, height, width


def _layers(config: Mapping[str, Any], state: State) -> dict[str, Tensor]:
    weights: dict[str, Tensor] = {}
    for layer in range(len(config["hidden_channels"])):
        here, there = f"layers.{layer}", f"features.layer{layer}"
        own = {name.removeprefix(f"{there}."): value for name, value in state.items() if name.startswith(f"{there}.")}
        for name in own:
            if not re.fullmatch(_OF_LAYERS, name):
                raise UserError(f"the checkpoint has weights {there}.{name}, and what they do is not known here")
        for name, value in _kernels(config["convolution"], own).items():
            weights[f"{here}.conv.{name}"] = value
        for name, value in _norm(own, config["hidden_channels"][layer]).items():
            weights[f"{here}.norm.{name}"] = value
    return weights


def _kernels(kind: str, own: State) -> dict[str, Tensor]:
    if kind in ("full", "time_independent"):
        return {"weights": own["conv.conv.weight"]}
    speed = own.get("conv._log_speed_default", torch.zeros(1)).exp()
    if kind == "separable":
        return {
            "space_weights": own["conv.space_conv.weight"][:, :, 0],
            "time_weights": own["conv.time_conv.weight"][..., 0, 0] * speed,
        }
    if float(speed) != 1:
        raise UserError("the checkpoint has temporal kernels with a default speed other than 1, which cannot be read")
    sines, cosines = own["conv.sin_weights"], own["conv.cos_weights"]
    # The sine of frequency 0 is zero everywhere, so its weights have no effect.
    time = torch.stack([cosines[..., 1:], sines[..., 1:]], dim=-1).flatten(-2)
    return {
        "time_weights": torch.cat([cosines[..., :1], time], dim=-1),
        "space_weights": own["conv.weight_spatial"][:, :, 0],
    }


def _norm(own: State, features: int) -> dict[str, Tensor]:
    """Batch normalisation with the scale and the bias that may follow it; without it, no bias."""
    if "norm.running_mean" not in own:
        return {"bias": torch.zeros(features)}
    scale = own["scale.scale"].flatten() if "scale.scale" in own else torch.ones(features)
    bias = own["bias.bias"].flatten() if "bias.bias" in own else torch.zeros(features)
    return {
        "weight": own.get("norm.weight", torch.ones(features)) * scale,
        "bias": own.get("norm.bias", torch.zeros(features)) * scale + bias,
        **{name: own[f"norm.{name}"] for name in ("running_mean", "running_var", "num_batches_tracked")},
    }


def _gru(state: State, groups: int) -> dict[str, Tensor]:
    """The recurrent layer. Ours has the kernels of its gates in one tensor, within each group."""

    def together(what: str, *gates: str) -> Tensor:
        parts = [state[f"features.gru.gru.{gate}_gate_{what}"].unflatten(0, (groups, -1)) for gate in gates]
        return torch.cat(parts, dim=1).flatten(0, 1)

    gates = ("update", "reset", "out")
    return {
        "gru.drive.weight": together("input.weight", *gates),
        # Both of their convolutions have a bias; only the sum matters.
        "gru.drive.bias": together("input.bias", *gates) + together("hidden.bias", *gates),
        "gru.gates.weight": together("hidden.weight", "update", "reset"),
        "gru.candidate.weight": together("hidden.weight", "out"),
    }
