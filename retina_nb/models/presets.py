"""Twins by name: architectures as YAML files in ``presets/``, changed by overrides."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch

from retina_nb.cores import Core, StackedCore, feature_shape
from retina_nb.errors import UserError, unknown
from retina_nb.models.core_readout import CoreReadout
from retina_nb.models.locate import locate_receptive_fields
from retina_nb.readouts import GaussianMaskReadout, Readout, SessionReadouts
from retina_nb.recording import Recording

_FOLDER = Path(__file__).parents[1] / "presets"
_CORES = {"stacked": StackedCore}
_READOUTS = {"gaussian_mask": GaussianMaskReadout}
# In what a session must agree with the others of its twin, or the core would see something else.
_MUST_AGREE = {
    "stimulus_shape": "stimuli of (channel, height, width)",
    "rate_hz": "a rate (Hz) of",
    "pixel_um": "pixels (µm) of",
    "channels": "the channels",
    "stimulus_mean": "a stimulus normalised by a mean of",
    "stimulus_std": "a stimulus normalised by a standard deviation of",
}


def presets() -> pd.DataFrame:
    """Every preset, a row each: what it is, its layers and its readout."""
    rows = {name: load_preset(name) for name in _preset_names()}
    return pd.DataFrame(
        [
            {
                "summary": preset["summary"],
                "features": preset["core"]["hidden_channels"],
                "temporal_kernels": preset["core"]["temporal_kernel_sizes"],
                "spatial_kernels": preset["core"]["spatial_kernel_sizes"],
                "readout": preset["readout"]["kind"],
            }
            for preset in rows.values()
        ],
        index=pd.Index(rows, name="preset"),
    )


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

    if name not in _preset_names():
        raise unknown("preset", name, _preset_names())
    with initialize_config_dir(str(_FOLDER), version_base="1.3"):
        try:
            config = compose(name, overrides=list(overrides))
        except HydraException as error:
            reason = str(error).splitlines()[0].rstrip(".")
            raise UserError(f"overrides {list(overrides)} do not fit preset {name}: {reason}") from None
    return OmegaConf.to_container(config, resolve=True)  # type: ignore[return-value]


def build_twin(
    preset: str | None = None,
    recordings: Mapping[str, Recording] | None = None,
    *,
    core: Core | None = None,
    readout: Readout | SessionReadouts | None = None,
    overrides: Sequence[str] = (),
    seed: int = 0,
) -> CoreReadout:
    """A twin for recordings, untrained but started from what they say at once: mean rates and places.

    Args:
        preset: name of an architecture listed by `presets()`, or None if the parts are given.
        recordings: the sessions to model; all must have stimuli of one shape and rate.
        core, readout: parts made by hand, instead of a preset.
        overrides: changes to the preset in Hydra's syntax.
        seed: fixes the initial weights.

    Raises:
        UserError: if the preset, an override or the recordings do not fit.
    """
    if not recordings:
        raise UserError("build_twin needs recordings, as load_recordings gives them")
    shape, about = _describe(recordings)
    if core is not None and readout is not None:
        return CoreReadout(core, readout, stimulus_shape=shape, about=about)
    if preset is None:
        raise UserError(f"build_twin needs a preset ({', '.join(_preset_names())}) or both core= and readout=")
    config = {"preset": preset, **load_preset(preset, overrides)}
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        twin = assemble(config, shape, about)
    start_readouts(twin, recordings)
    return twin


def start_readouts(twin: CoreReadout, recordings: Mapping[str, Recording]) -> None:
    """Start the readouts of these sessions from what the training bins say: mean rates and places."""
    for session, recording in recordings.items():
        mean_rate = torch.from_numpy(recording.response("train").mean(axis=0))
        center = (np.array(recording.movie.frame_shape[1:], dtype=np.float32) - 1) / 2
        offset = torch.from_numpy(locate_receptive_fields(recording) - center) / twin.core.stride
        readout = twin.session_readout(session)
        like = next(readout.parameters(), mean_rate)
        readout.initialize(mean_rate.to(like), offset.to(like))


def new_readouts(twin: CoreReadout, recordings: Mapping[str, Recording], seed: int) -> dict[str, Readout]:
    """Readouts of a twin's preset for new sessions; see `CoreReadout.add_sessions`."""
    if twin.config is None or twin.stimulus_shape is None:
        raise UserError(
            "this twin was made of parts by hand: add sessions with twin.readout.add(session, readout), each with a "
            "readout made by hand"
        )
    for session, recording in recordings.items():
        if session in twin.sessions:
            raise UserError(f"the twin has a session {session} already: remove it first, or rename the new one")
        _check_alike(twin, session, recording)
    about = twin.about | {"neurons": {session: recording.n_neurons for session, recording in recordings.items()}}
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        made = assemble(twin.config, twin.stimulus_shape, about)
    return {session: made.session_readout(session) for session in recordings}


