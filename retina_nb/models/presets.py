"""Twins by name: architectures as YAML files in ``presets/``, changed by overrides."""

import re
from collections.abc import Iterable, Mapping, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from retina_nb.errors import UserError, unknown

_FOLDER = Path(__file__).parents[1] / "presets"


def load_preset(name: str, overrides: Sequence[str] = ()) -> dict[str, Any]:
    """A preset as nested dictionaries.

    Args:
        name: one of `retina_nb.presets()`.
        overrides: changes in Hydra's syntax, e.g. ``["core.hidden_channels=[8,8]", "training.learning_rate=0.01"]``.

    Raises:
        UserError: if there is no such preset, or an override matches nothing in it.
    """
    from hydra import compose, initialize_config_dir
    from hydra.errors import HydraException
    from omegaconf import OmegaConf

    if isinstance(overrides, str):
        raise UserError(f"overrides must be a list, write [{overrides!r}]")
    if name not in preset_names():
        raise unknown("preset", name, preset_names())
    with initialize_config_dir(str(_FOLDER), version_base="1.3"):
        try:
            config = compose(name, overrides=list(overrides))
        except HydraException as error:
            reason = str(error).splitlines()[0].rstrip(".") + _closest(str(error), compose(name))
            raise UserError(f"overrides {list(overrides)} do not fit preset {name}: {reason}") from None
    return OmegaConf.to_container(config, resolve=True)  # type: ignore[return-value]


def _closest(complaint: str, preset: Mapping[str, Any]) -> str:
    """The value of a preset that a name in Hydra's complaint may be meant for."""
    named = re.search(r"Could not override '([^']+)'", complaint)
    known = [f"{part}.{option}" for part in preset for option in _options(preset[part])]
    close = get_close_matches(named[1], known, n=1) if named else []
    return f"; did you mean {close[0]!r}?" if close else ""


def _options(part: Any) -> Iterable[str]:
    return map(str, part) if isinstance(part, Mapping) else ()


def preset_names() -> list[str]:
    """The presets' names, sorted."""
    return sorted(file.stem for file in _FOLDER.glob("*.yaml"))
