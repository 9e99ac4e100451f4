"""White noise."""

import numpy as np
from jaxtyping import Float


def white_noise(
    frames: int,
    size: tuple[int, int],
    *,
    channels: int = 1,
    stixel: int = 1,
    hold: int = 1,
    contrast: float = 1.0,
    rng: np.random.Generator,
) -> Float[np.ndarray, "channel time height width"]:
    """Binary dense white noise, independent in every stixel and channel.

    Args:
        frames: length in frames.
        size: (height, width) in pixels.
        channels: number of colour channels.
        stixel: side of a noise square in pixels.
        hold: frames that each noise image stays on screen.
        contrast: the noise is plus or minus this value.
        rng: source of randomness.
    """
    images, rows, columns = -(-frames // hold), -(-size[0] // stixel), -(-size[1] // stixel)
    noise = rng.integers(0, 2, (channels, images, rows, columns)) * 2 - 1
    for axis, repeat in ((1, hold), (2, stixel), (3, stixel)):
        noise = noise.repeat(repeat, axis)
    return (contrast * noise[:, :frames, : size[0], : size[1]]).astype(np.float32)
