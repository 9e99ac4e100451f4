"""A simulated retina with known ground truth: the embedded default dataset."""

import hashlib
import inspect
import json
import sys
import zlib
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from zipfile import BadZipFile

import numpy as np
import pandas as pd
import torch

from retina_nb.errors import UserError, unknown
from retina_nb.loaders import DatasetCard
from retina_nb.loaders.cache import keep, one_at_a_time
from retina_nb.loaders.download import cache_dir
from retina_nb.loaders.simulated import cells, movies, truth
from retina_nb.loaders.simulated.cells import place_cells
from retina_nb.loaders.simulated.movies import CLIP_FRAMES
from retina_nb.loaders.simulated.truth import Truth
from retina_nb.recording import Movie, Recording
from retina_nb.stimuli import Screen, making, motion, natural, noise

CARD = DatasetCard(
    summary="mouse-like ganglion cells of twelve types with known receptive fields, delays and noise",
    species="simulated (mouse)",
    rate=30.0,
    pixel_um=50.0,
    stimulus="natural-like scenes, white noise, bars, gratings and full-field flicker; green and UV",
    citation="retina_nb",
    cells=120,
    size_mb=0.0,
    licence="MIT",
)
# What reading a damaged archive of arrays can raise.
_DAMAGED = (
    *(OSError, ValueError, EOFError, LookupError, TypeError, AttributeError, RuntimeError, MemoryError),
    *(BadZipFile, zlib.error),
)

RATE, PIXEL_UM, MARGIN = CARD.rate, CARD.pixel_um, 4.5


def load(
    *,
    sessions: int = 4,
    cells_per_session: int = 30,
    orders: int = 2,
    clips: int = 75,
    test_clips: int = 5,
    repeats: int = 10,
    size: tuple[int, int] = (18, 16),
    noise: str = "poisson",
    seed: int = 0,
) -> dict[str, Recording]:
    """Simulate recordings. Sessions share one movie, shown in different clip orders as in Höfling 2024.

    Args:
        sessions: number of sessions.
        cells_per_session: recorded cells in each, drawn evenly from the types.
        orders: number of clip orders; sessions take turns.
        clips: clips of 5 s for training; every sixth is for validation.
        test_clips: clips of the test movie.
        repeats: how often the test movie is shown, spread over the session.
        size: (height, width) in pixels of 50 µm.
        noise: ``"poisson"`` spikes or ``"gaussian"`` calcium-like noise.
        seed: fixes everything.

    Raises:
        UserError: if a number is too small to simulate.
    """
    settings = dict(locals())
    _, recordings = _simulate(settings)
    return recordings


def load_truth(**settings: object) -> Truth:
    """The truth behind ``load(**settings)``.

    Raises:
        UserError: if there is no such setting (the closest one is named), or a number is too small to simulate.
    """
    return _simulate(settings)[0]


def _simulate(settings: dict) -> tuple[Truth, dict[str, Recording]]:
    defaults = {name: parameter.default for name, parameter in inspect.signature(load).parameters.items()}
    for name in settings:
        if name not in defaults:
            raise unknown("setting of dataset simulated", name, defaults)
    settings = defaults | settings
    settings["size"] = tuple(settings["size"])
    _check(settings)
    size, seed = settings["size"], settings["seed"]
    names = [f"simulated_{number + 1}" for number in range(settings["sessions"])]
    tables = {
        name: place_cells(
            settings["cells_per_session"], size, PIXEL_UM, MARGIN, np.random.default_rng([seed, 1, number])
        )
        for number, name in enumerate(names)
    }
    model = Truth(tables, size=size, pixel_um=PIXEL_UM, rate=RATE, noise=settings["noise"])
    made = _cached(settings, lambda: _run(model, settings), _shapes(model, settings))
    model.load_state_dict({name: torch.from_numpy(made[f"truth/{name}"]) for name in model.state_dict()})
    movie = Movie(made["movie"], channels=("green", "UV"))
    recordings = {
        name: _recording(name, movie, made[f"responses/{name}"], order, settings, tables[name])
        for name, order in zip(names, _orders(settings), strict=True)
    }
    return model, recordings


def _check(settings: dict) -> None:
    least = {"sessions": 1, "cells_per_session": 1, "orders": 1, "clips": 6, "test_clips": 1, "repeats": 1}
    for name, value in least.items():
        if not isinstance(settings[name], int | np.integer):
            raise UserError(f"simulated: {name} must be a whole number, not {settings[name]!r}")
        if settings[name] < value:
            raise UserError(f"simulated: {name} must be at least {value}, not {settings[name]}")
    if min(settings["size"]) < 2 * MARGIN + 2:
        raise UserError(f"simulated: size must be at least 11 x 11 pixels, not {settings['size']}")


def _orders(settings: dict) -> list[np.ndarray]:
    """For each session, the order in which it saw the training clips."""
    orders = [
        np.random.default_rng([settings["seed"], 2, n]).permutation(settings["clips"])
        for n in range(settings["orders"])
    ]
    return [orders[session % len(orders)] for session in range(settings["sessions"])]


