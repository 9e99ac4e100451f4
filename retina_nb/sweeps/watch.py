"""How far a sweep is, for people: a line that changes in a terminal or a notebook, lines in a log."""

import shutil
import sys
import time
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from retina_nb.sweeps.records import read_results, scalars


class SweepProgress:
    """Counts runs as they end, and shows it.

    Args:
        runs: how many there are to do.
        before: how many were complete before.
        best: the result of which the largest value so far is shown.
        names: the parameters that tell runs apart.
    """

    def __init__(self, runs: int, before: int, best: str, names: Sequence[str]) -> None:
        self.runs, self.before, self.best, self.names = runs, before, best, names
        self.ended: Counter[str] = Counter()
        self.running = 0
        self.leader = ""
        self.top = float("-inf")
        self.started = time.monotonic()
        self.shell = _notebook()
        self.lively = self.shell is None and sys.stderr.isatty()
        self.shown = ""

    def announce(self, line: str) -> None:
        """Say something that stays."""
        if self.shell is not None:
            self.shell.display_pub.publish({"text/plain": line})
        else:
            print(line, file=sys.stderr, flush=True)

    def end(self, run: Mapping[str, Any]) -> None:
        """A run ended, however."""
        self.ended[run["status"]] += 1
        if run["status"] == "complete":
            self._compare(run)
        elif not self.lively and self.shell is None:
            self.announce(f"{run['name']} is {run['status']}: {run.get('error')}")
        self.show()

    def show(self, running: int | None = None) -> None:
        """Show how far it is; `running` if it is known how many runs are at it."""
        self.running = self.running if running is None else running
        line = self.line()
        if self.shell is not None:
            options = {"transient": {"display_id": f"sweep-{id(self)}"}, "update": bool(self.shown)}
            self.shell.display_pub.publish({"text/plain": line}, **options)
        elif self.lively:
            width = shutil.get_terminal_size().columns - 1  # a longer line could not be taken back
            print(f"\r\x1b[K{line[:width]}", end="", file=sys.stderr, flush=True)
        elif running is None:
            print(line, file=sys.stderr, flush=True)
        self.shown = line

    def close(self) -> None:
        if self.lively and self.shown:
            print(file=sys.stderr)

    def line(self) -> str:
        complete = self.before + self.ended["complete"]
        running = min(self.running, self.runs - self.ended.total())
        parts = [f"{complete}/{self.before + self.runs} runs complete", f"{running} running"]
        parts += [
            f"{self.ended[status]} {status}" for status in ("pruned", "failed", "interrupted") if self.ended[status]
        ]
        parts += [self.leader] if self.leader else []
        return ", ".join([*parts, self._time_left()])

    def _time_left(self) -> str:
        done, seconds = self.ended.total(), time.monotonic() - self.started
        if done == self.runs:
            return f"done in {duration(seconds)}"
        return f"{duration(seconds / done * (self.runs - done))} left" if done else f"{duration(seconds)} so far"

    def _compare(self, run: Mapping[str, Any]) -> None:
        value = scalars(read_results(Path(run["folder"]))).get(self.best)
        if isinstance(value, int | float) and value > self.top:
            self.top = value
            self.leader = f"best {self.best} {value:.4g} ({label(run['parameters'], self.names)})"


def label(parameters: Mapping[str, Any], names: Iterable[str]) -> str:
    """What tells a run apart from others."""
    return ", ".join(f"{name}={parameters[name]}" for name in names) or "the only one"


def duration(seconds: float) -> str:
    """A time as people say it."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def _notebook() -> Any:
    """The shell of the notebook in which this is executed, if it is one."""
    shells = sys.modules.get("ipykernel.zmqshell")
    if shells is None or not shells.ZMQInteractiveShell.initialized():
        return None
    return shells.ZMQInteractiveShell.instance()
