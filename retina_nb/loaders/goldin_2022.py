"""Mouse and axolotl ganglion cells under flashed natural images (Goldin et al. 2022, Nature Communications 13:5556).

Images of 108 x 108 pixels were flashed for 300 ms each, and the spikes in these 300 ms counted. There is no time within
a response: a bin is an image, and every bin starts a presentation, so that no image is the history of another.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from retina_nb.errors import UserError, unknown
from retina_nb.loaders import DatasetCard
from retina_nb.loaders.choose import choose
from retina_nb.loaders.hub import dataset_folder
from retina_nb.loaders.normalize import zscore
from retina_nb.loaders.splits import label_clips, validation_clips
from retina_nb.loaders.train_test_h5 import SessionFile, read_session, timeline
from retina_nb.recording import Movie, Recording

FLASH = 0.3  # seconds

CARD = DatasetCard(
    summary="41 mouse and 48 axolotl ganglion cells, about 3000 flashed images and 30 test images, 20 to 30 trials",
    species="mouse, axolotl",
    rate=1 / FLASH,
    pixel_um=28.0,
    stimulus="natural images of 108 x 108 pixels, flashed for 300 ms",
    citation="Goldin et al. 2022, Nature Communications 13:5556, doi:10.1038/s41467-022-33242-8",
    cells=89,
)

SPECIES = ("mouse", "axolotl")


def wanted(*, species: str = "mouse", **_: Any) -> list[str]:
    """What `load` reads, as `dataset_folder` takes it."""
    if species not in SPECIES:
        raise unknown("species of goldin_2022", species, SPECIES)
    return [f"*{species}*.h5"]


def load(
    *,
    data_dir: str | Path | None = None,
    species: str = "mouse",
    sessions: Sequence[str] | None = None,
    n_validation_images: int = 640,
    seed: int = 42,
) -> dict[str, Recording]:
    """Load one recording for each session, with the responses in spikes/s.

    Images are normalised by the mean and standard deviation of all pixels of a session's training images.

    Args:
        data_dir: folder of the published files, see `dataset_folder`.
        species: one of `SPECIES`.
        sessions: names of the sessions, which are those of the files; by default all of the species.
        n_validation_images: how many of the training images are for validation.
        seed: which images.

    Raises:
        UserError: if a setting is not possible, or a file is missing, damaged or of another dataset.
    """
    pattern = wanted(species=species)[0]
    folder = dataset_folder("goldin_2022", data_dir, [pattern])
    files = {path.stem: path for path in folder.glob(pattern)}
    return {
        session: _recording(session, files[session], species, n_validation_images, seed)
        for session in choose(files, sessions, "goldin_2022")
    }


def _recording(session: str, path: Path, species: str, n_images: int, seed: int) -> Recording:
    file = read_session(path, "binned", seconds=FLASH)
    _check_average(file, path)
    n_train = len(file.train)
    images = validation_clips(n_train, 1, n_images, seed, where=f"{path}: train/stimulus")
    (train, test), mean, std = zscore(file.train_frames, file.stimulus[:, n_train:], where=f"{path}: train/stimulus")
    parts = timeline(file, label_clips(n_train, 1, images), np.arange(n_train), average=False)
    return Recording(
        session=session,
        movie=Movie(np.concatenate([train, test], axis=1), mean=mean, std=std, channels=("luminance",)),
        rate=CARD.rate,
        pixel_um=CARD.pixel_um,
        unit="spikes/s",
        neurons={} if file.cells is None else {"cell": np.array(file.cells)},
        about={"species": species, "validation_images": images},
        **parts | {"onsets": np.arange(len(parts["frames"]))},
    )


def _check_average(file: SessionFile, path: Path) -> None:
    if file.trials is not None and not np.allclose(file.trials.mean(axis=0), file.test, rtol=1e-4, atol=1e-4):
        neuron = int(np.abs(file.trials.mean(axis=0) - file.test).max(axis=0).argmax())
        raise UserError(
            f"{path}: test/response/binned is not the mean of test/repeats, first of all for neuron {neuron}; "
            "get the file again"
        )
