"""Going on with a training: its checkpoints, what they remember of its settings, and whether these are the same."""

import hashlib
import io
import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from retina_nb.errors import UserError
from retina_nb.models.core_readout import CoreReadout
from retina_nb.recording import Recording
from retina_nb.representations import one_line

BEST, LAST = "best.ckpt", "last.ckpt"
# What fit adds to Lightning's checkpoints.
SETTINGS, BEST_SO_FAR = "settings", "best_so_far"
_NEEDED = {"state_dict", "optimizer_states", "callbacks", "loops", "epoch", "plateau", SETTINGS, BEST_SO_FAR}
# Options that change the result, so that a training goes on with the same ones only.
_DECISIVE = (
    "learning_rate",
    "weight_decay",
    "batch_size",
    "chunk_size",
    "patience",
    "clip_norm",
    "averaging",
    "loss",
    "neuron_weights",
    "seed",
    "precision",
)
_SAMPLES = 16  # frames that tell one movie from another


@one_line
@dataclass
class Best:
    """The weights that validated best so far; at first those that the twin had.

    Args:
        weights: the twin's state, on the CPU.
        score: what they were validated with.
        epoch: the epoch they are of, counted from 0; -1 before the first one.
    """

    weights: dict[str, Tensor]
    score: float = -math.inf
    epoch: int = -1

    def consider(self, weights: dict[str, Tensor], score: float, epoch: int) -> None:
        """Take these weights if they are better."""
        if score > self.score:
            self.weights, self.score, self.epoch = weights, score, epoch

    def restore(self, checkpoint: Mapping[str, Any]) -> None:
        """Take what a checkpoint of the training holds."""
        self.weights, self.score, self.epoch = (checkpoint[BEST_SO_FAR][name] for name in ("weights", "score", "epoch"))


def copied(twin: CoreReadout) -> dict[str, Tensor]:
    """The twin's state, on the CPU and of its own."""
    return {name: value.detach().to("cpu", copy=True) for name, value in twin.state_dict().items()}


def training_settings(
    twin: CoreReadout,
    recordings: Mapping[str, Recording],
    neuron_weights: Mapping[str, Tensor],
    options: Mapping[str, Any],
) -> dict[str, Any]:
    """All that decides how a training goes, as plain JSON; see `newest_checkpoint`.

    Args:
        twin: the twin to train.
        recordings: its sessions.
        neuron_weights: how much each neuron of each session counts, (neuron,).
        options: of `retina_nb.fit`.
    """
    config = {name: part for name, part in (twin.config or {}).items() if name not in ("preset", "training", "summary")}
    settings = {
        "options": {name: options[name] for name in _DECISIVE},
        "architecture": dict(_leaves(config)),
        "weights": {name: list(value.shape) for name, value in twin.state_dict().items()},
        "trained": [name for name, parameter in twin.named_parameters() if parameter.requires_grad],
        "sessions": {
            name: {**_seen(recording), "neuron weights": neuron_weights[name].tolist()}
            for name, recording in recordings.items()
        },
    }
    return json.loads(json.dumps(settings, default=_plain))


def newest_checkpoint(folder: Path, settings: Mapping[str, Any]) -> tuple[Path, dict[str, Any]] | None:
    """The checkpoint to go on from, which is `LAST`, or `BEST` where that is missing; None if there is neither.

    Raises:
        UserError: if it is damaged, or of a training with other settings.
    """
    for path in (folder / LAST, folder / BEST):
        if path.exists():
            checkpoint = _read(path)
            _check_settings(folder, json.loads(checkpoint[SETTINGS]), settings)
            return path, checkpoint
    return None


def _read(path: Path) -> dict[str, Any]:
    try:
        return _read_plain(path)
    except UserError as error:
        best, advice = path.with_name(BEST), "call fit without resume to start again"
        if path != best and best.exists():
            try:
                epoch = _read_plain(best)["epoch"] + 1
                advice = f"delete it, and fit(resume=True) goes on from epoch {epoch}, which {best.name} holds"
            except UserError:
                advice = f"{best.name} beside it is damaged too: {advice}"
        raise UserError(f"{error}: {advice}") from None


