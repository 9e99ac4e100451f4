"""The runs of a sweep as tasks of Dask: handed out, awaited, and their ends, however they end."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any
from uuid import uuid4

from dask.distributed import Client, Future, KilledWorker

from retina_nb.sweeps.clusters import connected
from retina_nb.sweeps.runs import run_once

__all__ = ["connected", "ended_runs", "outcome", "threads"]

_PAUSE = 0.5  # seconds between looks at the cluster


def ended_runs(
    client: Client,
    run: Callable[..., dict[str, Any]],
    runs: Mapping[str, Mapping[str, Any]],
    look: Callable[[], None],
) -> Iterator[dict[str, Any]]:
    """The runs as they end. Those that another driver is at come last, when it is done with them.

    Args:
        client: of the cluster.
        run: does a run with some parameters, as `run_once`.
        runs: parameters by the runs' names.
        look: is called twice a second.
    """
    elsewhere: list[str] = []
    for wait in (False, True):
        names = elsewhere if wait else list(runs)
        # Keys that no other client has: two drivers at one scheduler would share tasks, and their ends. They are of one
        # group, for Dask to keep them back until a worker is free: what a worker had when it died counts against it.
        group = f"run-{uuid4().hex[:8]}"
        keys = [(group, name) for name in names]
        futures = client.map(partial(run, wait=wait), [runs[name] for name in names], key=keys, pure=False)
        of_future = dict(zip(futures, names, strict=True))
        for future in _done(client, futures, look):
            ended = outcome(future, of_future[future])
            if ended["status"] == "running":
                elsewhere.append(ended["name"])
            else:
                yield ended


def run_with(notebook: Path, folder: Path, timeout: float | None, directory: Path) -> Callable[..., dict[str, Any]]:
    """`run_once` for one sweep, as it goes to workers."""
    return partial(run_once, notebook, folder, timeout=timeout, directory=directory)


def _done(client: Client, futures: Iterable[Future], look: Callable[[], None]) -> Iterator[Future]:
    """Futures when they are done, or when they never will be because the scheduler is lost."""
    waiting = set(futures)
    queue: SimpleQueue[Future] = SimpleQueue()
    for future in waiting:
        future.add_done_callback(queue.put)
    while waiting:
        try:
            future = queue.get(timeout=_PAUSE)
        except Empty:
            if client.status != "running":
                yield from waiting
                return
            look()
            continue
        waiting.discard(future)
        yield future


def threads(client: Client) -> int:
    """How many runs can be at work."""
    try:
        return client.scheduler_info(n_workers=0).get("total_threads", 0)
    except OSError:  # no answer, as when the scheduler is just being lost
        return 0


def outcome(future: Future, name: str) -> dict[str, Any]:
    """How a run ended, as `run_once` tells it, or else what became of its task."""
    lost = {"name": name, "status": "interrupted"}
    if future.status == "finished":
        return future.result()
    if future.status != "error":
        return lost | {"error": "the scheduler was lost"}
    error = future.exception()
    if isinstance(error, KilledWorker):
        return lost | {"error": "its worker was killed, again and again"}
    return lost | {"status": "failed", "error": f"{type(error).__name__}: {error}"}
