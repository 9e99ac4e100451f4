"""Load Höfling 2024 once and make its first training batch: run by `benchmarks.loading`, in a process of its own.

``python -m benchmarks.load_once ours|peer FOLDER low|high [ORDERS]`` prints a line of JSON. With fewer than 20 orders,
the peer makes fewer copies of the movie.
"""

# mypy: disable-error-code="import-not-found"

import dataclasses
import json
import sys
import time
from collections.abc import Iterator
from math import prod
from pathlib import Path
from typing import Any

from benchmarks.machine import memory_mb

RESPONSES = "responses/rgc_natstim_2024-08-14.h5"
MOVIES = {
    "low": "stimuli/rgc_natstim_18x16_joint_normalized_2024-01-11.pkl",
    "high": "stimuli/rgc_natstim_72x64_joint_normalized_2024-10-11.pkl",
}
VALIDATION = [0, 4, 10, 11, 18, 30, 45, 62, 67, 77, 79, 80, 81, 83, 95]
BATCH, LAG, OUTPUTS = 32, 30, 20  # chunks of 50 frames, openretina's defaults


def ours(folder: Path, resolution: str, orders: int) -> Iterator[dict]:
    """Our imports, our loading, our first batch; what is known at each of these points."""
    from retina_nb.loaders.batches import SharedBatches
    from retina_nb.loaders.hoefling_2024 import load

    yield {}
    recordings = load(data_dir=folder, resolution=resolution)
    frames: Any = next(iter(recordings.values())).movie.frames
    yield {
        "neurons": sum(one.n_neurons for one in recordings.values()),
        "sessions": len(recordings),
        "movie_mb": frames.dtype.itemsize * prod(frames.shape) / 1e6,
        "responses_mb": sum(one.responses.nbytes for one in recordings.values()) / 1e6,
    }
    batches = SharedBatches(recordings, split="train", lag=LAG, chunk_size=OUTPUTS, batch_size=BATCH, seed=0)
    yield {"batch": list(next(iter(batches)).stimulus.shape)}


def peer(folder: Path, resolution: str, orders: int) -> Iterator[dict]:
    """The same by openretina, with the settings that it is trained with."""
    from openretina.data_io.cyclers import LongCycler
    from openretina.data_io.hoefling_2024.dataloaders import natmov_dataloaders_v2
    from openretina.data_io.hoefling_2024.responses import filter_responses, make_final_responses
    from openretina.data_io.hoefling_2024.stimuli import movies_from_pickle
    from openretina.utils.h5_handling import load_h5_into_dict

    yield {}
    movies = movies_from_pickle(folder / MOVIES[resolution])
    kept = filter_responses(
        load_h5_into_dict(folder / RESPONSES),
        filter_cell_types=True,
        cell_types_list=list(range(1, 33)),
        filter_counts=False,
    )
    responses = make_final_responses(kept, response_type="natural")
    del kept
    yield {"neurons": sum(one.n_neurons for one in responses.values()), "sessions": len(responses)}
    sequences = movies.random_sequences[:, :orders]
    movies = dataclasses.replace(movies, test_dict={}, test=movies.test_movie, random_sequences=sequences)
    for one in responses.values():
        one.session_kwargs["scan_sequence_idx"] %= orders
    loaders = natmov_dataloaders_v2(responses, movies, VALIDATION, train_chunk_size=LAG + OUTPUTS, batch_size=BATCH)
    _, batch = next(iter(LongCycler(loaders["train"])))
    yield {"batch": list(batch.inputs.shape)}


def main(who: str, folder: str, resolution: str, orders: str = "20") -> None:
    steps = {"ours": ours, "peer": peer}[who](Path(folder), resolution, int(orders))
    facts = next(steps)
    imported, started, cpu = memory_mb(), time.perf_counter(), time.process_time()
    facts |= next(steps)
    loaded = time.perf_counter() - started
    facts |= next(steps)
    facts |= {"load_s": loaded, "seconds": time.perf_counter() - started, "cpu_s": time.process_time() - cpu}
    print(json.dumps(facts | {"imported_mb": imported, "peak_mb": memory_mb("VmHWM")}))


if __name__ == "__main__":
    main(*sys.argv[1:])
