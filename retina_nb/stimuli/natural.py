"""Movies with the statistics of natural scenes seen by a moving eye, textures that move, and sequences of images."""

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from jaxtyping import Float

from retina_nb.errors import UserError
from retina_nb.stimuli.making import Event, disc, not_negative, positive, timing, weigh
from retina_nb.stimuli.stimulus import Screen, Stimulus


def natural_movie(
    screen: Screen,
    *,
    duration: float,
    channel_correlation: float = 0.7,
    drift: float = 40.0,
    speed: float = 750.0,
    saccades: float = 1.2,
    contrast: float = 1.0,
    seed: int | np.random.Generator = 0,
) -> Stimulus:
    """A 1/f scene under a steadily moving and drifting gaze that jumps now and then.

    The amplitude spectrum of natural images falls as 1/f (Field 1987); gaze is a constant motion plus a
    random walk, and after each saccade both place and motion are new. Every saccade is an event.

    Args:
        screen: what it is for.
        duration: in seconds.
        channel_correlation: correlation between the channels' scenes.
        drift: standard deviation of the random walk after a second (µm).
        speed: mean speed of the steady motion (µm/s).
        saccades: how many there are in a second, on average.
        contrast: standard deviation of the scene.
        seed: fixes everything.

    Raises:
        UserError: if a number is not possible.
    """
    positive(duration=duration)
    not_negative(drift=drift, speed=speed, saccades=saccades)
    if not 0 <= channel_correlation <= 1:
        raise UserError(f"channel_correlation must be between 0 and 1, not {channel_correlation}")
    rng, count = np.random.default_rng(seed), max(screen.frames(duration), 1)
    scene = contrast * pink_scene(4 * max(screen.size), screen.channels, channel_correlation, rng)
    jumps = rng.random(count) < saccades / screen.rate
    jumps[:1] = True
    fixation = jumps.cumsum() - 1
    angles = rng.uniform(0, 2 * np.pi, fixation[-1] + 1)
    speeds = rng.exponential(screen.pixels(speed) / screen.rate, fixation[-1] + 1)
    motion = np.stack([np.sin(angles), np.cos(angles)]) * speeds  # (2, fixation)
    walk = screen.pixels(drift) / np.sqrt(screen.rate) * rng.standard_normal((2, count))
    places = rng.uniform(0, scene.shape[-1], (2, fixation[-1] + 1))
    gaze = (motion[:, fixation] + walk).cumsum(axis=1) + places[:, fixation]
    starts = np.append(np.flatnonzero(jumps), count) / screen.rate
    events: list[Event] = [("fixation", start, stop, {}) for start, stop in pairwise(starts)]
    parameters = {"duration": duration, "drift": drift, "speed": speed, "saccades": saccades, "contrast": contrast}
    parameters |= {"seed": seed} if isinstance(seed, int) else {}
    return Stimulus(look(scene, gaze, screen.size), screen, timing(screen, events), parameters)


def image_sequence(
    screen: Screen,
    images: Float[np.ndarray, "image channel height width"],
    *,
    duration: float = 0.3,
    gap: float = 0.3,
) -> Stimulus:
    """Images one after another, grey between them.

    Args:
        screen: what it is for.
        images: in units of contrast, of the screen's size and channels.
        duration: of each image (s).
        gap: of the grey before each image (s).

    Raises:
        UserError: if there are none, or they do not fit the screen.
    """
    positive(duration=duration)
    not_negative(gap=gap)
    images = np.asarray(images, dtype=np.float32)
    if images.ndim != 4 or not len(images) or images.shape[1:] != (screen.channels, *screen.size):
        raise UserError(
            f"the images must be (image, {screen.channels}, {screen.size[0]}, {screen.size[1]}), not {images.shape}"
        )
    pause, shown = screen.frames(gap), screen.frames(duration)
    each = np.zeros((len(images), pause + shown, screen.channels, *screen.size), dtype=np.float32)
    each[:, pause:] = images[:, None]
    frames = each.reshape(-1, *images.shape[1:]).swapaxes(0, 1)
    step = (pause + shown) / screen.rate
    events: list[Event] = [
        ("image", n * step + pause / screen.rate, (n + 1) * step, {"image": n}) for n in range(len(images))
    ]
    return Stimulus(np.ascontiguousarray(frames), screen, timing(screen, events), {"duration": duration, "gap": gap})


def moving_texture(
    screen: Screen,
    *,
    direction: float,
    speed: float = 500.0,
    grain: float = 100.0,
    duration: float = 2.0,
    before: float = 0.0,
    contrast: float = 1.0,
    colour: Sequence[float] | None = None,
    seed: int = 0,
) -> Stimulus:
    """A random texture that fills the screen, stands still and then moves.

    Args:
        screen: what it is for.
        direction: of motion (degrees).
        speed: in µm/s.
        grain: standard deviation of the blur of the texture (µm).
        duration, before: of motion, and of standing still before (s).
        contrast: standard deviation.
        colour: weight of each channel; all 1 if None.
        seed: fixes the texture.
    """
    positive(duration=duration, speed=speed)
    not_negative(before=before, grain=grain)
    time = np.clip(np.arange(screen.frames(before + duration)) / screen.rate - before, 0, None)
    moved = _moved(screen, direction, speed, time)
    frames = (
        contrast * weigh(screen, colour)[:, None, None, None] * look(_texture(screen, grain, seed), moved, screen.size)
    )
    events: list[Event] = [("motion", before, before + duration, {"direction": direction, "speed": speed})]
    parameters = {"direction": direction, "speed": speed, "grain": grain, "contrast": contrast, "seed": seed}
    return Stimulus(frames.astype(np.float32), screen, timing(screen, events), parameters)


