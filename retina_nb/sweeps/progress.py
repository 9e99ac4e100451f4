"""How far a running notebook is."""

import re
from collections.abc import Mapping
from typing import Any, TextIO

import nbformat
from tqdm import tqdm

_LOOKS: dict[str, Any] = {
    "dynamic_ncols": True,
    "bar_format": "{desc} |{bar:20}| {n}/{total} cells, {elapsed}{postfix}",
}


class CellProgress:
    """A bar over the cells with the running section and its last printed line; plain lines where no one watches.

    Args:
        cells: how many code cells there are.
        stream: where to show it: a terminal, a log.
    """

    def __init__(self, cells: int, stream: TextIO) -> None:
        self.started = False
        self.stream = stream
        # Not a disabled one: it takes a semaphore, of which Python complains when the process is killed.
        self.bar = tqdm(total=cells, desc="starting", **_LOOKS, file=stream) if stream.isatty() else None
        self.rest = ""

    def enter(self, cell: nbformat.NotebookNode, cell_index: int) -> None:
        self.started = True
        headings = re.findall(r"^#+ +(.+)", cell.source, re.MULTILINE) if cell.cell_type == "markdown" else []
        if headings:
            self._say(headings[-1])
            if self.bar is not None:
                self.bar.set_description_str(headings[-1])

    def leave(self, cell: nbformat.NotebookNode, cell_index: int, execute_reply: Mapping[str, Any]) -> None:
        if self.bar is not None:
            self.bar.set_postfix_str("", refresh=False)
            self.bar.update()

    def write(self, text: str) -> None:
        """Take what the running cell prints, in pieces of any length."""
        *lines, self.rest = (self.rest + text).replace("\r", "\n").split("\n")
        for line in filter(str.strip, lines):
            self._say(f"  {line.rstrip()}")
            if self.bar is not None:
                self.bar.set_postfix_str(line.strip())

    def flush(self) -> None:
        pass

    def close(self) -> None:
        if self.bar is not None:
            self.bar.close()

    def _say(self, line: str) -> None:
        if self.bar is None:
            print(line, file=self.stream, flush=True)
