"""Twins from configurations: cores and readouts by the names that presets and checkpoints call them."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch

from retina_nb.cores import ConvGRUCore, Core, PassThrough, PhotoreceptorFrontEnd, StackedCore, feature_shape
from retina_nb.errors import UserError, unknown
from retina_nb.models.core_readout import CoreReadout
from retina_nb.readouts import (
    FactorizedReadout,
    GaussianMaskReadout,
    LinearNonlinearReadout,
    PointGaussianReadout,
    Readout,
    SessionReadouts,
    SpatialContrastReadout,
)

CORES: dict[str, Callable[..., Core]] = {"conv_gru": ConvGRUCore, "pass_through": PassThrough, "stacked": StackedCore}


def _spatial_contrast(shape: tuple[int, int, int, int], neurons: int, *, history: int, **options: Any) -> Readout:
    """Filters of zeros: they are found in recordings, or read from a file."""
    space, time = torch.zeros(neurons, *shape[2:]), torch.zeros(neurons, shape[0], history)
    return SpatialContrastReadout(shape, neurons, spatial_filters=space, temporal_filters=time, **options)


READOUTS: dict[str, Callable[..., Readout]] = {
    "factorized": FactorizedReadout,
    "gaussian_mask": GaussianMaskReadout,
    "linear_nonlinear": LinearNonlinearReadout,
    "point_gaussian": PointGaussianReadout,
    "spatial_contrast": _spatial_contrast,
}


def assemble(config: Mapping[str, Any], stimulus_shape: Sequence[int], about: dict[str, Any]) -> CoreReadout:
    """The modules that a configuration and the sessions in `about` describe, with random weights, ready to predict.

    Args:
        config: ``core`` and ``readout``, each with a ``kind`` and its options, as in a preset.
        stimulus_shape: (channel, height, width).
        about: what is known of the recordings, with the number of neurons of each session as ``neurons``.

    Raises:
        UserError: if a kind or an option is unknown, or the stimulus is too small for the kernels.
    """
    channel, height, width = stimulus_shape
    shape = (channel, height, width)
    with torch.device("meta"):  # to know the shape takes no numbers
        features = output_shape(build_core(config["core"], shape, about), shape)
    core = build_core(config["core"], shape, about)
    readouts = {
        session: _build("readout", READOUTS, config["readout"], features, neurons)
        for session, neurons in about["neurons"].items()
    }
    return CoreReadout(core, SessionReadouts(readouts), stimulus_shape=shape, config=dict(config), about=about).eval()


def build_core(config: Mapping[str, Any], stimulus_shape: tuple[int, int, int], about: Mapping[str, Any]) -> Core:
    """The core of a configuration, behind photoreceptors if it names a ``front_end``.

    Raises:
        UserError: if a kind or an option is unknown, or a front end needs numbers that `about` lacks.
    """
    options = {name: value for name, value in config.items() if name not in ("front_end", "session_speeds")}
    if options["kind"] != "pass_through":
        options["in_channels"] = stimulus_shape[0]
    if config.get("session_speeds"):
        options["sessions"] = sorted(about["neurons"])
    core = _build("core", CORES, options)
    if not (front_end := config.get("front_end")):
        return core
    known = {"rate": "rate_hz", "mean": "stimulus_mean", "std": "stimulus_std"}
    missing = [name for name in known.values() if about.get(name) is None]
    if missing:
        raise UserError(f"photoreceptors need to know {' and '.join(missing)} of the recordings")
    light = {option: about[name] for option, name in known.items()}
    return _called("front end", PhotoreceptorFrontEnd, front_end, core, **light)


def output_shape(core: Core, stimulus_shape: tuple[int, int, int]) -> tuple[int, int, int, int]:
    """(feature, time, height, width) of the shortest feature movie.

    Raises:
        UserError: if the stimulus is too small for the core.
    """
    try:
        return feature_shape(core, stimulus_shape, max(1, core.lag + 1))
    except UserError as error:
        raise UserError(f"{error}; override core.spatial_kernel_sizes") from None


def _build(what: str, kinds: Mapping[str, Callable[..., Any]], config: Mapping[str, Any], *arguments: Any) -> Any:
    options = dict(config)
    kind = options.pop("kind")
    if kind not in kinds:
        raise unknown(what, kind, kinds)
    return _called(f"{what} {kind}", kinds[kind], options, *arguments)


def _called(what: str, make: Callable[..., Any], options: Mapping[str, Any], *arguments: Any, **more: Any) -> Any:
    try:
        return make(*arguments, **options, **more)
    except TypeError as error:
        if "argument" in str(error):
            reason = str(error).split("__init__() ")[-1]
            raise UserError(f"{what} {reason}; the override '~PART.OPTION' takes an option out of a preset") from None
        raise
