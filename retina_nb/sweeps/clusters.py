"""Where the runs of a sweep are computed: Dask on this machine, at an address, or through SLURM."""

import logging
import os
import shutil
import signal
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import dask
import psutil
from dask.distributed import Client, Nanny, Scheduler, SpecCluster
from dask.system import CPU_COUNT

from retina_nb.errors import UserError
from retina_nb.sweeps.machine import gpus

RUN_GB = 2.0  # that a run may take, where nobody says how many there shall be at once
_THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
_LOGS = logging.CRITICAL  # of Dask: what matters of it, the sweep tells
_SAFE = "PYTHONSAFEPATH"
_SECONDS = 20  # for a scheduler to answer


@contextmanager
def connected(
    runs: int, *, workers: int | None = None, scheduler: str | None = None, slurm: Mapping[str, Any] | None = None
) -> Iterator[Client]:
    """A Dask client for a sweep, with a cluster of its own unless there is one at an address.

    Args:
        runs: how many there are to do.
        workers: processes, of which each does a run at a time; by default one for each graphics card, or else as many
            as there are cores, and memory for.
        scheduler: the address of a Dask scheduler, ``tcp://host:8786``, that has its workers.
        slurm: what ``dask_jobqueue.SLURMCluster`` is told, for a cluster of `workers` jobs.

    Raises:
        UserError: if both a scheduler and SLURM are asked for, nobody answers, or dask-jobqueue is missing or refuses.
    """
    if workers is not None and workers < 1:
        raise UserError(f"a sweep needs at least one worker, not {workers}")
    if scheduler is not None and (slurm is not None or workers is not None):
        raise UserError("a scheduler has its own workers: leave out workers and slurm, or the scheduler")
    if scheduler is not None:
        with _client(scheduler) as client:
            yield client
        return
    with dask.config.set({"distributed.scheduler.worker-saturation": 1.0}):  # no run waits at a worker
        start = _local(runs, workers) if slurm is None else _slurm(slurm, workers or runs)
    with start as cluster, _client(cluster) as client:
        yield client


def runs_at_once(runs: int, *, workers: int | None, scheduler: str | None, slurm: Mapping[str, Any] | None) -> int:
    """How many runs would be at work; one where only the scheduler knows."""
    if scheduler is not None:
        return 1
    return len(local_workers(runs, workers)) if slurm is None else workers or runs


def job_script(slurm: Mapping[str, Any]) -> str:
    """What SLURM would be told for each worker.

    Raises:
        UserError: if dask-jobqueue is missing or refuses.
    """
    with _slurm(slurm) as cluster:
        return cluster.job_script()


def threads_each(workers: int) -> dict[str, str]:
    """The environment in which that many processes share the cores. What is set already stays."""
    return {name: os.environ.get(name, str(max(1, CPU_COUNT // workers))) for name in _THREADS}


def local_workers(runs: int, workers: int | None) -> dict[int, Any]:
    """The workers on this machine, as Dask specifies them."""
    cards = gpus()
    free = psutil.virtual_memory().available / 1e9
    workers = min(workers or len(cards) or min(CPU_COUNT, max(1, int(free / RUN_GB))), max(1, runs))
    nannies = {}
    for worker in range(workers):
        environment = threads_each(workers) | ({"CUDA_VISIBLE_DEVICES": cards[worker % len(cards)]} if cards else {})
        # Memory is what kernels take, of which Dask knows nothing.
        options = {"nthreads": 1, "memory_limit": 0, "env": environment, "host": "127.0.0.1", "silence_logs": _LOGS}
        nannies[worker] = {"cls": Nanny, "options": options}
    return nannies


@contextmanager
def _local(runs: int, workers: int | None) -> Iterator[SpecCluster]:
    here = {"host": "127.0.0.1", "port": 0, "dashboard_address": "127.0.0.1:0"}
    scheduler = {"cls": Scheduler, "options": here}
    # A file of the working folder must not pass for a standard module in workers; Dask leaves the variable behind.
    unsafe = os.environ.get(_SAFE)
    try:
        with dask.config.set({f"distributed.nanny.pre-spawn-environ.{_SAFE}": "1"}), _ctrl_c_is_ours():
            cluster = SpecCluster(workers=local_workers(runs, workers), scheduler=scheduler, silence_logs=_LOGS)
        with cluster:
            yield cluster
    finally:
        os.environ.pop(_SAFE, None)
        os.environ |= {} if unsafe is None else {_SAFE: unsafe}


@contextmanager
def _ctrl_c_is_ours() -> Iterator[None]:
    """Have the threads and processes that are started here leave Ctrl-C, which a terminal sends to all, to this one."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _slurm(options: Mapping[str, Any], jobs: int = 0) -> Any:
    try:
        from dask_jobqueue import SLURMCluster
    except ImportError:
        raise UserError("SLURM needs the package dask-jobqueue: pip install 'retina_nb[cluster]'") from None
    if jobs and shutil.which("sbatch") is None:
        raise UserError("there is no SLURM here (no command sbatch): start this on the cluster, or leave out slurm")
    cores = int(options.get("cores", 1))
    threads = [f"export {name}={cores}" for name in _THREADS]
    prologue = [*threads, *options.get("job_script_prologue", [])]
    ours = {"cores": 1, "processes": 1, "job_cpu": cores, "job_script_prologue": prologue}  # a run at a time
    usual = {"memory": "4GB", "silence_logs": _LOGS, "scheduler_options": {"dashboard_address": ":0"}}  # any free port
    try:
        cluster = SLURMCluster(**{**usual, **options, **ours})
    except (TypeError, ValueError) as error:
        raise UserError(f"SLURM cannot be asked for {dict(options)}: {error}") from None
    if jobs:
        cluster.scale(jobs=jobs)
    return cluster


def _client(where: Any) -> Client:
    try:
        return Client(where, timeout=_SECONDS, set_as_default=False)
    except (OSError, ValueError) as error:
        raise UserError(f"no Dask scheduler answers at {where}: {error or 'not in time'}") from None
