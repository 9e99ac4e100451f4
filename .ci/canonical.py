"""A notebook's text without what running it leaves behind: outputs, execution counts, kernels and states of widgets.

Run by git, through the filter that `make` sets up, it turns stdin into stdout: what is committed of a notebook is the
same whether or not somebody has used it. What is no notebook is passed on as it is. (Only the standard library is
imported, since git starts it for every notebook that was touched.)
"""

import hashlib
import json
import sys
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

KERNEL = {"display_name": "Python 3", "language": "python", "name": "python3"}


def canonical(cells: Iterable[Mapping[str, Any]]) -> str:
    """The text of the .ipynb with these cells, of which only the kind, the source and the tags count.

    The same cells always give the same text: their ids are hashes.
    """
    seen: Counter[str] = Counter()
    notebook = {
        "cells": [_cell(cell, seen) for cell in cells],
        "metadata": {"kernelspec": KERNEL, "language_info": {"name": "python"}},
        "nbformat": 4,
        "nbformat_minor": 5,
    }
    return json.dumps(notebook, indent=1, ensure_ascii=False, sort_keys=True) + "\n"


def _cell(cell: Mapping[str, Any], seen: Counter[str]) -> dict[str, Any]:
    kind, source = cell["cell_type"], "".join(cell["source"])
    digest = hashlib.sha256(f"{kind}\n{source}".encode()).hexdigest()[:8]
    seen[digest] += 1
    tags = cell["metadata"].get("tags")
    kept = {
        "cell_type": kind,
        "id": digest if seen[digest] == 1 else f"{digest}-{seen[digest]}",
        "metadata": {"tags": tags} if tags else {},
        "source": source.splitlines(keepends=True),
    }
    return kept | ({"execution_count": None, "outputs": []} if kind == "code" else {})


def clean(text: str) -> str:
    """The canonical text of a notebook, or the text as it is if it is no notebook."""
    try:
        return canonical(json.loads(text)["cells"])
    except (ValueError, KeyError, TypeError, AttributeError):
        return text


if __name__ == "__main__":
    sys.stdout.buffer.write(clean(sys.stdin.buffer.read().decode()).encode())
