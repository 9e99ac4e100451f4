"""Flashed photographs: each bin of a recording is one flash, not a time."""

from functools import partial

import numpy as np

from retina_nb.errors import UserError
from retina_nb.loaders import h5
from retina_nb.loaders.gaze import on_screen
from retina_nb.loaders.karamanlis_2024.fixation_movie import read_images
from retina_nb.loaders.karamanlis_2024.sessions import SCREEN, Session
from retina_nb.loaders.karamanlis_2024.statistics import cached_statistics
from retina_nb.loaders.lazy import DrawnFrames
from retina_nb.loaders.normalize import ZscoredFrames
from retina_nb.recording import UNUSED, Movie, Recording

_HELD_OUT = 0.1  # part of the photographs that is for testing, and again for validation


def recording(session: Session, size: tuple[int, int], seed: int) -> Recording:
    """Read a session; see `load`."""
    with h5.open_h5(session.path) as file:
        counts = h5.read(file, "trialCounts", axes="flash neuron")
        published = h5.read(file, "presentOrder", axes="row column").ravel()
        images = read_images(file, "imageEnsemble")
        artificial = h5.read(file, "isartificial", axes="row column", kind="fiub").ravel() != 0
        flash, background = (
            float(h5.read(file, f"rawdata/stimPara/{key}", axes="row column", shape=(1, 1))[0, 0])
            for key in ("trialduration", "backgroundIntensity")
        )
        if len(published) != len(counts):
            raise UserError(
                f"{h5.place(file, 'presentOrder')} has {len(published)} flashes, trialCounts has {len(counts)}; "
                "is the file damaged?"
            )
        known = (published % 1 == 0) & (published >= 1) & (published <= len(images))
        if len(artificial) != len(images) or not known.all():
            raise UserError(
                f"{h5.place(file, 'presentOrder')} and isartificial must be of images 1 to {len(images)}; "
                "is the file damaged?"
            )
        if flash <= 0:
            raise UserError(f"{h5.place(file, 'rawdata/stimPara/trialduration')} must be positive, not {flash:g}")

    order = published.astype(np.int64) - 1
    middle = np.array([images.shape[2] // 2, images.shape[1] // 2])  # x, y
    views = np.column_stack([np.arange(len(images)), np.tile(middle, (len(images), 1))])
    draw = partial(on_screen, images=list(images), views=views, screen=SCREEN, size=size, background=255 * background)
    shown = DrawnFrames(draw, len(images), *size)
    labels = _labels(artificial, seed)
    split = labels[order]
    mean, std = cached_statistics(shown, order[np.isin(split, ("train", "validation"))], session, [views, images])
    return Recording(
        session=session.name,
        movie=Movie(ZscoredFrames(shown, mean, std), mean, std, channels=("luminance",)),
        responses=counts,
        rate=session.refresh / flash,
        frames=order,
        split=split,
        repeats=_repeats(order, labels),
        onsets=np.arange(len(order)),
        pixel_um=session.pixel_um_of(size),
        unit="spikes/flash",
        neurons=session.neurons_if(counts.shape[1]),
    )


def _labels(artificial: np.ndarray, seed: int) -> np.ndarray:
    """What each image is for: photographs are drawn for testing and validation, artificial images are not used."""
    labels = np.where(artificial, UNUSED, "train").astype("<U10")
    drawn = np.random.default_rng(seed).permutation(np.flatnonzero(~artificial))
    held_out = round(_HELD_OUT * len(drawn))
    labels[drawn[:held_out]] = "test"
    labels[drawn[held_out : 2 * held_out]] = "validation"
    return labels


def _repeats(order: np.ndarray, labels: np.ndarray) -> dict[str, np.ndarray]:
    """For as many flashes as all test images have, the bin of every test image, (trial, image)."""
    flashes = [np.flatnonzero(order == image) for image in np.flatnonzero(labels == "test")]
    flashes = [bins for bins in flashes if len(bins)]
    if not flashes:
        return {}
    trials = min(map(len, flashes))
    return {"test": np.stack([bins[:trials] for bins in flashes], axis=1)}
