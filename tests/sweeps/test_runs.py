"""One run among many: its name, its folder, and what is left when it fails, hangs, is killed or comes second."""

import contextlib
import errno
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import nbformat
import psutil
import pytest

from retina_nb.errors import UserError
from retina_nb.sweeps import read_run, run_name, run_notebook, run_once, runs


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
        "results.json",
        "status.json",
    ]
    assert Path("relative.txt").read_text() == str(tmp_path)  # where a run by itself has it, too
    assert (home / "log.txt").read_text().splitlines() == ["A tiny notebook", "Train", "  training a"]
    assert read_run(home) == run

    before = {path: path.stat().st_mtime_ns for path in home.iterdir()}
    assert run_once(notebook, folder, {"trouble": "remember", "seed": 3}) == run
    assert {path: path.stat().st_mtime_ns for path in home.iterdir()} == before


def test_what_a_run_writes_down_is_where_it_is_found(notebook, tmp_path):
    folder = tmp_path / "données μm" / "a b"
    notebook.write_text(notebook.read_text() + "print(output_dir)\n")
    run = run_once(notebook, folder)
    assert json.loads(Path(run["folder"], "results.json").read_text())["folder"] == run["folder"]
    for name in ("log.txt", "01_tiny.ipynb"):
        assert run["folder"] in Path(run["folder"], name).read_text()
    assert Path(run["folder"]) == folder / run["name"]


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


def test_paths_of_what_exists_are_absolute_so_that_another_file_is_another_run(notebook, tmp_path, monkeypatch):
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
    assert run["notebook"] == str(folder / run["name"] / "01_tiny.failed.ipynb")
    assert Path(run["notebook"]).exists()
    assert seen() == [run["name"]]

    assert run_once(notebook, folder, {"trouble": trouble})["attempt"] != run["attempt"]
    assert seen() == [run["name"]]


def test_a_run_that_works_at_last_clears_its_failure(notebook, folder, seen, monkeypatch):
    run = run_once(notebook, folder, {"seconds": 60}, timeout=1)
    assert run["status"] == "failed"
    assert run["error"] == "not done after 1 s, the most that it may take"
    monkeypatch.setattr(runs, "_outcome", lambda *_: {"status": "complete"})
    assert run_once(notebook, folder, {"seconds": 60})["status"] == "complete"
    assert seen() == [run["name"]]
    assert sorted(path.name for path in (folder / run["name"]).iterdir()) == ["status.json"]


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
    (remains,) = folder.glob("[0-9a-f]*")
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
    (remains,) = folder.glob("[0-9a-f]*")
    assert read_run(remains)["error"] == "interrupted at its start"


RACE = """
import json, sys
from retina_nb.sweeps import run_once

print(json.dumps(run_once(sys.argv[1], sys.argv[2], {"seconds": 0.5})))
"""


def test_of_two_at_the_same_run_one_does_it(notebook, folder, seen):
    command = [sys.executable, "-c", RACE, str(notebook), str(folder)]
    two = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    found = [json.loads(process.communicate()[0]) for process in two]
    assert found[0] == found[1] == read_run(Path(found[0]["folder"]))
    assert found[0]["status"] == "complete"
    assert [path.name for path in folder.iterdir()] == seen() == [found[0]["name"]]


def test_where_locks_do_not_work_nobody_takes_half_a_run_for_a_whole(notebook, folder, monkeypatch):
    def outcome(document, source, home, *_):
        if not others:
            others.append("at it")
            others.append(run_once(notebook, folder))
        return {"status": "complete"}

    others = []
    monkeypatch.setattr(runs, "claim", lambda *_, **__: contextlib.nullcontext(True))
    monkeypatch.setattr(runs, "_outcome", outcome)
    assert run_once(notebook, folder)["error"] == "another process took its folder"
    assert read_run(folder / run_name(notebook)) == others[1]


@pytest.mark.parametrize(
    "harm",
    [
        "shutil.rmtree(output_dir)",
        "shutil.rmtree(output_dir); open(output_dir, 'w').close()",
        "open(output_dir + '/status.json', 'w').close()",
    ],
)
def test_a_run_that_removes_its_own_folder_has_failed_and_is_in_the_table(notebook, folder, seen, monkeypatch, harm):
    def outcome(document, source, home, *_):
        exec(harm, {"shutil": shutil, "output_dir": str(home)})
        return {"status": "complete"}

    monkeypatch.setattr(runs, "_outcome", outcome)
    run = run_once(notebook, folder)
    assert (run["status"], run["error"]) == ("failed", "the run's folder was removed or damaged while it ran")
    assert seen() == [run["name"]]
    assert runs.find_runs(folder)[run["name"]]["status"] == "failed"


@pytest.mark.parametrize("code", ["import sys; sys.exit()", "exit()", "quit()", "raise SystemExit(3)"])
def test_a_run_whose_cell_exits_has_failed(notebook, folder, code):
    notebook.write_text(notebook.read_text().replace("# %%\nif trouble", f"# %%\n{code}\n\n# %%\nif trouble"))
    run = run_once(notebook, folder)
    assert run["status"] == "failed"
    assert run["error"].startswith("a cell called exit")
    assert not Path(run["folder"], "results.json").exists()


def test_a_run_finds_what_a_notebook_finds_in_jupyter(notebook, folder, tmp_path, monkeypatch):
    """What is in the working folder, modules beside the notebook, and the standard library whatever lies there."""
    here = tmp_path / "here"
    here.mkdir()
    (here / "mine.txt").write_text("data")
    (tmp_path / "helper.py").write_text("VALUE = 3")
    for name in ("signal.py", "random.py", "types.py"):
        (here / name).write_text("raise ImportError('mine')")
        (tmp_path / name).write_text("raise ImportError('mine')")
    code = "import helper, random, signal\nassert open('mine.txt').read() == 'data' and preset == 'mine.txt'\n"
    notebook.write_text(notebook.read_text() + code)
    monkeypatch.chdir(here)
    run = run_once(notebook, folder, {"preset": "mine.txt"})
    assert run["error"] is None
    assert run_notebook(notebook, tmp_path / "alone", {"preset": "mine.txt"}).exists()


def test_a_full_disk_is_a_failed_run_that_can_be_run_again(notebook, folder, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, full_disk)

    full_disk = os.strerror(errno.ENOSPC)

    with monkeypatch.context() as patch:
        patch.setattr(nbformat, "write", full)
        run = run_once(notebook, folder)
        assert (run["status"], run["error"]) == ("failed", f"cannot run 01_tiny.py in {run['folder']}: {full_disk}")
    with monkeypatch.context() as patch:
        patch.setattr(runs, "_write", full)
        run = run_once(notebook, folder)
        assert (run["status"], run["error"]) == ("failed", "OSError: No space left on device")
    assert run_once(notebook, folder)["status"] == "complete"


def test_bad_parameters_are_refused_before_anything_is_made(notebook, folder):
    with pytest.raises(UserError, match="did you mean 'seed'"):
        run_once(notebook, folder, {"sede": 1})
    assert not folder.exists()
