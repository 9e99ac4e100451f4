"""Reader of OpenRetina's checkpoints: its twins become ours, with the same predictions.

Known are the unified core-readout model, the example (earlier: plain and GRU) core-readout models with flat options, in
all their cores, convolutions and readouts, the spatial contrast models of one and of many cells, and the LNP of one.
"""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from retina_nb.errors import UserError
from retina_nb.models.checkpoints import Stored, check_sizes, check_weights
from retina_nb.models.linear_nonlinear import LinearNonlinear
from retina_nb.models.openretina.about import describe, keep_speeds
from retina_nb.models.openretina.cores import read_core
from retina_nb.models.openretina.pickled import plain, read_pickled
from retina_nb.models.openretina.readouts import read_readout
from retina_nb.models.openretina.single_cell import CONTRAST, LINEAR, SESSION, read_contrast, read_linear
from retina_nb.models.parts import assemble, build_core, output_shape

__all__ = ["read_checkpoint"]

_MASK_READOUT = "MultiGaussianMaskReadout"
# The names that weights may have. Some may be missing, so that one under another name would be lost unnoticed.
_KNOWN = (
    r"core\.features\.(layer\d+|projection|gru)\..+"
    r"|core\.(_\w+regularizer\w*|color_squashing_layer)\..+"
    r"|core\.log_speed.*|readout\..+|[^.]*loss.*"
)


def read_checkpoint(path: Path, given: Mapping[str, Any] | None = None) -> Stored:
    """A Lightning checkpoint of a model of OpenRetina; nothing in it is executed.

    Args:
        path: the file.
        given: what the user says of the model, where its file does not.

    Raises:
        UserError: if the file is damaged or hostile, holds another model, or lacks something that is not given.
    """
    found, given = read_pickled(path), given or {}
    theirs, state = found["hyper_parameters"], found["state_dict"]
    try:
        if state.keys() >= LINEAR:
            return _linear(state, given, path)
        if not theirs:
            raise UserError("it is not a Lightning checkpoint with hyper_parameters, which say what the weights are of")
        if state.keys() >= CONTRAST:
            return _single_contrast(theirs, state, given, path)
        core, readout = (_contrast if "sta_dir" in theirs else _unified if _is_unified(theirs) else _flat)(theirs)
        neurons = {str(name): int(n) for name, n in plain(theirs["n_neurons_dict"]).items()}
        channel, _, height, width = plain(theirs["in_shape"])
        check_sizes([core, readout, neurons, [channel, height, width]], state, path)
        return _stored(core, readout, state, neurons, (channel, height, width), theirs, path)
    except (KeyError, TypeError, ValueError, AttributeError, IndexError, RuntimeError) as error:
        if isinstance(error, UserError):
            raise UserError(f"{path}: {error}") from None
        raise UserError(
            f"{path} is not a model of OpenRetina as it is known here ({type(error).__name__}: {error})"
        ) from None


def _stored(
    core: dict[str, Any],
    readout: dict[str, Any],
    state: Mapping[str, Tensor],
    neurons: Mapping[str, int],
    shape: tuple[int, int, int],
    theirs: Mapping[str, Any],
    path: Path,
) -> Stored:
    for name in state:
        if not re.fullmatch(_KNOWN, name):
            raise UserError(f"the checkpoint has weights {name}, and what they do is not known here")
    core_config, core_weights = read_core(core, _part(state, "core."))
    if colours := core_config.get("colour_weights"):
        shape = (len(colours), *shape[1:])
    weights = {f"core.{name}": value for name, value in core_weights.items()}
    with torch.device("meta"):
        features, _, *sides = output_shape(build_core(core_config, shape, {}), shape)
    readout_config: dict[str, Any] = {}
    for session in neurons:
        own = _part(state, f"readout.{session}.")
        readout_config, own = read_readout(readout, own, (features, sides[0], sides[1]))
        weights |= {f"readout.readouts.{session}.{name}": value for name, value in own.items()}
    config = {"preset": None, "core": core_config, "readout": readout_config}
    about = describe(theirs.get("data_info") or {}, neurons, shape, path.name)
    speeds = {
        session: state[f"core.log_speed_{session}"] for session in neurons if f"core.log_speed_{session}" in state
    }
    if any(bool(speed) for speed in speeds.values()):
        keep_speeds(about, {session: float(speed.exp()) for session, speed in speeds.items()}, path.name)
    with torch.device("meta"):
        twin = assemble(config, shape, about)
    check_weights(twin, weights, path)
    twin.load_state_dict(weights, assign=True)
    # Theirs brings weights into their range whenever they are used, ours keeps them there.
    # Not those of the spatial contrast model, which are used as they are.
    if readout_config.get("kind") != "spatial_contrast":
        for session in neurons:
            twin.session_readout(session).constrain()
    return Stored(twin.kind, config, about, twin.state_dict(), shape)


