"""Memory of the loaders that make frames where they are looked at, at two lengths of the movie.

``python -m benchmarks lazy_movies`` makes the datasets and prints a table. ``python -m benchmarks lazy_movies DATASET
FOLDER`` loads one of them and makes three batches, and prints a line of JSON.
"""

import json
import pickle
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from benchmarks.machine import measured, memory_mb
from retina_nb.files import replace_file

BATCHES = 3
# Blocks of a thousand frames (Karamanlis), trials of 2500 (Sridhar). Statistics of shorter movies than these are taken
# in one piece.
LENGTHS = {"karamanlis_2024": (4, 16), "sridhar_2025": (5, 20)}
SETTINGS: dict[str, dict[str, Any]] = {
    "karamanlis_2024": {},
    "sridhar_2025": {"excluded_cells": {}, "locations": False},
}
_NEURONS = 5


def write_karamanlis(folder: Path, blocks: int) -> None:
    """A session of so many blocks of a thousand frames, and ten trials of 500."""
    rng = np.random.default_rng(0)
    images, length, test_length = 40, 1000, 500

    def gaze(*bins: int) -> np.ndarray:
        number, x, y = (rng.integers(low, high, bins) for low, high in ((1, images + 1), (400, 801), (300, 601)))
        return np.stack([number, x, y], axis=-1)

    with replace_file(folder / "mouse_s1" / "fixationmovie_data.mat") as path, h5py.File(path, "w") as file:
        for part in ("running", "frozen"):
            file[f"{part}Images"] = rng.integers(0, 256, (images, 1200, 900), dtype=np.uint8)
        file["runningfixations"], file["frozenfixations"] = gaze(blocks, length), gaze(test_length)
        file["runningbin"] = rng.poisson(0.3, (blocks, length, _NEURONS)).astype(np.float64)
        file["frozenbin"] = rng.poisson(0.3, (10, test_length, _NEURONS)).astype(np.float64)


def write_sridhar(folder: Path, trials: int) -> None:
    """A retina with so many trials of 2500 frames, and ten of the frozen movie."""
    rng = np.random.default_rng(0)
    root, images, length, test_length = folder / "natural_movie", 400, 2500, 5100
    for number in range(images):
        with replace_file(root / "stimuli_padded_4" / f"{number:05d}_img_{number}.npy") as path:
            np.save(path, rng.integers(0, 256, (350, 300), dtype=np.uint8))
    lines = test_length + length * trials
    views = np.stack([rng.integers(0, images, lines), rng.integers(50, 151, lines), rng.integers(25, 126, lines)])
    with replace_file(root / "fixations" / "complete_fixations_seed_2022and2023_s4_fixed.txt") as path:
        path.write_text("".join(f"{i}.0 {n} 0 {x}.0 {y}.0 {n % 2}\n" for n, (i, x, y) in enumerate(views.T)))
    responses = {
        "train_responses": rng.poisson(0.3, (_NEURONS, length, trials)).astype(np.float64),
        "test_responses": rng.poisson(0.3, (_NEURONS, test_length, 10)).astype(np.float64),
    }
    with replace_file(root / "responses" / "cell_responses_01_fixation_movie.pkl") as path:
        path.write_bytes(pickle.dumps(responses))


WRITERS: dict[str, Callable[[Path, int], None]] = {
    "karamanlis_2024": write_karamanlis,
    "sridhar_2025": write_sridhar,
}


def measure(folder: Path, wait_s: float) -> dict[str, list[dict[str, Any]]]:
    """For each dataset, what loading and three batches need at both lengths; files in `folder` are used again."""
    found: dict[str, list[dict[str, Any]]] = {}
    for dataset, lengths in LENGTHS.items():
        for length in lengths:
            place = folder / f"{dataset}_{length}"
            if not (place / "whole").exists():
                WRITERS[dataset](place, length)
                (place / "whole").touch()
            with tempfile.TemporaryDirectory() as cache:  # so that statistics are worked out
                command = [sys.executable, "-m", "benchmarks", "lazy_movies", dataset, str(place)]
                run = measured(command, wait_s=wait_s, environment={"RETINA_NB_CACHE": cache})
            found.setdefault(dataset, []).append(run)
    return found


def main(arguments: Sequence[str]) -> None:
    """Load one dataset; without a name, measure all."""
    if arguments:
        _once(*arguments)
    else:
        print(table(measure(Path("runs/bench/files"), wait_s=10)))


def table(found: Mapping[str, Iterable[dict[str, Any]]]) -> str:
    """Memory at two lengths of the movie."""
    lines = [f"{'drawn where looked at':<22}{'bins':>8}{'movie':>10}{'net peak':>12}{'responses, labels':>20}"]
    for dataset, runs in found.items():
        for run in runs:
            if "failed" in run:
                lines.append(f"{dataset:<22}{run['failed']}")
            else:
                lines.append(
                    f"{dataset:<22}{run['bins']:8d}{run['movie_mb']:7.0f} MB{run['net_mb']:9.0f} MB"
                    f"{run['responses_and_labels_mb']:17.1f} MB"
                )
    return "\n".join(lines)


def _once(dataset: str, folder: str) -> None:
    from retina_nb.loaders import load_recordings
    from retina_nb.loaders.batches import SharedBatches

    import_module(f"retina_nb.loaders.{dataset}")
    imported, started = memory_mb(), time.perf_counter()
    recordings = load_recordings(dataset, data_dir=folder, **SETTINGS[dataset])
    loaded_mb, loaded = memory_mb("VmHWM"), time.perf_counter() - started
    batches = iter(SharedBatches(recordings, split="train", lag=30, chunk_size=50, batch_size=16, seed=0))
    for _ in range(BATCHES):
        next(batches)
    (recording,) = recordings.values()
    held = [recording.responses, recording.frames, recording.split, *recording.repeats.values()]
    facts = {
        "bins": len(recording),
        "movie_mb": len(recording.movie) * 4 * np.prod(recording.movie.frame_shape) / 1e6,
        "responses_and_labels_mb": sum(one.nbytes for one in held) / 1e6,
        "load_mb": loaded_mb - imported,
        "net_mb": memory_mb("VmHWM") - imported,
        "load_s": loaded,
        "seconds": time.perf_counter() - started,
    }
    print(json.dumps(facts))
