"""Session files with a train and a test stimulus, and the responses to both: a layout of the open-retina collection.

``train/stimulus`` and ``test/stimulus`` are (frame, height, width); ``train/response/KIND`` and
``test/response/KIND`` (neuron, bin), the latter averaged over trials; ``test/repeats/cellN`` (trial, bin) for every
neuron, or ``test/repeats/KIND`` (trial, neuron, bin).
"""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from jaxtyping import Float32, Real

from retina_nb.errors import UserError
from retina_nb.loaders import h5


@dataclass(frozen=True)
class SessionFile:
    """What a session's file holds."""

    stimulus: Real[np.ndarray, "1 frame height width"]  # as stored: the train frames, then the test frames
    train: Float32[np.ndarray, "train_time neuron"]
    test: Float32[np.ndarray, "test_time neuron"]  # averaged over trials
    trials: Float32[np.ndarray, "trial test_time neuron"] | None
    cells: list[int] | None  # their numbers, if the file tells

    @property
    def train_frames(self) -> Real[np.ndarray, "1 train_time height width"]:
        return self.stimulus[:, : len(self.train)]


def read_session(path: Path, response: str, *, seconds: float = 1.0, surplus: int = 0) -> SessionFile:
    """Read a session's file.

    Args:
        path: the file.
        response: the kind of response to take.
        seconds: what responses are divided by, e.g. the length of a bin to make rates of counts.
        surplus: so many bins may follow the end of the test stimulus; they are left out.

    Raises:
        UserError: naming the file and the key, if anything is missing, damaged or does not fit together.
    """
    with h5.open_h5(path) as file:
        train = h5.read(file, "train/stimulus", axes="frame height width")
        test = h5.read(file, "test/stimulus", axes="frame height width", shape=(None, *train.shape[1:]))
        to_train = h5.read(file, f"train/response/{response}", axes="neuron bin", shape=(None, len(train)))
        n = len(to_train)
        to_test = _test_bins(file, f"test/response/{response}", "neuron bin", (n, None), len(test), surplus)
        trials, cells = _trials(file, response, n, len(test), surplus)
        return SessionFile(
            stimulus=np.concatenate([train, test])[None],
            train=_as_rates(to_train, seconds),
            test=_as_rates(to_test, seconds),
            trials=None if trials is None else _as_rates(trials, seconds),
            cells=cells,
        )


def timeline(file: SessionFile, labels: np.ndarray, onsets: np.ndarray, *, average: bool) -> dict[str, Any]:
    """What a `Recording` needs of its bins: the train stimulus, and each trial of the test stimulus.

    Args:
        file: what the session's file holds.
        labels: (train_time,) ``"train"`` or ``"validation"``.
        onsets: bins of the train stimulus at which a presentation starts; every trial is one.
        average: whether the published average over trials follows them, as a repeated stimulus of one trial that is
            called ``"test_average"`` and is in no split.
    """
    n_train, n_test = file.train_frames.shape[1], len(file.test)
    presentations = [file.test] if file.trials is None else [*file.trials]
    n_trials = len(presentations)
    if average and file.trials is not None:
        presentations.append(file.test)
    bins = n_train + np.arange(len(presentations) * n_test).reshape(-1, n_test)
    split = np.concatenate([labels, np.where(np.arange(len(bins)) < n_trials, "test", "").repeat(n_test)])
    repeats = {} if file.trials is None else {"test": bins[:n_trials]}
    return {
        "responses": np.concatenate([file.train, *presentations]),
        "frames": np.concatenate([np.arange(n_train), *[n_train + np.arange(n_test)] * len(bins)]),
        "split": split,
        "onsets": np.concatenate([onsets, bins[:, 0]]),
        "repeats": repeats | ({"test_average": bins[n_trials:]} if len(bins) > n_trials else {}),
    }


def _trials(
    file: h5py.File, response: str, n: int, n_test: int, surplus: int
) -> tuple[np.ndarray | None, list[int] | None]:
    """(trial, neuron, bin) the responses to each trial, and the numbers of the cells; None where there are none."""
    there = h5.keys(h5.group(file, "test/repeats")) if "repeats" in h5.keys(h5.group(file, "test")) else []
    if not there:
        return None, None
    if response in there:
        axes, shape = "trial neuron bin", (None, n, None)
        return _test_bins(file, f"test/repeats/{response}", axes, shape, n_test, surplus), None
    cells = {int(number[1]): key for key in there if (number := re.fullmatch(r"cell_?(\d+)", key))}
    if len(cells) != n:
        raise UserError(
            f"{h5.place(file, 'test/repeats')} has repeats of {len(cells)} cells, there are responses of {n} to "
            f"test/response/{response}; get the file again"
        )
    numbers = sorted(cells)
    each = [
        _test_bins(file, f"test/repeats/{cells[number]}", "trial bin", (None, None), n_test, surplus)
        for number in numbers
    ]
    if len({len(trials) for trials in each}) > 1:
        raise UserError(
            f"{h5.place(file, 'test/repeats')} has different numbers of trials for different cells, "
            f"{sorted({len(trials) for trials in each})}; get the file again"
        )
    return np.stack(each, axis=1), numbers


def _test_bins(
    file: h5py.File, key: str, axes: str, shape: tuple[int | None, ...], n_test: int, surplus: int
) -> np.ndarray:
    values = h5.read(file, key, axes=axes, shape=shape)
    if not n_test <= values.shape[-1] <= n_test + surplus:
        raise UserError(
            f"{h5.place(file, key)} has {values.shape[-1]} bins, test/stimulus has {n_test} frames; get the file again"
        )
    return values[..., :n_test]


def _as_rates(values: np.ndarray, seconds: float) -> np.ndarray:
    """(..., neuron, bin) in any numbers -> (..., bin, neuron) float32."""
    with np.errstate(over="ignore"):  # infinite rates are found later
        return np.ascontiguousarray(np.swapaxes(values / seconds, -1, -2).astype(np.float32))