def assemble(config: Mapping[str, Any], stimulus_shape: Sequence[int], about: dict[str, Any]) -> CoreReadout:
    """The modules that a preset and the sessions in `about` describe, with random weights.

    Raises:
        UserError: if the stimulus is too small for the kernels.
    """
    channel, height, width = stimulus_shape
    core_kind, readout_kind = config["core"]["kind"], config["readout"]["kind"]
    if core_kind not in _CORES:
        raise unknown("core", core_kind, _CORES)
    if readout_kind not in _READOUTS:
        raise unknown("readout", readout_kind, _READOUTS)
    core = _CORES[core_kind](in_channels=channel, **_arguments(config["core"]))
    try:
        features = feature_shape(core, (channel, height, width), core.lag + 1)
    except RuntimeError:
        raise UserError(
            f"stimuli of {height} x {width} pixels are too small for the kernels of core {config['core']}; "
            "override core.spatial_kernel_sizes"
        ) from None
    readouts = {
        session: _READOUTS[readout_kind](features, neurons, **_arguments(config["readout"]))
        for session, neurons in about["neurons"].items()
    }
    return CoreReadout(
        core, SessionReadouts(readouts), stimulus_shape=(channel, height, width), config=dict(config), about=about
    )


def _arguments(part: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in part.items() if name != "kind"}


def _preset_names() -> list[str]:
    return sorted(file.stem for file in _FOLDER.glob("*.yaml"))


def _describe(recordings: Mapping[str, Recording]) -> tuple[tuple[int, int, int], dict[str, Any]]:
    """Stimulus shape, and what a twin has to know of its recordings."""
    first = next(iter(recordings.values()))
    for session, recording in recordings.items():
        for what, value, expected in (
            ("a stimulus of (channel, height, width)", recording.movie.frame_shape, first.movie.frame_shape),
            ("a rate of", recording.rate, first.rate),
        ):
            if value != expected:
                raise UserError(
                    f"session {session} has {what} {value}, session {first.session} {expected}; "
                    "a twin needs the same for all, so load them alike or build one twin for each"
                )
    neurons = {session: recording.n_neurons for session, recording in recordings.items()}
    return first.movie.frame_shape, {"neurons": neurons, **_about(first)}


def _about(recording: Recording) -> dict[str, Any]:
    return {
        "rate_hz": recording.rate,
        "pixel_um": None if np.isnan(recording.pixel_um) else recording.pixel_um,
        "unit": recording.unit,
        "stimulus_mean": recording.movie.mean,
        "stimulus_std": recording.movie.std,
        "channels": list(recording.movie.channels),
    }


def _check_alike(twin: CoreReadout, session: str, recording: Recording) -> None:
    """Raise a `UserError` if a recording is not like those the twin was made for; what is not known is not compared."""
    found = _about(recording) | {"stimulus_shape": recording.movie.frame_shape}
    expected = twin.about | {"stimulus_shape": twin.stimulus_shape}
    differences = [
        f"{words} {found[name]} instead of {expected[name]}"
        for name, words in _MUST_AGREE.items()
        if not any(value in (None, []) for value in (found[name], expected.get(name)))
        and not _same(found[name], expected[name])
    ]
    if differences:
        raise UserError(
            f"session {session} is not like those of the twin, it has {', '.join(differences)}: "
            "load it like them, or build a twin for it"
        )


def _same(one: Any, other: Any) -> bool:
    return math.isclose(one, other, rel_tol=1e-3, abs_tol=1e-6) if isinstance(one, float) else one == other
