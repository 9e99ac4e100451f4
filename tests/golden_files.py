"""Files in the layouts in which datasets are published, and what openretina 1.1.1 reads from them."""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np

GOLDEN = Path(__file__).parent / "golden" / "datasets"


def golden(dataset: str, tmp_path: Path) -> tuple[Path, dict[str, np.ndarray], dict[str, Any]]:
    """A copy of a dataset's files that may be written to, the arrays that are expected, and other expected facts."""
    source = GOLDEN / dataset
    files = tmp_path / dataset
    for path in source.glob("files/**/*"):
        if path.is_file():
            copy = files / path.relative_to(source / "files")
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, copy)
    with np.load(source / "expected.npz") as stored:
        return files, dict(stored), json.loads((source / "expected.json").read_text())
