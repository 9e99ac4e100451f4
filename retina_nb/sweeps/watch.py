"""How far a sweep is, for people: a line that changes in a terminal or a notebook, lines in a log."""

import re
import shutil
import sys
import time
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from retina_nb.sweeps.records import scalars
from retina_nb.sweeps.report import cell
from retina_nb.sweeps.runs import read_results

_SHARE = re.compile(r"epoch \d+/\d+|\d+ ?%")  # of what a run prints


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
        self.doing: Mapping[str, str] = {}
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

    def show(self, doing: Mapping[str, str] | None = None) -> None:
        """Show how far it is; `doing` if it is known which runs are at work, each with the last line it printed."""
        self.doing = self.doing if doing is None else doing
        line = self.line()
        if self.shell is not None:
            options = {"transient": {"display_id": f"sweep-{id(self)}"}, "update": bool(self.shown)}
            self.shell.display_pub.publish({"text/plain": line}, **options)
        elif self.lively:
            width = shutil.get_terminal_size().columns - 1  # a longer line could not be taken back
            print(f"\r\x1b[K{line[:width]}", end="", file=sys.stderr, flush=True)
        elif doing is None:
            print(line, file=sys.stderr, flush=True)
        self.shown = line

    def close(self) -> None:
        if self.lively and self.shown:
            print(f"\r\x1b[K{self.shown}", file=sys.stderr)

    def line(self) -> str:
        complete = self.before + self.ended["complete"]
        left = self.runs - self.ended.total()
        running = min(len(self.doing), left)
        parts = [f"{complete}/{self.before + self.runs} runs complete"]
        parts += [f"{running} running, {left - running} waiting"] if left else []
        parts += [
            f"{self.ended[status]} {status}" for status in ("pruned", "failed", "interrupted") if self.ended[status]
        ]
        parts += [self.leader] if self.leader else []
        shares = [f"{one}: {found[0]}" for one, line in self.doing.items() if (found := _SHARE.search(line))]
        return "; ".join([", ".join([*parts, self._time_left()]), *(shares if left else [])])

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
    return ", ".join(f"{name}={cell(parameters[name])}" for name in names) or "the only one"


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
