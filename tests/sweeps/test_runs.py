"""One run among many: its name, its folder, and what is left when it fails, hangs, is killed or comes second."""

import errno
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import nbformat
import psutil
import pytest

from retina_nb.errors import UserError
from retina_nb.sweeps import read_run, run_name, run_once, runs


def test_a_run_has_its_own_folder_and_is_not_run_twice(notebook, folder, seen, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    run = run_once(notebook, "runs/sweep", {"seed": 3, "trouble": "remember"})

    name = run_name(notebook, {"seed": 3, "trouble": "remember"})
    home = folder / name
    assert (run["name"], run["status"], run["error"], run["device"]) == (name, "complete", None, "cpu")
    assert run["parameters"] == {
        "seed": 3,
        "rate": 0.1,
        "preset": "a",
        "paths": [],
        "trouble": "remember",
        "seconds": 0.0,
    }
    assert (run["folder"], run["notebook"]) == (str(home), str(home / "01_tiny.ipynb"))
    assert run["seconds"] > 0
    assert 0.01 < run["peak_memory_gb"] < 2
    assert seen() == [name]
    assert sorted(path.name for path in home.iterdir()) == [
        "01_tiny.ipynb",
        "log.txt",
        "relative.txt",
        "results.json",
        "status.json",
    ]
    assert (home / "log.txt").read_text().splitlines() == ["A tiny notebook", "Train", "  training a"]
    assert read_run(home) == run

    before = {path: path.stat().st_mtime_ns for path in home.iterdir()}
    assert run_once(notebook, folder, {"trouble": "remember", "seed": 3}) == run
    assert {path: path.stat().st_mtime_ns for path in home.iterdir()} == before


def test_what_a_run_writes_down_is_where_it_will_be_found(notebook, folder):
    run = run_once(notebook, folder)
    assert json.loads(Path(run["folder"], "results.json").read_text())["folder"] == run["folder"]
    text = Path(run["notebook"]).read_text()
    assert run["folder"] in text
    assert "unfinished" not in text


def test_the_name_depends_on_code_parameters_and_version_and_on_nothing_else(notebook, tmp_path, monkeypatch):
    name = run_name(notebook)
    assert run_name(notebook, {"seed": 0, "preset": "a", "seconds": 0}) == name
    assert run_name(notebook, {"seed": 1}) != name

    elsewhere = tmp_path / "elsewhere.ipynb"
    document = runs.read_notebook(notebook)
    nbformat.write(document, elsewhere)
    assert run_name(elsewhere) == name
    document.cells[0].source = "# Other prose"
    nbformat.write(document, elsewhere)
    assert run_name(elsewhere) == name
    document.cells[-1].source += "\nprint('other code')"
    nbformat.write(document, elsewhere)
    assert run_name(elsewhere) != name

    monkeypatch.setattr(runs, "__version__", "0.0.0")
    assert run_name(notebook) != name


def test_paths_of_what_exists_hold_in_the_working_directory_of_the_run(notebook, tmp_path, monkeypatch):
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "a.h5").write_text("")
    monkeypatch.chdir(tmp_path)
    given = {"preset": "data/a.h5", "paths": ["data/a.h5", "data/none.h5", "data"]}
    (parameters,) = runs.name_runs(notebook, [given, given]).values()
    assert parameters["preset"] == str(tmp_path / "data" / "a.h5")
    assert parameters["paths"] == [str(tmp_path / "data/a.h5"), "data/none.h5", "data"]


@pytest.mark.parametrize(
    ("trouble", "error"), [("raise", "ValueError: the last line of it"), ("die", "the kernel died, perhaps for want")]
)
def test_a_failure_is_told_and_a_rerun_replaces_it(notebook, folder, seen, trouble, error):
    run = run_once(notebook, folder, {"trouble": trouble})
    assert run["status"] == "failed"
    assert error in run["error"]
    assert run["notebook"] == str(folder / f"{run['name']}.failed" / "01_tiny.failed.ipynb")
    assert Path(run["notebook"]).exists()
    assert seen() == [f"{run['name']}.failed"]

    assert run_once(notebook, folder, {"trouble": trouble})["started"] >= run["started"]
    assert seen() == [f"{run['name']}.failed"]


