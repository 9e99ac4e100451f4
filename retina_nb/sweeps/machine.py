"""What a run has at its disposal, and what it takes of it."""

import os
import subprocess
import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # reading what was run does without it
    import psutil

_PAUSE = 0.2  # seconds between looks at memory


def gpus() -> list[str]:
    """The graphics cards that this process may use, as CUDA_VISIBLE_DEVICES has them: numbers or identifiers."""
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is not None:
        return [one.strip() for one in visible.split(",") if one.strip() not in ("", "-1")]
    return [line.split(",")[0] for line in _nvidia_smi()]


def device() -> str:
    """What a run here computes on: the names of its graphics cards, or ``"cpu"``."""
    seen = gpus()
    if not seen:
        return "cpu"
    names = dict(line.split(", ", 1) for line in _nvidia_smi())
    return ", ".join(names.get(one, one) for one in seen)


def _nvidia_smi() -> list[str]:
    """``number, name`` for each graphics card."""
    command = ["nvidia-smi", "--query-gpu=index,name", "--format=csv,noheader"]
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True, timeout=30).stdout.splitlines()
    except (OSError, subprocess.SubprocessError):
        return []


class PeakMemory:
    """The most memory that a process and its children held together, looked at five times a second.

    As a context; `watch` tells it which process, and `gb` is the peak so far.
    """

    def __init__(self) -> None:
        self.gb = 0.0
        self._process: psutil.Process | None = None
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)

    def watch(self, pid: int) -> None:
        import psutil

        try:
            self._process = psutil.Process(pid)
        except psutil.Error:  # it is dead already
            self._process = None

    def __enter__(self) -> "PeakMemory":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _look(self) -> None:
        while not self._over.wait(_PAUSE):
            if self._process is not None:
                self.gb = max(self.gb, _held(self._process) / 1e9)


def _held(process: "psutil.Process") -> int:
    import psutil

    held = 0
    try:
        for one in [process, *process.children(recursive=True)]:
            held += one.memory_info().rss
    except psutil.Error:  # one ended meanwhile
        pass
    return held
