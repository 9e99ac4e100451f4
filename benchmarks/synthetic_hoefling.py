"""A dataset of the size and in the layout of Höfling 2024, of random numbers."""

import pickle
from collections.abc import Mapping
from pathlib import Path

import h5py
import numpy as np

from benchmarks.load_once import MOVIES, RESPONSES
from retina_nb.files import replace_file

# Cells that are left of every session (session_NAME) after the default filters, as published: 3,144.
_KEPT = """
1_ventral1_20200226:80 1_ventral1_20200528:42 1_ventral1_20200707:74 1_ventral1_20201021:32 1_ventral1_20201030:40
1_ventral1_20210929:48 1_ventral1_20210930:26 1_ventral2_20200302:41 1_ventral2_20200707:56 1_ventral2_20201021:39
1_ventral2_20201022:42 1_ventral2_20201030:84 1_ventral2_20201117:46 1_ventral2_20210910:44 1_ventral2_20210921:33
1_ventral2_20210929:59 1_ventral2_20210930:56 1_ventral2_20211130:35 2_ventral1_20200226:72 2_ventral1_20200303:50
2_ventral1_20200528:42 2_ventral1_20200529:29 2_ventral1_20200701:55 2_ventral1_20201021:49 2_ventral1_20201030:55
2_ventral1_20210929:44 2_ventral2_20200303:44 2_ventral2_20201016:59 2_ventral2_20201021:47 2_ventral2_20201022:48
2_ventral2_20201030:91 2_ventral2_20201117:55 2_ventral2_20210910:52 2_ventral2_20210921:38 2_ventral2_20210929:48
2_ventral2_20210930:45 2_ventral2_20211130:31 3_ventral1_20200226:75 3_ventral1_20200303:50 3_ventral1_20200529:43
3_ventral1_20201021:37 3_ventral1_20201030:48 3_ventral2_20200302:43 3_ventral2_20200701:47 3_ventral2_20200707:77
3_ventral2_20201022:51 3_ventral2_20201117:44 3_ventral2_20210910:36 3_ventral2_20210921:50 3_ventral2_20210929:31
3_ventral2_20210930:38 3_ventral2_20211130:36 4_ventral1_20201021:41 4_ventral1_20201030:5 4_ventral2_20200303:39
4_ventral2_20200707:60 4_ventral2_20201022:54 4_ventral2_20210910:30 4_ventral2_20210921:34 4_ventral2_20210929:41
4_ventral2_20211130:32 5_ventral1_20200226:71 5_ventral2_20200303:59 5_ventral2_20210910:30 5_ventral2_20210921:26
5_ventral2_20210929:44 6_ventral2_20210921:41
"""
SESSIONS = {f"session_{name}": int(n) for name, n in (one.split(":") for one in _KEPT.split())}
SIZES = {"low": (18, 16), "high": (72, 64)}

# Cells of all 67 fields that the filters drop, by reason.
_DROPPED = {"type": 3034, "quality": 980, "confidence": 705}
# Samples of each stimulus in an example of the published fields, 7.8 times a second, and when it was shown.
_SAMPLES = {"natural": 5036, "chirp": 1501, "mb": 1017}
_TRIGGERS = {
    "natural": 10 + 5.0 * np.arange(123),
    "chirp": (8 + 33.1 * np.arange(5)[:, None] + [0, 5]).ravel(),
    "mb": 8 + 4.1 * np.arange(24),
}
_STEP = 0.128  # s
_TRACES = ("inferred_spikes", "raw_traces", "smoothed_traces", "preprocessed_traces")