def _timeline(order: np.ndarray, settings: dict) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Clip on screen and split label of every stretch of one clip, and the stretches of each repeat (repeat, clip).

    Test clips follow the training clips in the movie; their repeats are spread evenly over the session.
    """
    test = settings["clips"] + np.arange(settings["test_clips"])
    blocks = np.array_split(order, settings["repeats"])
    shown = np.concatenate([np.concatenate([test, block]) for block in blocks])
    label = np.where(shown >= settings["clips"], "test", np.where(shown % 6 == 5, "validation", "train"))
    repeats = np.flatnonzero(shown >= settings["clips"]).reshape(settings["repeats"], -1)
    return shown, label, repeats


def _bins(stretches: np.ndarray) -> np.ndarray:
    """All bins of stretches of one clip, (..., stretch) -> (..., stretch * CLIP_FRAMES)."""
    return (stretches[..., None] * CLIP_FRAMES + np.arange(CLIP_FRAMES)).reshape(*stretches.shape[:-1], -1)


def _recording(
    name: str, movie: Movie, responses: np.ndarray, order: np.ndarray, settings: dict, table: pd.DataFrame
) -> Recording:
    shown, label, repeats = _timeline(order, settings)
    return Recording(
        session=name,
        movie=movie,
        responses=responses,
        rate=RATE,
        frames=_bins(shown),
        split=label.repeat(CLIP_FRAMES),
        repeats={"test": _bins(repeats)},
        pixel_um=PIXEL_UM,
        neurons={column: table[column].to_numpy() for column in table},
    )


def _run(model: Truth, settings: dict) -> dict[str, np.ndarray]:
    """Draw the movie, calibrate the truth on it and let the cells respond."""
    seed = settings["seed"]
    screen = Screen(settings["size"], RATE, PIXEL_UM, 2)
    drawn = movies.clips(settings["clips"] + settings["test_clips"], screen, np.random.default_rng([seed, 3]))
    movie = drawn.swapaxes(0, 1).reshape(drawn.shape[1], -1, *settings["size"])
    # Calibrated on a part of the movie that has every kind of clip, to be quick.
    part = torch.from_numpy(movie[None, :, : 30 * CLIP_FRAMES])
    count = settings["sessions"] * settings["cells_per_session"]
    explainable = np.random.default_rng([seed, 4]).uniform(0.25, 0.65, count)
    model.calibrate(part, torch.from_numpy(explainable).float())
    made = {"movie": movie}
    for number, (name, order) in enumerate(zip(model.sessions, _orders(settings), strict=True)):
        frames = _bins(_timeline(order, settings)[0])
        stimulus = np.pad(movie[:, frames], ((0, 0), (model.lag, 0), (0, 0), (0, 0)))  # grey before the session
        expected = model(torch.from_numpy(stimulus)[None], name)[0]
        noise = torch.Generator().manual_seed(1000 * seed + number)
        made[f"responses/{name}"] = model.respond(expected, name, noise).numpy()
    return made | {f"truth/{name}": value.numpy() for name, value in model.state_dict().items()}


def _cached(
    settings: dict, make: Callable[[], dict[str, np.ndarray]], shapes: Mapping[str, tuple[int, ...]] | None = None
) -> dict[str, np.ndarray]:
    """The arrays for some settings, of these shapes at least: from the cache, or made and kept there."""
    here = sys.modules[__name__]
    source = "".join(inspect.getsource(one) for one in (here, cells, movies, truth, making, motion, natural, noise))
    key = hashlib.sha256((json.dumps(settings, sort_keys=True) + source).encode()).hexdigest()[:16]
    path = cache_dir() / "simulated" / f"{key}.npz"
    known = _stored(path, shapes or {})
    if known is None:
        with one_at_a_time(path):
            known = _stored(path, shapes or {})  # another process may have made it meanwhile
            if known is None:
                known = make()
                keep(path, partial(_store, known))
    return known


def _store(arrays: dict[str, np.ndarray], path: Path) -> None:
    with path.open("wb") as file:
        np.savez(file, allow_pickle=False, **arrays)


def _stored(path: Path, shapes: Mapping[str, tuple[int, ...]]) -> dict[str, np.ndarray] | None:
    """The arrays in a file of the cache; None, so that they are made again, if it is missing, damaged or another's."""
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as stored:
            found = dict(stored)
    except _DAMAGED:
        return None
    whole = bool(found) and all(isinstance(array, np.ndarray) for array in found.values())
    fits = whole and all(name in found and found[name].shape == shape for name, shape in shapes.items())
    return found if fits else None


def _shapes(model: Truth, settings: dict) -> dict[str, tuple[int, ...]]:
    """The shapes of what `_run` makes."""
    clips, test_clips, repeats = (settings[name] for name in ("clips", "test_clips", "repeats"))
    time = (clips + test_clips * repeats) * CLIP_FRAMES
    return (
        {"movie": (2, (clips + test_clips) * CLIP_FRAMES, *settings["size"])}
        | {f"responses/{name}": (time, settings["cells_per_session"]) for name in model.sessions}
        | {f"truth/{name}": tuple(value.shape) for name, value in model.state_dict().items()}
    )