def _read_plain(path: Path) -> dict[str, Any]:
    try:
        content = io.BytesIO(path.read_bytes())
    except OSError as error:
        raise UserError(f"cannot read {path} ({error.strerror or error})") from None
    try:
        # Tensors and plain values, or an error: nothing in the file is executed.
        checkpoint = torch.load(content, map_location="cpu", weights_only=True)
    except Exception:  # what a damaged file can raise
        raise UserError(f"{path} is damaged, or is not a checkpoint of fit") from None
    if not isinstance(checkpoint, dict) or not checkpoint.keys() >= _NEEDED:
        raise UserError(f"{path} is not a checkpoint of this version of fit")
    return checkpoint


def _check_settings(folder: Path, there: Mapping[str, Any], now: Mapping[str, Any]) -> None:
    what = f"fit(resume=True) goes on with the training in {folder}, which has"
    advice = "choose another folder for another training"
    for name, value in now["options"].items():
        if there["options"].get(name) != value:
            raise UserError(
                f"{what} {name}={there['options'].get(name)!r}, not {value!r}: {advice} (to train its twin on with "
                "other settings, resume it with its own ones first, then fit that twin into another folder)"
            )
    for part, words in (("architecture", ""), ("weights", "a twin with ")):
        for name in sorted(there[part].keys() | now[part].keys()):
            if there[part].get(name) != now[part].get(name):
                found = (there[part].get(name, "none"), now[part].get(name, "none"))
                raise UserError(f"{what} {words}{name} {found[0]}, not {found[1]}: {advice}")
    if there["trained"] != now["trained"]:
        raise UserError(f"{what} other parts of the twin frozen: freeze the same parts, or {advice}")
    if there["sessions"].keys() != now["sessions"].keys():
        raise UserError(f"{what} the sessions {_list(there['sessions'])}, not {_list(now['sessions'])}: {advice}")
    for session, seen in now["sessions"].items():
        for name, value in seen.items():
            if not _same(there["sessions"][session][name], value):
                raise UserError(f"{what} other {name} of session {session}: give the same recordings, or {advice}")


def _plain(value: Any) -> Any:
    """For JSON: a number of NumPy as one of Python, a function by its name."""
    return value.item() if isinstance(value, np.generic) else getattr(value, "__name__", type(value).__name__)


def _leaves(config: Any, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """The options of a nested configuration, with their dotted names."""
    for name, value in config.items():
        if isinstance(value, Mapping):
            yield from _leaves(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value


def _seen(recording: Recording) -> dict[str, Any]:
    """What tells one recording from another, without reading a long movie as a whole."""
    movie = recording.movie
    frames = np.unique(np.linspace(0, len(movie) - 1, _SAMPLES).astype(int))
    some = np.asarray(movie.frames[:, frames], dtype=np.float64)
    splits = (recording.split == split for split in ("train", "validation"))
    return {
        "responses": _digest(recording.responses),
        "bins": _digest(*splits, recording.frames, recording.onsets),
        "stimuli": [*movie.frames.shape, bool(recording.mirrored), *some.mean((0, 2, 3)), *some.std((0, 2, 3))],
    }


def _digest(*arrays: np.ndarray) -> str:
    digest = hashlib.sha256()
    for array in arrays:
        digest.update(f"{array.shape} {array.dtype}".encode())
        digest.update(np.ascontiguousarray(array).view(np.uint8).data)
    return digest.hexdigest()


def _same(one: Any, other: Any) -> bool:
    """Movies that another machine has made may differ in their last bits."""
    if isinstance(one, list):
        return len(one) == len(other) and all(map(_same, one, other))
    return math.isclose(one, other, rel_tol=1e-4, abs_tol=1e-4) if isinstance(one, float) else one == other


def _list(names: Mapping[str, Any]) -> str:
    return ", ".join(names)