def write_hoefling(
    folder: Path, resolution: str, *, sessions: Mapping[str, int] = SESSIONS, size: tuple[int, int] | None = None
) -> Path:
    """Write the dataset, or what is missing of it.

    Every trace of every cell and stimulus is there as in the published file, which is not compressed here, so that
    openretina, which reads them all, is not slowed down by it. Both eyes saw the clips in each of 20 orders.

    Args:
        folder: where, as `retina_nb.load_recordings` takes it for ``data_dir``.
        resolution: ``"low"`` or ``"high"``.
        sessions: neurons of every session that are left after the filters; 1.5 times as many are dropped.
        size: height and width of the movie, if not those of the resolution.

    Returns:
        The folder.
    """
    movie, responses = folder / MOVIES[resolution], folder / RESPONSES
    if not movie.exists():
        with replace_file(movie) as temporary, open(temporary, "wb") as file:
            pickle.dump(_movie(size or SIZES[resolution]), file, protocol=4)
    if not responses.exists():
        with replace_file(responses) as temporary, h5py.File(temporary, "w") as opened:
            _write_sessions(opened, sessions)
    return folder


def _movie(size: tuple[int, int]) -> dict:
    rng = np.random.default_rng(0)
    return {
        "train": rng.standard_normal((2, 108 * 150, *size), dtype=np.float32),
        "test": rng.standard_normal((2, 5 * 150, *size), dtype=np.float32),
        "random_sequences": np.stack([rng.permutation(108) for _ in range(20)], axis=1).astype(np.uint8),
        "eye": "right",
    }


def _write_sessions(file: h5py.File, sessions: Mapping[str, int]) -> None:
    rng = np.random.default_rng(1)
    ends = np.cumsum(list(sessions.values()))
    reasons = rng.permutation(np.repeat(list(_DROPPED), list(_DROPPED.values())))
    edges = np.round(np.append(0, ends) * len(reasons) / sum(SESSIONS.values())).astype(int)
    for number, (name, kept) in enumerate(sessions.items()):
        fate = rng.permutation([*np.repeat("kept", kept), *reasons[edges[number] : edges[number + 1]]])
        group = file.create_group(name)
        group.attrs.update(
            {"eye": "left" if number // 20 % 2 else "right", "scan_sequence_idx": number % 20, "date": name[-8:],
             "exp_num": 1, "experimenter": "nobody", "field": "GCL0"}
        )  # fmt: skip
        for key, values in {**_cells(fate, rng), **_traces(len(fate), rng)}.items():
            group[key] = values


def _cells(fate: np.ndarray, rng: np.random.Generator) -> dict[str, np.ndarray]:
    n = len(fate)
    confidences = rng.uniform(0, 0.01, (n, 46)).astype(np.float32)
    kinds = np.where(fate == "type", rng.integers(33, 47, n), rng.integers(1, 33, n))
    confidences[np.arange(n), kinds - 1] = np.where(fate == "confidence", 0.2, 0.8)
    mask = np.ones((64, 64), dtype=np.float32)
    mask[:62, :62] = -np.arange(1, 962).reshape(31, 31).repeat(2, 0).repeat(2, 1)
    mask[mask < -n] = 1
    return {
        "group_assignment": kinds.astype(np.int32),
        "group_confidences": confidences,
        "d_qi": np.where(fate == "quality", 0.3, 0.8).astype(np.float32),
        "chirp_qi": np.where(fate == "quality", 0.2, 0.5).astype(np.float32),
        "roi_ids": np.arange(1, n + 1, dtype=np.int32),
        "roi_mask": mask,
        "roi_coords": np.zeros(0, dtype=np.float32),
        **{key: rng.random(n, dtype=np.float32) for key in ("ds_index", "os_index", "pref_dir", "roi_size_um2")},
    }


def _traces(n: int, rng: np.random.Generator) -> dict[str, np.ndarray]:
    traces = {}
    for prefix, samples in _SAMPLES.items():
        for kind in _TRACES:
            values = rng.standard_normal((n, samples), dtype=np.float32)
            traces[f"{prefix}_{kind}"] = np.maximum(values - 1, 0) if kind == "inferred_spikes" else values
        times = 1.9 + rng.uniform(0, _STEP, (n, 1)) + _STEP * np.arange(samples)
        traces[f"{prefix}_traces_times"] = times.astype(np.float32)
        traces[f"{prefix}_trigger_times"] = np.tile(_TRIGGERS[prefix].astype(np.float32), (n, 1))
    return traces
