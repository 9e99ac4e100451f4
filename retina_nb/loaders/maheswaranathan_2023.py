"""Salamander ganglion cells under natural scenes and white noise (Maheswaranathan et al. 2023, Neuron 111:2742).

Jittered natural images, or white noise checkers, of 50 x 50 pixels; stimulus and responses are binned at 10 ms. The
training stimulus of an hour was shown in blocks of ten minutes, by the laboratory's own code (deepretina,
``NUM_BLOCKS``): every block starts with an onset. The test stimulus of a minute was shown several times. The response
to it has one bin more than the stimulus has frames in some files: they are aligned at the start, and the last bin is
left out.

Trials are published apart from the averaged response, and not for every kind of response. So a recording has both: the
trials as repeats of ``"test"``, and the published average as the one repeat of ``"test_average"``.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from retina_nb.errors import UserError, unknown
from retina_nb.loaders import DatasetCard
from retina_nb.loaders.choose import choose
from retina_nb.loaders.hub import dataset_folder
from retina_nb.loaders.normalize import ZscoredFrames, mean_and_std
from retina_nb.loaders.splits import label_clips, validation_clips
from retina_nb.loaders.train_test_h5 import read_session, timeline
from retina_nb.loaders.unzip import unpacked
from retina_nb.recording import Movie, Recording

CARD = DatasetCard(
    summary="50 salamander ganglion cells, an hour of training stimulus, a minute of test stimulus in 5 to 10 trials",
    species="salamander",
    rate=100.0,
    pixel_um=50.0,
    stimulus="jittered natural images or white noise, 50 x 50 pixels",
    citation="Maheswaranathan et al. 2023, Neuron 111:2742, doi:10.1016/j.neuron.2023.06.007",
    cells=50,
)

STIMULI = ("naturalscene", "whitenoise")
RESPONSES = ("firing_rate_5ms", "firing_rate_10ms", "firing_rate_20ms", "binned")

_ARCHIVE = "neural_code_data.zip"
_BLOCK = 60_000  # bins, about: the blocks of session 15-10-07 have 59,967


def wanted(**_: Any) -> list[str]:
    """What `load` reads, as `dataset_folder` takes it."""
    return [_ARCHIVE]


def load(
    *,
    data_dir: str | Path | None = None,
    stimulus: str = "naturalscene",
    response: str = "firing_rate_10ms",
    sessions: Sequence[str] | None = None,
    n_validation_clips: int = 20,
    clip_length: int = 90,
    seed: int = 42,
) -> dict[str, Recording]:
    """Load one recording for each session.

    The movie is kept in the bytes of the file, and normalised by the mean and standard deviation of all pixels of the
    training stimulus where it is looked at.

    Args:
        data_dir: folder of the published files, see `dataset_folder`.
        stimulus: one of `STIMULI`.
        response: one of `RESPONSES`: firing rates (spikes/s) smoothed with a Gaussian of this width, or spike counts.
        sessions: names of the sessions, e.g. ``["15-10-07"]``; by default all.
        n_validation_clips: how many clips of the training stimulus are for validation.
        clip_length: length of these clips in frames.
        seed: which clips.

    Raises:
        UserError: if a setting is not possible, or a file is missing, damaged or of another dataset.
    """
    if stimulus not in STIMULI:
        raise unknown("stimulus of maheswaranathan_2023", stimulus, STIMULI)
    if response not in RESPONSES:
        raise unknown("response of maheswaranathan_2023", response, RESPONSES)
    content = unpacked(dataset_folder("maheswaranathan_2023", data_dir, wanted()) / _ARCHIVE)
    inside = content.rglob("*.h5") if content.is_dir() else [content]
    files = {path.parent.name: path for path in inside if path.name == f"{stimulus}.h5"}
    if not files:
        raise UserError(f"maheswaranathan_2023: {content} has no file SESSION/{stimulus}.h5; get it again")
    return {
        session: _recording(session, files[session], response, n_validation_clips, clip_length, seed)
        for session in choose(files, sessions, "maheswaranathan_2023")
    }


def _recording(session: str, path: Path, response: str, n_clips: int, clip_length: int, seed: int) -> Recording:
    file = read_session(path, response, surplus=1)
    n_train = len(file.train)
    clips = validation_clips(n_train, clip_length, n_clips, seed, where=f"{path}: train/stimulus")
    mean, std = mean_and_std(file.train_frames, where=f"{path}: train/stimulus")
    return Recording(
        session=session,
        movie=Movie(ZscoredFrames(file.stimulus, mean, std), mean=mean, std=std, channels=("luminance",)),
        rate=CARD.rate,
        pixel_um=CARD.pixel_um,
        unit="spikes/bin" if response == "binned" else "spikes/s",
        neurons={} if file.cells is None else {"cell": np.array(file.cells)},
        about={"stimulus": path.stem, "response": response, "validation_clips": clips},
        **timeline(file, label_clips(n_train, clip_length, clips), _blocks(n_train), average=True),
    )


def _blocks(n_train: int) -> np.ndarray:
    """The first bin of every block of the training stimulus."""
    blocks = max(1, round(n_train / _BLOCK))
    return np.arange(blocks) * (n_train // blocks)
