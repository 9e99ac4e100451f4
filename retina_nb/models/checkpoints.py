"""Twins on disk: safetensors for the weights, JSON for the rest. Nothing in a file is ever executed."""

import json
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

import retina_nb
from retina_nb.errors import UserError
from retina_nb.files import replace_file
from retina_nb.models.core_readout import CoreReadout

_KEY = "retina_nb"


def save_twin(twin: CoreReadout, path: str | Path) -> Path:
    """Write a twin to `path`; see `CoreReadout.save`."""
    card = {
        "config": twin.config,
        "stimulus_shape": twin.stimulus_shape,
        "about": twin.about,
        "versions": {"retina_nb": retina_nb.__version__, "torch": torch.__version__},
    }
    weights = {name: value.detach().contiguous().cpu() for name, value in twin.state_dict().items()}
    with replace_file(path) as temporary:
        save_file(weights, temporary, metadata={_KEY: json.dumps(card, default=_plain)})
    return Path(path)


def load_twin(path: str | Path, device: str | torch.device = "cpu", **parts: Any) -> CoreReadout:
    """Read a twin that was saved with `CoreReadout.save`, ready to predict.

    Args:
        path: a ``.safetensors`` file.
        device: where to put it.
        parts: ``core=`` and ``readout=`` modules of the right shapes, for a twin that was made of parts by hand.

    Raises:
        UserError: if the file is missing, damaged, not a twin, or of other shapes than its parts.
    """
    from retina_nb.models.presets import assemble

    weights, card = _read(Path(path))
    shape = card["stimulus_shape"] and tuple(card["stimulus_shape"])
    if parts:
        twin = CoreReadout(**parts, stimulus_shape=shape, about=card["about"])
    elif card["config"] is None:
        raise UserError(
            f"{path}: this twin was made of parts by hand, give them as load_twin(path, core=..., readout=...)"
        )
    else:
        twin = assemble(card["config"], shape, card["about"])
    expected = twin.state_dict()
    for name in sorted(expected.keys() ^ weights.keys()):
        raise UserError(
            f"{path}: {name} is {'missing' if name in expected else 'of another model'}; give the parts it has"
        )
    for name, value in expected.items():
        if value.shape != weights[name].shape:
            raise UserError(
                f"{path}: {name} has shape {tuple(weights[name].shape)}, the model needs {tuple(value.shape)}"
            )
    twin.load_state_dict(weights)
    return twin.to(device).eval()


def _read(path: Path) -> tuple[dict[str, torch.Tensor], dict[str, Any]]:
    if not path.is_file():
        raise UserError(f"no twin at {path}: check the path")
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            weights = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  # not a dict
    except (SafetensorError, OSError) as error:
        raise UserError(f"{path} is damaged or not a safetensors file ({error}); save or copy it again") from None
    try:
        card = json.loads(metadata[_KEY])
        missing = {"config", "stimulus_shape", "about"} - card.keys()
    except (KeyError, ValueError, AttributeError):
        missing = {_KEY}
    if missing:
        raise UserError(f"{path} holds tensors but is not a twin of retina_nb: its metadata lack {sorted(missing)[0]}")
    return weights, card


def _plain(value: Any) -> Any:
    """NumPy numbers and arrays as JSON."""
    return value.tolist()
