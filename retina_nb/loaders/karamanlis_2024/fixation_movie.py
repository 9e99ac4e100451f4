"""The natural movie: photographs moved over the screen along recorded gazes.

Blocks of running fixations, never the same, and trials of frozen ones.
"""

from dataclasses import dataclass
from functools import partial

import h5py
import numpy as np
from jaxtyping import Int64, Real

from retina_nb.errors import UserError
from retina_nb.loaders import h5
from retina_nb.loaders.gaze import distinct_views, on_screen
from retina_nb.loaders.karamanlis_2024.sessions import SCREEN, Session
from retina_nb.loaders.karamanlis_2024.statistics import cached_statistics
from retina_nb.loaders.lazy import DrawnFrames
from retina_nb.loaders.normalize import ZscoredFrames
from retina_nb.loaders.splits import label_clips, validation_clips
from retina_nb.loaders.timelines import alternating
from retina_nb.recording import Movie, Recording

KEYS = ("runningImages", "frozenImages", "runningfixations", "frozenfixations", "runningbin", "frozenbin")

_FARTHEST = 1e6  # pixels from a corner of an image at which nobody looks


@dataclass(frozen=True)
class Clips:
    """Which clips of the running blocks, laid end to end, are for validation; see `validation_clips`."""

    length: int
    n: int
    seed: int


def recording(session: Session, size: tuple[int, int], clips: Clips, *, openretina_edges: bool) -> Recording:
    """Read a session; see `load`."""
    with h5.open_h5(session.path) as file:
        running = h5.read(file, "runningbin", axes="block time neuron")
        blocks, length, n = running.shape
        frozen = h5.read(file, "frozenbin", axes="trial time neuron", shape=(None, None, n))
        running_images, frozen_images = (read_images(file, f"{part}Images") for part in ("running", "frozen"))
        gaze = _fixations(file, "runningfixations", "block time fixation", (blocks, length, 3), len(running_images))
        frozen_gaze = _fixations(file, "frozenfixations", "time fixation", (frozen.shape[1], 3), len(frozen_images))

    images = [*running_images, *frozen_images]
    fixations = np.concatenate([gaze.reshape(-1, 3), frozen_gaze + [len(running_images), 0, 0]])
    if openretina_edges:
        images, fixations = _with_edges_of_openretina(images), fixations + [0, 1, 1]
    views, frames = distinct_views(fixations)
    draw = partial(on_screen, images=images, views=views, screen=SCREEN, size=size)
    shown = DrawnFrames(draw, len(views), *size)
    mean, std = cached_statistics(shown, frames[: blocks * length], session, [views, *images])

    drawn = validation_clips(blocks * length, clips.length, clips.n, clips.seed)
    timeline = alternating(
        running,
        frames[: blocks * length].reshape(blocks, length),
        label_clips(blocks * length, clips.length, drawn).reshape(blocks, length),
        frozen,
        frames[blocks * length :],
    )
    return Recording(
        session=session.name,
        movie=Movie(ZscoredFrames(shown, mean, std), mean, std, channels=("luminance",)),
        rate=session.refresh,
        pixel_um=session.pixel_um_of(size),
        neurons=session.neurons_if(n),
        **vars(timeline),
    )


def read_images(file: h5py.File, key: str) -> Real[np.ndarray, "image height width"]:
    """Images as the screen shows them, their rows in one piece, from which they are drawn several times faster."""
    return np.ascontiguousarray(h5.read(file, key, axes="image x y").swapaxes(1, 2))


def _fixations(
    file: h5py.File, key: str, axes: str, shape: tuple[int, ...], n_images: int
) -> Int64[np.ndarray, "*bins 3"]:
    """Number of the image, counted from 0, and its x and y right of and below the middle of the screen."""
    published = h5.read(file, key, axes=axes, shape=shape)
    if (strange := np.abs(published) > _FARTHEST).any():
        raise UserError(f"{h5.place(file, key)} has a number {published[strange][0]:g}; get the file again")
    if (part := published[..., 0] % 1 != 0).any():
        raise UserError(f"{h5.place(file, key)} shows image {published[..., 0][part][0]:g}; get the file again")
    fixations = published.astype(np.int64) - [1, 0, 0]
    numbers = fixations[..., 0]
    if numbers.min() < 0 or numbers.max() >= n_images:
        wrong = numbers[(numbers < 0) | (numbers >= n_images)][0] + 1
        raise UserError(
            f"{h5.place(file, key)} shows image {wrong}, there are images 1 to {n_images}; get the file again"
        )
    return fixations


def _with_edges_of_openretina(images: list[np.ndarray]) -> list[np.ndarray]:
    return [np.pad(image, ((1, 0), (1, 0)), mode="wrap") for image in images]
