"""What a model file holds, to be changed and written again as if it had been saved so."""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from safetensors.torch import save_file


def contents(path: Path) -> tuple[dict[str, Any], dict[str, torch.Tensor]]:
    """Its description and its tensors."""
    with safe_open(path, "pt") as file:
        return json.loads(file.metadata()["retina_nb"]), {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118


def sealed(path: Path, card: Any, tensors: Mapping[str, torch.Tensor]) -> Path:
    """Write a description (or its text) and tensors with the checksum that belongs to them."""
    text = card if isinstance(card, str) else json.dumps(card)
    digest = hashlib.sha256(text.encode())
    for name, value in sorted(tensors.items()):
        digest.update(
            f"{name} {value.dtype} {tuple(value.shape)}".encode() + value.flatten().view(torch.uint8).numpy().tobytes()
        )
    save_file(dict(tensors), path, metadata={"retina_nb": text, "sha256": digest.hexdigest()})
    return path
