"""White noise."""

import numpy as np

from retina_nb.errors import UserError, unknown
from retina_nb.stimuli.making import positive, timing
from retina_nb.stimuli.stimulus import Screen, Stimulus

KINDS = ("binary", "gaussian", "sparse")


def white_noise(
    screen: Screen,
    *,
    duration: float,
    stixel: int = 1,
    hold: int = 1,
    kind: str = "binary",
    density: float = 0.05,
    contrast: float = 1.0,
    seed: int | np.random.Generator = 0,
) -> Stimulus:
    """White noise, independent in every stixel and channel (Chichilnisky 2001).

    Args:
        screen: what it is for.
        duration: in seconds.
        stixel: side of a noise square in pixels.
        hold: frames that each noise image stays on screen.
        kind: ``"binary"`` (plus or minus the contrast), ``"gaussian"`` (of this standard deviation), or ``"sparse"``
            (a few squares of plus or minus the contrast on grey).
        density: share of squares that are not grey in sparse noise.
        contrast: see `kind`.
        seed: fixes the noise.

    Raises:
        UserError: if there is no such kind, or a number is not possible.
    """
    positive(duration=duration, stixel=stixel, hold=hold)
    if kind not in KINDS:
        raise unknown("kind of noise", kind, KINDS)
    if not 0 < density <= 1:
        raise UserError(f"density must be above 0 and at most 1, not {density}")
    rng, count = np.random.default_rng(seed), screen.frames(duration)
    images, rows, columns = -(-count // hold), -(-screen.size[0] // stixel), -(-screen.size[1] // stixel)
    shape = (screen.channels, images, rows, columns)
    noise = rng.standard_normal(shape) if kind == "gaussian" else rng.integers(0, 2, shape) * 2 - 1
    if kind == "sparse":
        noise = noise * (rng.random(shape) < density)
    for axis, repeat in ((1, hold), (2, stixel), (3, stixel)):
        noise = noise.repeat(repeat, axis)
    frames = (contrast * noise[:, :count, : screen.size[0], : screen.size[1]]).astype(np.float32)
    parameters = {"duration": duration, "stixel": stixel, "hold": hold, "kind": kind, "contrast": contrast}
    parameters |= {"density": density} if kind == "sparse" else {}
    parameters |= {"seed": seed} if isinstance(seed, int) else {}
    return Stimulus(frames, screen, timing(screen, [("noise", 0.0, duration, {})]), parameters)
