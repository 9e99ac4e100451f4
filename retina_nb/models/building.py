"""Twins for recordings: built from a preset or from parts, and started from what the recordings say at once."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch

from retina_nb.cores import Core
from retina_nb.errors import UserError
from retina_nb.models.core_readout import CoreReadout
from retina_nb.models.linear_nonlinear import fit_linear_nonlinear
from retina_nb.models.parts import assemble
from retina_nb.models.presets import load_preset, preset_names
from retina_nb.models.spatial_contrast import fit_spatial_contrast
from retina_nb.readouts import Readout, SessionReadouts, SpatialContrastReadout
from retina_nb.recording import Recording, by_name
from retina_nb.seeding import seeded

# In what a session must agree with the others of its twin, or the core would see something else.
_MUST_AGREE = {
    "stimulus_shape": "stimuli of (channel, height, width)",
    "rate_hz": "a rate (Hz) of",
    "pixel_um": "pixels (µm) of",
    "channels": "the channels",
    "stimulus_mean": "a stimulus normalised by a mean of",
    "stimulus_std": "a stimulus normalised by a standard deviation of",
}


def build_twin(
    preset: str | None = None,
    recordings: Recording | Mapping[str, Recording] | None = None,
    *,
    core: Core | None = None,
    readout: Readout | SessionReadouts | None = None,
    overrides: Sequence[str] = (),
    seed: int = 0,
) -> CoreReadout:
    """A twin for recordings, untrained but started from what they say at once: mean rates and places.

    It is in evaluation mode: it predicts the same each time, and predicting leaves it as it is.

    Args:
        preset: name of an architecture listed by `presets()`, or None if the parts are given.
        recordings: the sessions to model, or one; all must have stimuli of one shape and rate.
        core, readout: parts made by hand, instead of a preset.
        overrides: changes to the preset in Hydra's syntax.
        seed: fixes the initial weights.

    Raises:
        UserError: if the preset, an override or the recordings do not fit.

    Example:
        >>> import retina_nb as rnb
        >>> recordings = rnb.load_recordings("simulated", sessions=2, cells_per_session=12, size=(13, 15))
        >>> twin = rnb.build_twin("simulated_retina", recordings)
        >>> twin.sessions
        ['simulated_1', 'simulated_2']
    """
    if recordings is None:
        raise UserError("build_twin needs recordings, as load_recordings gives them")
    recordings = by_name(recordings)
    shape, about = _describe(recordings)
    if core is not None and readout is not None:
        return CoreReadout(core, readout, stimulus_shape=shape, about=about).eval()
    if preset is None:
        raise UserError(f"build_twin needs a preset ({', '.join(preset_names())}) or both core= and readout=")
    config = {"preset": preset, **load_preset(preset, overrides)}
    with seeded(seed):
        twin = assemble(config, shape, about)
    start_readouts(twin, recordings)
    return twin


def start_readouts(twin: CoreReadout, recordings: Mapping[str, Recording]) -> None:
    """Start the readouts of these sessions from what the training bins say: mean rates and places."""
    from retina_nb.models.locate import locate_receptive_fields  # needs SciPy, which loading a twin need not wait for

    for session, recording in recordings.items():
        if isinstance(readout := twin.session_readout(session), SpatialContrastReadout):
            _start_spatial_contrast(readout, recording)
            continue
        mean_rate = torch.from_numpy(recording.response("train").mean(axis=0))
        center = (np.array(recording.movie.frame_shape[1:], dtype=np.float32) - 1) / 2
        offset = torch.from_numpy(locate_receptive_fields(recording) - center) / twin.core.stride
        like = next(readout.parameters(), mean_rate)
        readout.initialize(mean_rate.to(like), offset.to(like))


@torch.no_grad()
def _start_spatial_contrast(readout: SpatialContrastReadout, recording: Recording) -> None:
    """Filters by reverse correlation, which stay, and the numbers that go with them."""
    sessions = {recording.session: recording}
    linear = fit_linear_nonlinear(sessions, history=readout.lag / recording.rate)[recording.session]
    averages = {recording.session: linear.filters.detach().numpy()}
    found = fit_spatial_contrast(sessions, averages=averages)[recording.session]
    readout.spatial_filters.copy_(found.spatial)
    readout.temporal_filters.copy_(found.temporal)
    for ours, theirs in (("gain", "gain"), ("slope", "slope"), ("bias", "offset"), ("contrast_weight", "weight")):
        getattr(readout, ours).copy_(getattr(found, theirs))


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
        check_alike(twin, session, recording)
    about = twin.about | {"neurons": {session: recording.n_neurons for session, recording in recordings.items()}}
    with seeded(seed):
        made = assemble(twin.config, twin.stimulus_shape, about)
    return {session: made.session_readout(session) for session in recordings}


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
    return first.movie.frame_shape, {"neurons": neurons, **first.conditions}


def check_alike(twin: CoreReadout, session: str, recording: Recording) -> None:
    """Raise a `UserError` if a recording is not like those the twin was made for; what is not known is not compared."""
    found = recording.conditions | {"stimulus_shape": recording.movie.frame_shape}
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
