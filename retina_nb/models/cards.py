"""The card of a model: what it is, what it was trained on, how good it is, in lines for a person."""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from torch import nn

import retina_nb


def card(model: Any) -> str:
    """The card of a twin or another model, from what its file keeps."""
    return "\n".join(f"{name:<12} {value}" for name, value in _lines(model))


def _lines(model: Any) -> Iterator[tuple[str, str]]:
    about = model.about
    yield "model", ", ".join(filter(None, (model.kind.replace("_", "-"), _architecture(model))))
    yield (
        "parameters",
        f"{_count(model):,}" + (f", {_count(model.core):,} in the core" if hasattr(model, "core") else ""),
    )
    if getattr(model, "stimulus_shape", None):
        channel, height, width = model.stimulus_shape
        yield "stimulus", f"{channel} channels x {height} x {width} pixels{_of(about.get('pixel_um'), ' of {:g} µm')}"
    if hasattr(model, "lag"):
        yield "time", f"lag of {model.lag} bins{_of(about.get('rate_hz'), ' at {:g} Hz')}{_future(model)}"
    mean, std = about.get("stimulus_mean"), about.get("stimulus_std")
    if mean is not None and std is not None:
        yield "units", f"stimulus (grey level - {mean:g}) / {std:g}; response in {about.get('unit') or 'unknown units'}"
    if neurons := about.get("neurons"):
        yield "cells", f"{sum(neurons.values())} in {len(neurons)} sessions{_of(about.get('species'), ' of {}')}"
    if speeds := about.get("session_speeds"):
        yield "speeds", f"of sessions, {min(speeds.values()):.3g} to {max(speeds.values()):.3g}: kept, not used"
    for score in _scores(about.get("scores") or {}):
        yield "score", score
    for correction in about.get("corrections") or ():
        yield "corrected", correction
    yield "made by", about.get("source") or f"retina_nb {retina_nb.__version__}"


def _architecture(model: Any) -> str:
    config = model.config or {}
    if config and "core" not in config:  # a model of another kind than a twin
        return ""
    parts = [config[part]["kind"].replace("_", " ") for part in ("core", "readout") if part in config]
    preset = f"preset {config['preset']}: " if config.get("preset") else ""
    return preset + (" core and ".join(parts) + " readout" if len(parts) == 2 else "parts made by hand")


def _count(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


def _future(model: Any) -> str:
    ahead = getattr(model, "lookahead", 0)
    if ahead:
        return f"; NOT CAUSAL: sees {ahead} bins of the future"
    return "; causal" if model.config else ""  # of parts made by hand nothing is known


def _of(value: Any, text: str) -> str:
    return "" if value is None else text.format(value)


def _scores(scores: Mapping[str, Any]) -> Iterator[str]:
    if "sessions" in scores:
        values = np.concatenate([np.zeros(0), *(np.ravel(values) for values in scores["sessions"].values())])
        if not values.size:
            return
        yield f"{scores['metric']}: median {np.nanmedian(values):.3f} over {len(values)} cells, by its authors"
        return
    for metric, value in scores.items():
        score = value.get("twin") if isinstance(value, Mapping) else value
        if score is not None and np.size(score):
            yield f"{metric}: {np.nanmedian(score):.3g} (median on test stimuli)"
