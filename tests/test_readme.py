"""What the README shows can be typed as it stands."""

import ast
import re
import shlex
from functools import partial
from pathlib import Path

import numpy as np
import pytest

import retina_nb as rnb
from retina_nb.cli import parser
from retina_nb.sweeps.notebooks import check_parameters, notebook_parameters
from retina_nb.words import from_word, pairs, read_yaml

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def blocks(language):
    return re.findall(rf"^```{language}\n(.*?)^```", README, re.MULTILINE | re.DOTALL)


COMMANDS = [line for block in blocks("sh") for line in block.splitlines() if line.startswith("retina-nb ")]


@pytest.mark.parametrize("line", COMMANDS)
def test_its_commands_are_understood_and_their_notebooks_exist(line):
    words = shlex.split(line, comments=True)[1:]
    options = vars(parser().parse_args(pairs(words)))
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


def check_library(names):
    recordings, scores, twin = names["recordings"], names["scores"], names["twin"]
    assert len(scores) == sum(recording.n_neurons for recording in recordings.values())
    assert {"cc_norm", "linear_nonlinear_cc_norm", "correlation"} <= set(scores)
    assert scores["correlation"].notna().all()
    assert len(names["fit"].history) == 1
    assert Path("runs/mine/twin.safetensors").is_file()
    session, recording = next(iter(recordings.items()))
    stimulus = recording.stimulus("test")
    rates = rnb.predict(twin, stimulus, session)
    assert rates.shape == (stimulus.shape[1] - twin.lag, recording.n_neurons)
    assert np.isfinite(rates).all()
    assert (rates.std(axis=0) > 0).all()
    # The twin was loaded; what it was before has the scores in the table.
    again = rnb.evaluate(twin, recordings, baseline=None)
    np.testing.assert_allclose(again["correlation"], scores["correlation"], rtol=1e-4)


def check_experiment(names):
    shown = names["_"]
    assert len(shown) == 120
    planted = rnb.load_truth().neurons()["direction"].to_numpy()
    selective = np.isfinite(planted)
    error = np.abs((shown["preferred_direction"].to_numpy() - planted + 180) % 360 - 180)[selective]
    assert np.median(error) < 15


def check_own_data(names):
    recording, twin, scores = names["recording"], names["twin"], names["scores"]
    assert recording.rate == 30
    assert set(recording.split) == {"train", "validation"}
    np.testing.assert_array_equal(recording.responses, np.load("responses.npy"))
    assert abs(float(np.mean(recording.movie.frames))) < 0.1  # it was normalized
    assert twin.about["pixel_um"] == 50
    assert len(scores) == 3
    assert scores["correlation"].notna().all()


# What must be true after each of the README's blocks of Python ran, by a word that is in it alone.
CHECKS = {
    'load_recordings("simulated")': check_library,
    "bar_direction_tuning": check_experiment,
    "responses.npy": check_own_data,
}


def last_value(code, names):
    """Run code, and keep the value of its last line, if it has one, as `_`."""
    *_, last = ast.parse(code).body
    exec(code, names)
    if isinstance(last, ast.Expr):
        names["_"] = eval(ast.unparse(last), names)


def test_every_block_of_python_has_its_check():
    assert [sum(mark in code for mark in CHECKS) for code in blocks("python")] == [1] * len(CHECKS)


@pytest.mark.parametrize("code", blocks("python"), ids=lambda code: code.split("\n")[-2])
def test_its_code_does_what_it_says(quick, code):
    names = {"rnb": rnb}
    last_value(code, names)
    next(check for mark, check in CHECKS.items() if mark in code)(names)


def test_what_it_says_of_notebooks_and_files_is_there():
    named = set(re.findall(r"\]\((?!http)([^)#]+)\)", README))
    assert named
    assert [path for path in sorted(named) if not (ROOT / path).exists()] == []
    listed = re.findall(r"^\| \[(\d\d_\w+)\]", README, re.MULTILINE)
    assert listed == [path.stem for path in sorted((ROOT / "notebooks").glob("[0-9]*.ipynb"))]


def test_the_parameters_of_its_commands_are_those_of_their_notebooks():
    """An option that a notebook does not have, or a value of another kind, would be refused when it is run."""
    for line in COMMANDS:
        options = vars(parser().parse_args(pairs(shlex.split(line, comments=True)[1:])))
        notebook = ROOT / options["notebook"]
        given = {name: from_word(value, name) for name, value in options.get("parameters", [])}
        for path in options.get("files", []):
            given |= read_yaml(ROOT / path)
        check_parameters(given, notebook_parameters(notebook), notebook.name)
