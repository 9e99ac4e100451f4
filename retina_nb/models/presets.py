"""Twins by name: architectures as YAML files in ``presets/``, changed by overrides."""

from collections.abc import Sequence
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

    if name not in preset_names():
        raise unknown("preset", name, preset_names())
    with initialize_config_dir(str(_FOLDER), version_base="1.3"):
        try:
            config = compose(name, overrides=list(overrides))
        except HydraException as error:
            reason = str(error).splitlines()[0].rstrip(".")
            raise UserError(f"overrides {list(overrides)} do not fit preset {name}: {reason}") from None
    return OmegaConf.to_container(config, resolve=True)  # type: ignore[return-value]


def preset_names() -> list[str]:
    """The presets' names, sorted."""
    return sorted(file.stem for file in _FOLDER.glob("*.yaml"))
