"""What the README shows can be typed as it stands."""

import re
import shlex
from functools import partial
from pathlib import Path

import numpy as np
import pytest

import retina_nb as rnb
from retina_nb.cli import parser

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def blocks(language):
    return re.findall(rf"^```{language}\n(.*?)^```", README, re.MULTILINE | re.DOTALL)


COMMANDS = [line for block in blocks("sh") for line in block.splitlines() if line.startswith("retina-nb ")]


@pytest.mark.parametrize("line", COMMANDS)
def test_its_commands_are_understood_and_their_notebooks_exist(line):
    words = shlex.split(line, comments=True)[1:]
    options = vars(parser().parse_args(words))
    assert all((ROOT / path).is_file() for path in [options["notebook"], *options.get("files", [])])


def test_the_makefile_has_its_targets():
    named = set(re.findall(r"^make ([a-z]+)|`make ([a-z]+)`", README, re.MULTILINE))
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert {one or other for one, other in named} <= targets


@pytest.fixture
def quick(monkeypatch, tmp_path):
    """A folder with a user's arrays, where less is loaded and trainings take one epoch."""
    monkeypatch.chdir(tmp_path)
    draw = np.random.default_rng(0)
    np.save("movie.npy", draw.integers(0, 255, (2, 1500, 18, 16)).astype(np.uint8))
    np.save("responses.npy", draw.poisson(0.5, (1500, 3)))
    small = partial(rnb.load_recordings, sessions=1, cells_per_session=3, clips=8, test_clips=1, repeats=2)
    monkeypatch.setattr(rnb, "load_recordings", small, raising=False)
    fit = rnb.fit
    monkeypatch.setattr(rnb, "fit", lambda *args, **options: fit(*args, **options | {"max_epochs": 1}), raising=False)


@pytest.mark.parametrize("code", blocks("python"), ids=lambda code: code.split("\n")[-2])
def test_its_code_runs(quick, code):
    exec(code, {"rnb": rnb})