def test_a_run_that_works_at_last_clears_its_failure(notebook, folder, seen, monkeypatch):
    run = run_once(notebook, folder, {"seconds": 60}, timeout=1)
    assert run["status"] == "failed"
    assert run["error"] == "not done after 1 s, the most that it may take"
    assert seen() == [f"{run['name']}.failed"]
    monkeypatch.setattr(runs, "_outcome", lambda *_: {"status": "complete"})
    run_once(notebook, folder, {"seconds": 60})
    assert seen() == [run["name"]]


def test_a_killed_run_is_interrupted_and_leaves_no_kernel_and_its_rerun_is_complete(notebook, folder, seen):
    script = "import sys; from retina_nb.sweeps import run_once; run_once(sys.argv[1], sys.argv[2], {'seconds': 3.0})"
    process = subprocess.Popen([sys.executable, "-c", script, str(notebook), str(folder)])
    name = run_name(notebook, {"seconds": 3.0})
    wait_until(lambda: any("training" in log.read_text() for log in folder.glob("*/log.txt")))
    kernels = psutil.Process(process.pid).children(recursive=True)
    assert run_once(notebook, folder, {"seconds": 3}, wait=False) == {"name": name, "status": "running"}

    process.send_signal(signal.SIGKILL)
    process.wait()
    wait_until(lambda: not any(kernel.is_running() and kernel.status() != "zombie" for kernel in kernels), 0.9)
    (remains,) = folder.glob("*.unfinished")
    run = read_run(remains)
    assert (run["name"], run["status"], run["error"]) == (name, "interrupted", "interrupted after 'training a'")
    assert Path(run["notebook"]).exists()

    assert run_once(notebook, folder, {"seconds": 3})["status"] == "complete"
    assert seen() == [name]


def wait_until(true, seconds=200):
    for _ in range(int(seconds / 0.05)):
        if true():
            return
        time.sleep(0.05)
    raise AssertionError(f"it did not become true in {seconds} s")


def test_ctrl_c_leaves_an_interrupted_run(notebook, folder, monkeypatch):
    def interrupt(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(runs, "execute", interrupt)
    with pytest.raises(KeyboardInterrupt):
        run_once(notebook, folder)
    (remains,) = folder.glob("*.unfinished")
    assert read_run(remains)["error"] == "interrupted at its start"


RACE = """
import contextlib, json, sys
from retina_nb.sweeps import run_once, runs

if sys.argv[3] == "no locks":  # as on a file system that does not know them
    runs.claim = lambda *_, **__: contextlib.nullcontext(True)
    runs._discard_remains = lambda *_: None
print(json.dumps(run_once(sys.argv[1], sys.argv[2], {"seconds": 0.5})))
"""


@pytest.mark.parametrize("locks", ["locks", "no locks"])
def test_of_two_at_the_same_run_one_is_kept_whole(notebook, folder, seen, locks):
    command = [sys.executable, "-c", RACE, str(notebook), str(folder), locks]
    two = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    found = [json.loads(process.communicate()[0]) for process in two]
    assert found[0] == found[1] == read_run(Path(found[0]["folder"]))
    assert found[0]["status"] == "complete"
    assert seen() == [found[0]["name"]]
    assert not [path for path in folder.iterdir() if path.name.startswith(".") and path.suffix != ".lock"]


def test_a_full_disk_is_a_failed_run_that_can_be_run_again(notebook, folder, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(nbformat, "write", full)
        run = run_once(notebook, folder)
        assert (run["status"], run["error"]) == ("failed", "OSError: No space left on device")
    with monkeypatch.context() as patch:
        patch.setattr(runs, "_write", full)
        run = run_once(notebook, folder)
        assert (run["status"], run["error"]) == ("failed", "OSError: No space left on device")
    assert run_once(notebook, folder)["status"] == "complete"


def test_bad_parameters_are_refused_before_anything_is_made(notebook, folder):
    with pytest.raises(UserError, match="did you mean 'seed'"):
        run_once(notebook, folder, {"sede": 1})
    assert not folder.exists()
