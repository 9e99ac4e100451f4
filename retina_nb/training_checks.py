"""What a training is checked for before it begins."""

import math
from collections.abc import Callable, Mapping
from numbers import Integral, Real
from pathlib import Path
from typing import Any

from retina_nb.errors import UserError, unknown
from retina_nb.models.building import check_alike
from retina_nb.models.core_readout import CoreReadout
from retina_nb.readouts import SessionReadouts
from retina_nb.recording import Recording

LOGGERS = ("csv", "tensorboard")
PRECISIONS = ("32-true", "bf16-mixed", "16-mixed")  # weights are float32 in all of them, as a twin's are
_COUNTS = {
    "max_epochs": "at least one epoch",
    "batch_size": "at least 1",
    "chunk_size": "at least 1",
    "patience": "at least 1",
    "seed": "at least 0",
    "num_nodes": "at least 1",
}
_AMOUNTS: dict[str, tuple[str, Callable[[float], bool]]] = {
    "learning_rate": ("a number above 0", lambda value: 0 < value < math.inf),
    "weight_decay": ("a number, at least 0", lambda value: 0 <= value < math.inf),
    "clip_norm": ("a number above 0", lambda value: value > 0),
    "averaging": ("a number from 0 to less than 1", lambda value: 0 <= value < 1),
}
_SWITCHES = ("resume", "compile", "keep_memory")


def check_options(options: Mapping[str, Any]) -> None:
    """Raise a `UserError` for the first option of `retina_nb.fit` that has a wrong type or value."""
    for name, least in _COUNTS.items():
        value, lowest = options[name], 0 if name == "seed" else 1
        if not isinstance(value, Integral) or isinstance(value, bool) or not lowest <= int(value) < 2**63:
            raise UserError(f"{name} must be a whole number, {least}, not {value!r}")
    for name, (words, fits) in _AMOUNTS.items():
        value = options[name]
        if not isinstance(value, Real) or isinstance(value, bool) or not fits(float(value)):
            raise UserError(f"{name} must be {words}, not {value!r}")
    for name in _SWITCHES:
        if not isinstance(options[name], bool):
            raise UserError(f"{name} must be True or False, not {options[name]!r}")
    if not isinstance(options["loss"], str) and not callable(options["loss"]):
        raise UserError(f"loss must be a name or a function, not {options['loss']!r}")
    if options["precision"] not in PRECISIONS:
        raise UserError(f"precision must be one of {', '.join(PRECISIONS)}, not {options['precision']!r}")
    _check_files(options)


def _check_files(options: Mapping[str, Any]) -> None:
    folder, loggers = options["folder"], options["loggers"]
    if not isinstance(folder, str | Path | None) or folder == "":
        raise UserError(f"folder must be the path of a folder, not {folder!r}")
    if options["resume"] and folder is None:
        raise UserError("fit(resume=True) needs the folder of the training to go on with")
    if isinstance(loggers, str) or not hasattr(loggers, "__iter__"):
        raise UserError(f"loggers must be a list of {', '.join(LOGGERS)}, not {loggers!r}")
    for name in loggers:
        if name not in LOGGERS:
            raise unknown("logger", str(name), LOGGERS)
    if loggers and folder is None:
        raise UserError("loggers need a folder to write to: fit(..., folder=...)")


def check_twin(twin: CoreReadout, recordings: Mapping[str, Recording], loss: Any) -> None:
    """Raise a `UserError` unless the twin can be trained on these sessions."""
    if not isinstance(twin, CoreReadout):
        raise UserError(f"fit trains a twin, as build_twin gives it, not a {type(twin).__name__}")
    known = twin.about.get("neurons", {})
    if twin.core.time_stride > 1 or twin.lag < 0:
        raise UserError("this twin does not have one output for each bin: it can predict, but not be trained")
    for session, recording in recordings.items():
        if recording.signed and loss in ("poisson", "l1_poisson"):
            raise UserError(
                f"session {session} has responses below zero, for which there is no Poisson loss: use loss='mse' or "
                "'correlation'"
            )
        if isinstance(twin.readout, SessionReadouts) and session not in twin.sessions:
            raise unknown("session of the twin", session, twin.sessions)
        if session in known and known[session] != recording.n_neurons:
            raise UserError(
                f"session {session} has {recording.n_neurons} neurons, the twin was built for {known[session]}"
            )
        check_alike(twin, session, recording)
        for split in ("train", "validation"):
            if not (recording.split == split).any():
                raise UserError(f"session {session} has no {split} bin: label some, as in Recording(..., split=...)")
    if not any(recording.responses[recording.split == "train"].any() for recording in recordings.values()):
        raise UserError("no cell responds in any training bin: there is nothing to learn")
    parts = [twin.core, *(twin.session_readout(session) for session in recordings)]
    if not any(parameter.requires_grad for part in parts for parameter in part.parameters()):
        raise UserError("core and readouts of these sessions are frozen: unfreeze some of them to train")
