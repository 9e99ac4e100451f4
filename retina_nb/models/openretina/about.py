"""What a checkpoint of OpenRetina says of the recordings, in our words."""

import logging
import math
import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from retina_nb.models.openretina.pickled import plain

# What a published file does not say, and who uses it has to know.
_ASKED = ("rate_hz", "pixel_um")
_VALUES = (str, bool, int, float, np.number, np.bool_)


def describe(data_info: Mapping[str, Any], neurons: Mapping[str, int], shape: Sequence[int], place: str) -> dict:
    """What `CoreReadout.about` holds, from the `data_info` of a checkpoint.

    Numbers that are known to be wrong are corrected, which is said in the log and in ``about["corrections"]``; what is
    missing is asked for by name.

    Args:
        data_info: of the checkpoint.
        neurons: number of neurons of each session.
        shape: (channel, height, width) of the stimuli.
        place: what to call the file.
    """
    about: dict[str, Any] = {
        "neurons": dict(neurons),
        "rate_hz": _number(data_info.get("stimulus_rate_hz", data_info.get("response_rate_hz"))),
        "pixel_um": _number(data_info.get("retina_pixel_size_um")),
        "unit": None,
        "stimulus_mean": _number(data_info.get("stim_mean")),
        "stimulus_std": _number(data_info.get("stim_std")),
        "channels": [],
        "source": f"OpenRetina checkpoint {place}",
        "corrections": [],
    }
    if tuple(shape) == (2, 18, 16) and about["pixel_um"] == 12.5:
        about["pixel_um"] = 50.0
        about["corrections"] = ["pixel_um: the file says 12.5, stimuli of 18 x 16 pixels have 50"]
    for ours, theirs in (("species", "animal_species"), ("stimulus", "stimulus_class")):
        if isinstance(value := plain(data_info.get(theirs)), str):
            about[ours] = value
    if sessions := _sessions(data_info):
        about["sessions"] = sessions
    if scores := _scores(data_info.get("pretrained_performance")):
        metric = plain(data_info.get("pretrained_performance_metric"))
        about["scores"] = {"metric": metric if isinstance(metric, str) else "correlation", "sessions": scores}
    _say(about, data_info, place)
    return about


def keep_speeds(about: dict[str, Any], speeds: Mapping[str, float], place: str) -> None:
    """Keep the speeds of its sessions as ``about["session_speeds"]``, and say what they are for.

    Their core has them, but their core-readout model does not tell the core of which session a stimulus is, so that
    every prediction is at speed 1, in training as well. Ours does the same.
    """
    about["session_speeds"] = dict(speeds)
    logging.getLogger(__name__).warning(
        "%s has a speed for each session (%.3g to %.3g), kept in about['session_speeds']; predictions are at speed 1, "
        "as those of its authors' model are",
        place,
        min(speeds.values()),
        max(speeds.values()),
    )


def _say(about: Mapping[str, Any], data_info: Mapping[str, Any], place: str) -> None:
    log = logging.getLogger(__name__)
    for correction in about["corrections"]:
        log.warning("%s: corrected %s", place, correction)
    missing = [name for name in _ASKED if about[name] is None]
    if missing:
        log.warning(
            "%s does not say %s; give what you know as load_twin(..., about={%s})",
            place,
            " and ".join(missing),
            ", ".join(f'"{name}": ...' for name in missing),
        )


def _number(value: Any) -> float | None:
    """A finite number, also from texts like ``"85Hz"``; None from anything else."""
    value = plain(value)
    if isinstance(value, str):
        match = re.fullmatch(r"\s*([0-9.]+)\s*(hz|um|µm)?\s*", value, re.IGNORECASE)
        value = float(match[1]) if match else None
    if isinstance(value, Tensor | np.ndarray):
        value = value.item() if math.prod(value.shape) == 1 else None
    if isinstance(value, int | float | np.number) and math.isfinite(value):
        return float(value)
    return None


def _scores(said: Any) -> dict[str, np.ndarray]:
    """Values of the neurons of each session, where they are numbers."""
    found = {str(session): _simple(plain(values)) for session, values in said.items()} if isinstance(said, dict) else {}
    arrays = {session: np.asarray(values) for session, values in found.items()}
    return {session: values for session, values in arrays.items() if values.dtype.kind in "biuf"}


def _sessions(data_info: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """What is known of each session, such as the eye, ROI numbers and cell types."""
    known = data_info.get("sessions_kwargs") or {}
    return {
        str(session): {str(name): _simple(plain(value)) for name, value in values.items()}
        for session, values in known.items()
        if isinstance(values, Mapping) and values
    }


def _simple(value: Any) -> Any:
    """Arrays, texts, numbers, and lists of them, which a model file can hold; None in place of anything else."""
    if isinstance(value, Tensor):
        return value.float().numpy() if value.dtype == torch.bfloat16 else value.numpy()
    if isinstance(value, list | tuple):
        return [one if isinstance(one, _VALUES) else None for one in map(plain, value)]
    return (
        value if isinstance(value, _VALUES) or (isinstance(value, np.ndarray) and value.dtype.kind in "biufU") else None
    )