def object_motion(
    screen: Screen,
    *,
    differential: bool,
    diameter: float = 400.0,
    center: tuple[float, float] | None = None,
    step: float = 50.0,
    grain: float = 50.0,
    duration: float = 4.0,
    still: float = 1.0,
    contrast: float = 1.0,
    colour: Sequence[float] | None = None,
    seed: int = 0,
) -> Stimulus:
    """A textured object on a textured background, both of which jitter (Ölveczky et al. 2003, Nature 423).

    The object's path is the same whether the background moves with it or on a path of its own, so that only a cell
    which compares the two can tell.

    Args:
        screen: what it is for.
        differential: whether the background has a path of its own; otherwise it moves with the object.
        diameter: of the object (µm).
        center: its place (y, x) in pixels; the middle of the screen if None.
        step: standard deviation of the random walk in a frame (µm).
        grain: standard deviation of the blur of the textures (µm).
        duration, still: of motion, and of standing still before (s).
        contrast: standard deviation.
        colour: weight of each channel; all 1 if None.
        seed: fixes textures and paths.
    """
    positive(duration=duration, diameter=diameter, step=step)
    not_negative(still=still, grain=grain)
    pause, count = screen.frames(still), screen.frames(still + duration)
    steps = screen.pixels(step) * np.random.default_rng([seed, 1]).standard_normal((2, 2, count))
    steps[..., : pause + 1] = 0
    paths = steps.cumsum(axis=-1)  # (object or background, 2, time)
    object_, background = (
        look(_texture(screen, grain, [seed, 2 + number]), path, screen.size)
        for number, path in enumerate((paths[0], paths[int(differential)]))
    )
    inside = disc(screen, diameter, center)
    movie = inside * object_ + (1 - inside) * background
    frames = (contrast * weigh(screen, colour)[:, None, None, None] * movie).astype(np.float32)
    name = "differential motion" if differential else "global motion"
    parameters = {"differential": differential, "diameter": diameter, "center": center, "step": step, "seed": seed}
    return Stimulus(frames, screen, timing(screen, [(name, still, still + duration, {})]), parameters)


def pink_scene(
    side: int, channels: int, correlation: float, rng: np.random.Generator
) -> Float[np.ndarray, "channel side side"]:
    """A periodic scene with an amplitude spectrum of 1/f and standard deviation 1 in each channel."""
    frequency = np.hypot(np.fft.fftfreq(side)[:, None], np.fft.rfftfreq(side)[None])
    frequency[0, 0] = np.inf
    shared, *own = rng.standard_normal((channels + 1, side, side))
    mixed = np.sqrt(correlation) * shared + np.sqrt(1 - correlation) * np.stack(own)
    scene = np.fft.irfft2(np.fft.rfft2(mixed) / frequency, s=(side, side))
    return scene / scene.std(axis=(1, 2), keepdims=True)


def look(
    scene: Float[np.ndarray, "channel side side"], gaze: Float[np.ndarray, "2 frame"], size: tuple[int, int]
) -> Float[np.ndarray, "channel frame height width"]:
    """A periodic scene at each gaze (y, x), interpolated linearly."""
    side = scene.shape[-1]
    corner = np.floor(gaze).astype(int)
    fraction = gaze - corner
    rows = (corner[0][:, None] + np.arange(size[0] + 1)) % side
    columns = (corner[1][:, None] + np.arange(size[1] + 1)) % side
    view = scene[:, rows[:, :, None], columns[:, None, :]]  # (channel, frame, height + 1, width + 1)
    down, right = fraction[0][:, None, None], fraction[1][:, None, None]
    view = (1 - down) * view[:, :, :-1] + down * view[:, :, 1:]
    return ((1 - right) * view[..., :-1] + right * view[..., 1:]).astype(np.float32)


def _texture(screen: Screen, grain: float, seed: int | Sequence[int]) -> Float[np.ndarray, "1 side side"]:
    """A periodic scene of blurred noise, of standard deviation 1."""
    side = 4 * max(screen.size)
    frequency = np.hypot(np.fft.fftfreq(side)[:, None], np.fft.rfftfreq(side)[None])
    blur = np.exp(-2 * (np.pi * frequency * screen.pixels(grain)) ** 2)
    noise = np.random.default_rng(seed).standard_normal((side, side))
    scene = np.fft.irfft2(np.fft.rfft2(noise) * blur, s=(side, side))
    return ((scene - scene.mean()) / scene.std())[None]


def _moved(screen: Screen, direction: float, speed: float, time: np.ndarray) -> Float[np.ndarray, "2 frame"]:
    """Gaze (y, x) under which a scene moves into a direction."""
    angle = np.deg2rad(direction)
    return (
        np.stack([np.sin(angle) * np.ones_like(time), -np.cos(angle) * np.ones_like(time)])
        * screen.pixels(speed)
        * time
    )
