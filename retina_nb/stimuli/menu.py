"""Stimuli by name, for those who choose one from a list and change its parameters."""

from collections.abc import Callable
from typing import Any

from retina_nb.errors import unknown
from retina_nb.stimuli.flashes import chirp, flash
from retina_nb.stimuli.motion import drifting_grating, moving_bar, reversing_grating
from retina_nb.stimuli.natural import natural_movie
from retina_nb.stimuli.noise import white_noise
from retina_nb.stimuli.spots import annulus, spot
from retina_nb.stimuli.stimulus import Screen, Stimulus

_PLACE, _PAINT = ("down", "right"), ("contrast", "colour")
# For each stimulus its generator, what is fixed, and what can be changed; "down" and "right" are where its centre is.
_MENU: dict[str, tuple[Callable[..., Stimulus], dict[str, Any], tuple[str, ...]]] = {
    "flash": (flash, {"before": 0.5}, _PAINT),
    "spot": (spot, {"before": 0.5}, ("diameter", *_PLACE, *_PAINT)),
    "annulus": (annulus, {"before": 0.5}, ("inner", "outer", *_PLACE, *_PAINT)),
    "moving bar": (moving_bar, {}, ("direction", "speed", "width", "length", *_PLACE, *_PAINT)),
    "drifting grating": (drifting_grating, {"before": 0.5}, ("direction", "wavelength", "frequency", *_PAINT)),
    "reversing grating": (
        reversing_grating,
        {"before": 0.5},
        ("direction", "wavelength", "frequency", "phase", *_PAINT),
    ),
    "chirp": (chirp, {}, _PAINT),
    "white noise": (white_noise, {"duration": 4.0}, ("stixel", "contrast", "seed")),
    "natural movie": (natural_movie, {"duration": 4.0}, ("speed", "contrast", "seed")),
}


def stimulus_names() -> list[str]:
    """The names that `stimulus_by_name` knows."""
    return list(_MENU)


def parameters_of(name: str) -> tuple[str, ...]:
    """What of a stimulus can be changed.

    Raises:
        UserError: if there is no such stimulus.
    """
    if name not in _MENU:
        raise unknown("stimulus", name, _MENU)
    return _MENU[name][2]


def stimulus_by_name(
    name: str,
    screen: Screen,
    *,
    place: tuple[float, float] | None = None,
    down: float = 0.0,
    right: float = 0.0,
    **parameters: Any,
) -> Stimulus:
    """A stimulus that is chosen from a list, a few seconds of it.

    Args:
        name: one of `stimulus_names`.
        screen: what it is for.
        place: (y, x) of what it is shown to (pixels); the middle of the screen if None.
        down, right: from there to the stimulus's centre (µm), for those that have one.
        parameters: of its generator, some or all of `parameters_of`; the others have the generator's defaults.

    Raises:
        UserError: if there is no such stimulus, or a parameter is not its, or not possible.
    """
    known = parameters_of(name)
    for one in parameters:
        if one not in known:
            raise unknown(f"parameter of the stimulus {name!r}", one, known)
    make, fixed, _ = _MENU[name]
    if "down" in known:
        y, x = place or screen.middle
        parameters["center"] = (y + screen.pixels(down), x + screen.pixels(right))
    return make(screen, **fixed, **parameters)
