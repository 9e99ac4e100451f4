"""Measuring on a machine that others use: wait until it is quiet, and tell how busy it was."""

import json
import os
import platform
import resource
import subprocess
import time
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

QUIET = 0.15  # cores that others may use while something is measured
_LOOK = 1.0  # seconds


def busy_seconds() -> float:
    """Core-seconds that all processes have used since the machine was started."""
    user, nice, system, _, _, irq, softirq, steal = map(int, Path("/proc/stat").read_text().split()[1:9])
    return (user + nice + system + irq + softirq + steal) / os.sysconf("SC_CLK_TCK")


def memory_mb(name: str = "VmRSS") -> float:
    """Memory of this process now (``"VmRSS"``), or at most until now (``"VmHWM"``), in MB of 1e6 bytes."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(f"{name}:")) * 1024 / 1e6


def available_mb() -> float:
    """Memory that the machine has left."""
    lines = Path("/proc/meminfo").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("MemAvailable:")) * 1024 / 1e6


def wait_until_quiet(limit_s: float) -> float:
    """Wait until others use less than `QUIET` cores, at most so long; gives how long it was (s). Not at all if 0."""
    if limit_s <= 0:
        return 0.0
    started = time.monotonic()
    while True:
        before, then = busy_seconds(), time.monotonic()
        time.sleep(_LOOK)
        used = (busy_seconds() - before) / (time.monotonic() - then)
        waited = time.monotonic() - started
        if used < QUIET or waited >= limit_s:
            return waited


def measured(
    command: Sequence[str], *, wait_s: float, most_mb: float | None = None, environment: Mapping[str, str] | None = None
) -> dict[str, Any]:
    """Run a command that prints a line of JSON last, in a quiet moment if there is one.

    Args:
        command: the command.
        wait_s: how long to wait for a quiet moment.
        most_mb: memory that it may take, so that it does not bring down the machine.
        environment: variables to set besides those of this process.

    Returns:
        What it prints, and how long was waited (``waited_s``) and how many cores others used meanwhile
        (``others``); or the end of what it says in ``failed``.
    """
    waited = wait_until_quiet(wait_s)
    before, usage, then = busy_seconds(), _children(), time.monotonic()
    done = subprocess.run(
        command,
        capture_output=True,
        text=True,
        env={**os.environ, **(environment or {})},
        preexec_fn=None if most_mb is None else partial(_limit_memory, most_mb),
    )
    seconds = time.monotonic() - then
    others = max(0.0, (busy_seconds() - before - (_children() - usage)) / seconds)
    about = {"waited_s": round(waited, 1), "others": round(others, 2)}
    if done.returncode:
        return about | {"failed": (done.stderr.strip().splitlines() or [f"exit status {done.returncode}"])[-1]}
    return about | json.loads(done.stdout.splitlines()[-1])


def _limit_memory(most_mb: float) -> None:
    resource.setrlimit(resource.RLIMIT_DATA, (int(most_mb * 1e6),) * 2)


def _children() -> float:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def describe() -> dict[str, Any]:
    """The machine, in a few words."""
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    model = next((line.split(":")[1].strip() for line in lines if line.startswith("model name")), platform.machine())
    total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9
    return {
        "processor": model,
        "cores": len(os.sched_getaffinity(0)),
        "memory_gb": round(total, 1),
        "system": platform.platform(),
        "python": platform.python_version(),
    }
