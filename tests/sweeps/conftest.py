"""A tiny notebook whose runs can be made to fail, to hang and to die."""

from collections.abc import Callable
from pathlib import Path

import pytest

SOURCE = """# %% [markdown]
# # A tiny notebook

# %% tags=["parameters"]
seed = 0
rate = 0.1
preset = "a"
paths = []
trouble = ""  # to run into
seconds = 0.0  # to take
output_dir = "runs/tiny"

# %% [markdown]
# ## Train

# %%
import json, os, pathlib, time

print(f"training {preset}")
time.sleep(seconds)

# %%
if trouble == "raise":
    raise ValueError("a long story\\nthe last line of it")
if trouble == "die":
    os._exit(1)
if trouble == "remember":
    pathlib.Path("relative.txt").write_text(os.getcwd())

# %%
results = {"score": seed * rate, "seed": seed, "size": {"y": 5, "x": 7}, "folder": output_dir, "versions": {"a": "1"}}
pathlib.Path(output_dir, "results.json").write_text(json.dumps(results))
"""


@pytest.fixture
def notebook(tmp_path: Path) -> Path:
    path = tmp_path / "01_tiny.py"
    path.write_text(SOURCE)
    return path


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "runs" / "sweep"


@pytest.fixture
def seen(folder: Path) -> Callable[[], list[str]]:
    """What a person sees in the folder of runs."""
    return lambda: sorted(path.name for path in folder.iterdir() if not path.name.startswith("."))