def _linear(state: Mapping[str, Tensor], given: Mapping[str, Any], path: Path) -> Stored:
    config, weights = read_linear(state, given)
    channel, height, width = config["frame"]
    about = describe({}, {SESSION: 1}, (channel, height, width), path.name)
    return Stored(LinearNonlinear.kind, config, about, weights, (channel, height, width))


def _single_contrast(
    theirs: Mapping[str, Any], state: Mapping[str, Tensor], given: Mapping[str, Any], path: Path
) -> Stored:
    check_sizes(plain(theirs["in_shape"]), state, path)
    shape, readout, weights = read_contrast(theirs, state, given)
    config = {"preset": None, "core": {"kind": "pass_through", "cut": 0}, "readout": readout}
    weights = {f"readout.readouts.{SESSION}.{name}": value for name, value in weights.items()}
    return Stored("core_readout", config, describe({}, {SESSION: 1}, shape, path.name), weights, shape)


def _contrast(theirs: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """The spatial contrast model of many cells, whose parts are made by its constructor."""
    core = {"_target_": "DummyCore", "cut_first_n_frames": theirs.get("cut_first_n_frames")}
    return core, {"_target_": "MultiSpatialContrastReadout"}


def _is_unified(theirs: Mapping[str, Any]) -> bool:
    return isinstance(plain(theirs.get("core")), dict) and "_target_" in plain(theirs["core"])


def _unified(theirs: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    core, readout = plain(theirs["core"]), plain(theirs["readout"])
    hidden = plain(theirs.get("hidden_channels"))
    if hidden is not None:
        core["channels"] = [theirs["in_shape"][0], *hidden]
    return core, readout


def _flat(theirs: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """The configurations behind flat options ``core_*`` and ``readout_*``."""
    options = {name: plain(value) for name, value in theirs.items()}
    core = {name.removeprefix("core_"): value for name, value in options.items() if name.startswith("core_")}
    core |= {
        name: options[name]
        for name in (
            "temporal_kernel_sizes",
            "spatial_kernel_sizes",
            "dropout_rate",
            "maxpool_every_n_layers",
            "downsample_input_kernel_size",
            "convolution_type",
            "color_squashing_weights",
        )
        if name in options
    }
    core["cut_first_n_frames"] = options.get("cut_first_n_frames_in_core", 30)
    core["channels"] = [options["in_shape"][0], *options["hidden_channels"]]
    core["_target_"] = "ConvGRUCore" if "use_gru" in core else "SimpleCoreWrapper"
    readout = {
        "_target_": _MASK_READOUT,
        **{name: options[f"readout_{name}"] for name in ("scale", "bias", "positive")},
        "gaussian_mean_scale": options["readout_gaussian_mean_scale"],
        "gaussian_var_scale": options["readout_gaussian_var_scale"],
        # Theirs hands these two over by position, and they arrive under each other's name.
        "mask_l1_reg": options["readout_gamma"],
        "feature_weights_l1_reg": options.get("readout_gamma_masks", 0.0),
        "readout_reg_avg": options.get("readout_reg_avg", False),
    }
    return core, readout


def _part(state: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): value for name, value in state.items() if name.startswith(prefix)}
