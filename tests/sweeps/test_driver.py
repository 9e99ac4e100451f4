"""A sweep from start to end: what it runs, what it leaves, what it says, and what it refuses."""

import contextlib
import errno
import gc
import json
import os
import subprocess
import sys
import textwrap
import threading
import time
from pathlib import Path

import nbformat
import pandas as pd
import pytest
from dask.distributed import Client, LocalCluster

import retina_nb as rnb
from retina_nb.cli import main
from retina_nb.errors import UserError
from retina_nb.sweeps import clusters, driver, run_name, run_notebook, tasks, watch
from retina_nb.sweeps.runs import claim


@pytest.fixture(scope="module")
def client():
    """A Dask cluster within this process."""
    options = {"processes": False, "n_workers": 1, "threads_per_worker": 2, "dashboard_address": "127.0.0.1:0"}
    with LocalCluster(**options) as cluster, Client(cluster, set_as_default=False) as client:
        yield client


@pytest.fixture
def here(monkeypatch, client):
    """Runs are done in this process; holds what is asked of the cluster."""
    asked = []

    @contextlib.contextmanager
    def connected(runs, **options):
        asked.append((runs, options))
        yield client

    monkeypatch.setattr(tasks, "connected", connected)
    return asked


@pytest.fixture
def instant(monkeypatch):
    """Runs take no time: their folders are written without a kernel."""

    def outcome(document, source, room, parameters, *_):
        if parameters["trouble"]:
            return {"status": "failed", "error": "ValueError: no"}
        (room / "results.json").write_text(json.dumps({"score": parameters["seed"] * 2.0}))
        return {"status": "complete"}

    monkeypatch.setattr("retina_nb.sweeps.runs._outcome", outcome)


def test_a_failing_run_stops_no_other_and_a_timeout_is_one(notebook, folder, capsys):
    options = {"parameters": {"seed": 2}, "grid": {"trouble": ["", "raise", "die"]}, "workers": 2, "best": "score"}
    table = rnb.sweep(notebook, folder, **options, timeout=100)
    assert list(table["trouble"]) == ["", "raise", "die"]
    assert list(table["status"]) == ["complete", "failed", "failed"]
    assert table["score"].iloc[0] == 0.2
    out, error = capsys.readouterr()
    lines = out.splitlines()
    assert lines[0].split() == ["trouble", "status", "score", "seconds"]
    assert [line.split()[-3:-1] for line in lines[1:4]] == [["complete", "0.2"], ["failed", "-"], ["failed", "-"]]
    assert lines[4:6] == ["", f"in {folder}: 2 failed, 1 complete"]
    assert lines[6] == "  trouble=raise is failed: ValueError: the last line of it"
    assert lines[7] == f"    {table['notebook'].iloc[1]}"
    assert Path(table["notebook"].iloc[1]).is_file()
    assert lines[8].startswith("  trouble=die is failed: the kernel died")
    last = ["re-run the same command to resume", f"the whole table is in {folder / 'runs.csv'}"]
    assert lines[10:] == last
    assert list(pd.read_csv(folder / "runs.csv", index_col="run")["status"].sort_index()) == list(
        table["status"].sort_index()
    )
    assert "dashboard: http://127.0.0.1:" in error
    assert "1/3 runs complete, " in error
    assert "2 failed, best score 0.2 (trouble=), done in" in error
    read = rnb.read_sweep(folder)
    assert read.loc[table.index, "status"].equals(table["status"])


def test_what_is_complete_is_not_done_again(notebook, folder, here, instant):
    assert set(rnb.sweep(notebook, folder, grid={"seed": [0, 1]})["status"]) == {"complete"}
    table = rnb.sweep(notebook, folder, grid={"seed": [0, 1, 2, 2]}, sets=[{"trouble": "raise"}, {"trouble": ""}])
    assert list(table["status"]) == ["failed"] * 3 + ["complete"] * 3
    assert [runs for runs, _ in here] == [2, 4]
    rnb.sweep(notebook, folder, grid={"seed": [0, 1, 2]})
    assert len(here) == 2  # nothing to do, so nothing is started
    assert len(rnb.read_sweep(folder)) == 6


def test_what_is_complete_can_be_done_again_on_demand(notebook, folder, here, instant, capsys):
    rnb.sweep(notebook, folder, grid={"seed": [0, 1, 2]})
    (folder / run_name(notebook, {"seed": 0}) / "results.json").write_text('{"score": 99.0}')
    words = ["sweep", str(notebook), "-o", str(folder), "-g", "seed=0,1", "--no-resume"]
    assert main([*words, "--dry-run"]) == 0
    assert "2 of 2 runs to do" in capsys.readouterr().out
    assert sorted(rnb.read_sweep(folder)["score"]) == [2.0, 4.0, 99.0]
    assert main(words) == 0
    assert sorted(rnb.read_sweep(folder)["score"]) == [0.0, 2.0, 4.0]
    assert [runs for runs, _ in here] == [3, 2]


def test_a_full_disk_is_told_of_and_room_on_it_is_enough_to_go_on(notebook, folder, here, instant, monkeypatch, capsys):
    def full(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr("retina_nb.sweeps.runs._outcome", full)
        table = rnb.sweep(notebook, folder, grid={"seed": [0, 1]})
    assert set(table["status"]) == {"interrupted"}
    assert capsys.readouterr().out.count("interrupted at its start: OSError: No space left on device") == 2
    assert set(rnb.sweep(notebook, folder, grid={"seed": [0, 1]})["status"]) == {"complete"}


def test_a_run_that_another_driver_is_at_is_awaited(notebook, folder, here, instant):
    name = run_name(notebook, {"seed": 0})
    claimed, started = threading.Event(), time.monotonic()

    def be_at_it():
        with claim(folder, name, wait=True):
            claimed.set()
            # until all others are complete
            while len(list(folder.glob("*/results.json"))) < 2 and time.monotonic() < started + 60:
                time.sleep(0.01)

    folder.mkdir(parents=True)
    thread = threading.Thread(target=be_at_it)
    thread.start()
    claimed.wait()
    table = rnb.sweep(notebook, folder, grid={"seed": [0, 1, 2]})
    thread.join()
    assert list(table["status"]) == ["complete"] * 3
    assert table["started"].idxmax() == name


def test_a_dry_run_tells_what_there_is_to_do_and_how_long(notebook, folder, here, instant, capsys):
    def plan(seeds, **options):
        rnb.sweep(notebook, folder, grid={"seed": seeds}, dry_run=True, **options)
        return capsys.readouterr().out.splitlines()

    lines = plan([0, 1, 2])
    assert lines[0].split() == ["run", "status", "seed"]
    assert [line.split()[1:] for line in lines[1:4]] == [["new", "0"], ["new", "1"], ["new", "2"]]
    assert lines[4] == "3 of 3 runs to do"
    assert lines[5] == "no run is complete in this folder; do one to know how long they take"
    assert not folder.exists()

    rnb.sweep(notebook, folder, grid={"seed": [1]})
    capsys.readouterr()
    status = next(folder.glob("*/status.json"))
    status.write_text(json.dumps(json.loads(status.read_text()) | {"seconds": 60.0}))
    lines = plan([0, 1, 2], workers=2)
    assert [line.split()[1] for line in lines[1:4]] == ["new", "complete", "new"]
    assert lines[4:] == ["2 of 3 runs to do", "about 60 s with 2 at once (60 s a run, as the complete ones had)"]
    assert plan([0, 1, 2], workers=1)[5].startswith("about 2 min one after the other")
    assert len(here) == 1


def test_a_dry_run_has_the_notebooks_own_estimate_and_the_script_of_a_job(notebook, folder, capsys):
    need = "question?\n#\n# - **What you need**: no\n# thing; a\n# second on one core.\n"
    notebook.write_text(notebook.read_text().replace("tiny notebook", need))
    slurm = {"queue": "gpu", "cores": 3, "interface": "lo"}
    rnb.sweep(notebook, folder, grid={"seed": [0]}, dry_run=True, slurm=slurm)
    lines = capsys.readouterr().out.splitlines()
    assert lines[3] == "no run is complete in this folder; the notebook says of itself: a second on one core"
    assert lines[4] == "each worker is a job of SLURM:"
    assert {"#SBATCH -p gpu", "#SBATCH --cpus-per-task=3", "export OMP_NUM_THREADS=3"} <= set(lines[5:])
    assert not folder.exists()


@pytest.mark.parametrize(
    ("parameters", "complaint"),
    [
        ({"preset": "simulated_retin"}, "unknown preset 'simulated_retin': did you mean 'simulated_retina'?"),
        ({"overrides": ["core.channels=[8,8]"]}, "'core.channels'; did you mean 'core.hidden_channels'?"),
        ({"overrides": [8]}, "do not fit preset simulated_retina"),
    ],
)
def test_overrides_that_do_not_fit_the_preset_are_refused_before_anything_runs(notebook, folder, parameters, complaint):
    preset = 'preset = "simulated_retina"\noverrides = ["core.hidden_channels=[4,4]"]'
    notebook.write_text(notebook.read_text().replace('preset = "a"', preset))
    with pytest.raises(UserError) as error:
        rnb.sweep(notebook, folder, parameters=parameters, grid={"seed": [0, 1]}, dry_run=True)
    assert complaint in str(error.value)
    rnb.sweep(notebook, folder, grid={"seed": [0, 1]}, dry_run=True)


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ({"grid": {"sede": [0, 1]}}, "unknown parameter of 01_tiny.py 'sede': did you mean 'seed'?"),
        ({"grid": {"seed": [0, "1"]}}, "cannot be the str '1'"),
        ({"sets": [{"seed": 0}, {"seed": 0.5}]}, "cannot be the float 0.5"),
        ({"parameters": {"seed": 0}, "grid": {"seed": [1]}}, "seed is given twice"),
        ({"grid": {"output_dir": ["a"]}}, "give it as the output"),
        ({"timeout": 0.0}, "timeout must be a positive number of seconds"),
        ({"timeout": float("nan")}, "timeout must be a positive number of seconds"),
        ({"grid": {"seed": [0] * 400, "rate": [0.0] * 400}}, "the grid has 160000 combinations"),
        ({"workers": 0}, "at least one worker, not 0"),
        ({"scheduler": "tcp://127.0.0.1:9", "workers": 2}, "a scheduler has its own workers"),
        ({"scheduler": "nowhere:"}, "no Dask scheduler answers at nowhere:"),
    ],
)
def test_what_cannot_be_is_refused_before_anything_runs(notebook, folder, options, complaint, monkeypatch):
    monkeypatch.setattr(clusters, "_SECONDS", 0.5)
    with pytest.raises(UserError) as error:
        rnb.sweep(notebook, folder, **options)
    assert complaint in str(error.value)
    assert not list(folder.glob("*"))


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # of what dask-jobqueue half made
def test_options_that_slurm_does_not_have_are_refused(notebook, folder):
    with pytest.raises(UserError, match="SLURM cannot be asked for"):
        rnb.sweep(notebook, folder, slurm={"walltme": "1"}, dry_run=True)
    gc.collect()


def test_without_slurm_nobody_waits_for_its_jobs(notebook, folder, monkeypatch):
    monkeypatch.setenv("PATH", "")
    with pytest.raises(UserError, match="there is no SLURM here"):
        rnb.sweep(notebook, folder, slurm={})


def test_without_dask_jobqueue_slurm_says_what_to_install(notebook, folder, monkeypatch):
    monkeypatch.setitem(sys.modules, "dask_jobqueue", None)
    with pytest.raises(UserError, match=r"pip install 'retina_nb\[cluster\]'"):
        rnb.sweep(notebook, folder, slurm={})


@pytest.mark.parametrize(
    ("visible", "expected"), [("0,2", ["0", "2", "0"]), ("", [None] * 3), ("GPU-5fd4", ["GPU-5fd4"] * 3)]
)
def test_workers_have_a_graphics_card_each_and_their_share_of_threads(monkeypatch, visible, expected):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.setattr(clusters, "CPU_COUNT", 7)
    environments = [worker["options"]["env"] for worker in clusters.local_workers(10, 3).values()]
    assert [one.get("CUDA_VISIBLE_DEVICES") for one in environments] == expected
    assert {one["OMP_NUM_THREADS"] for one in environments} == {"2"}
    monkeypatch.setattr(clusters, "RUN_GB", 1e-6)
    assert len(clusters.local_workers(10, None)) == (len(visible.split(",")) if visible else 7)
    assert len(clusters.local_workers(1, 3)) == 1
    monkeypatch.setattr(clusters, "RUN_GB", 1e6)  # more than any machine has
    assert len(clusters.local_workers(10, None)) == (len(visible.split(",")) if visible else 1)


@pytest.fixture
def asked(monkeypatch):
    """What the command asks of a sweep, instead of the sweep."""
    found = []

    def remember(*arguments, **options):
        found.append((*map(str, arguments), options))
        return driver.table([{"name": "a", "status": found[0][0], "parameters": {}, "folder": "nowhere"}])

    monkeypatch.setattr(driver, "sweep", remember)
    return found


def test_the_command_takes_what_the_function_takes(asked, tmp_path, notebook):
    (tmp_path / "sweep.yaml").write_text("- {max_epochs: 3}\n")
    words = [
        *["sweep", str(notebook), "-p", "max_epochs", "3", "-g", "seed=0,1,2", "-g", "preset=a,b"],
        *("-g", "overrides=[core.channels=[8,8]]|[core.channels=[16,16]]", "--file", str(tmp_path / "sweep.yaml")),
        *["-o", "runs/s1", "--workers", "3", "--timeout", "60", "--best", "score", "--dry-run"],
    ]
    assert main(words) == 0
    overrides = [["core.channels=[8,8]"], ["core.channels=[16,16]"]]
    assert asked == [
        (
            str(notebook),
            "runs/s1",
            {
                "parameters": {"max_epochs": 3},
                "grid": {"seed": [0, 1, 2], "preset": ["a", "b"], "overrides": overrides},
                "sets": [{"max_epochs": 3}],
                "workers": 3,
                "scheduler": None,
                "slurm": None,
                "timeout": 60.0,
                "best": "score",
                "resume": True,
                "dry_run": True,
            },
        )
    ]


def test_options_of_slurm_are_words(asked, notebook):
    words = "queue=gpu cores=4 walltime=10:00:00 job_extra_directives=[--gres=gpu:1]"
    main(["sweep", str(notebook), "--slurm", *words.split()])
    ((_, folder, options),) = asked
    assert folder == "runs/01_tiny_sweep"
    assert options["slurm"] == {
        "queue": "gpu",
        "cores": 4,
        "walltime": "10:00:00",
        "job_extra_directives": ["--gres=gpu:1"],
    }
    assert main(["sweep", str(notebook), "--slurm", "gpu"]) == 2


def test_the_exit_status_says_whether_all_are_complete(notebook, folder, here, instant, capsys):
    words = ["sweep", str(notebook), "-o", str(folder), "-g", "seed=0,1"]
    assert main([*words, "--dry-run"]) == 0
    assert main(words) == 0
    assert main([*words, "-g", "trouble='',a"]) == 1
    assert main([*words, "-g", "rate=fast"]) == 2
    assert "cannot be the str 'fast'" in capsys.readouterr().err


def test_progress_in_a_notebook_is_one_output_that_changes(tmp_path):
    """Not on the error stream, where a notebook shows it in red, a line for each run."""
    cell = """
    from pathlib import Path
    from retina_nb.sweeps.watch import SweepProgress

    progress = SweepProgress(2, 1, "score", ["seed"])
    progress.announce("dashboard: http://nowhere")
    for seed in (1, 2):
        progress.show({"seed=1": "epoch 3/9  loss 2"})
        progress.end({"name": "a", "status": "complete", "folder": "none", "parameters": {"seed": seed}})
    progress.close()
    """
    source = tmp_path / "01_watch.py"
    source.write_text(f"# %%\n{textwrap.dedent(cell)}")
    (code,) = nbformat.read(run_notebook(source, tmp_path / "run"), as_version=4).cells
    shown = [output["data"]["text/plain"] for output in code.outputs]
    assert shown[0] == "dashboard: http://nowhere"
    assert len(shown) == 2
    assert shown[1].startswith("3/3 runs complete, done in")


def test_progress_in_a_terminal_is_one_line_that_changes(monkeypatch, capsys):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    monkeypatch.setenv("COLUMNS", "50")
    progress = watch.SweepProgress(2, 0, "score", ["seed"])
    for status in ("failed", "complete"):
        progress.show({"seed=1": "epoch 3/9  loss 2", "seed=2": ""})
        progress.end({"name": "a", "status": status, "folder": "none", "parameters": {"seed": 1}})
    progress.close()
    shown = capsys.readouterr().err
    assert shown.count("\n") == 1
    *_, last = shown.split("\r\x1b[K")
    assert last == "1/2 runs complete, 1 failed, done in 0 s\n"
    assert "0/2 runs complete, 2 running, 0 waiting, 0 s" in shown
    assert all(len(line) < 50 for line in shown.split("\r\x1b[K")[:-1])
    assert watch.SweepProgress(9, 0, "score", []).line() == "0/9 runs complete, 0 running, 9 waiting, 0 s so far"
    progress = watch.SweepProgress(2, 0, "score", ["seed"])
    progress.show({"seed=1": "epoch 3/9  loss 2", "seed=2": "no"})
    assert progress.line() == "0/2 runs complete, 2 running, 0 waiting, 0 s so far; seed=1: epoch 3/9"


@pytest.mark.parametrize(
    ("seconds", "said"), [(0.4, "0 s"), (89, "89 s"), (600, "10 min"), (7200, "2.0 h"), (90000, "25.0 h")]
)
def test_times_are_said_as_people_do(seconds, said):
    assert watch.duration(seconds) == said


def test_a_finished_sweep_is_told_of_without_the_libraries_that_run_things(notebook, folder, here, instant):
    rnb.sweep(notebook, folder, grid={"seed": [0, 1]})
    words = ["sweep", str(notebook), "-o", str(folder), "-g", "seed=0,1"]
    script = f"import sys; from retina_nb.cli import main; assert main({words!r}) == 0; "
    script += "print({'torch', 'dask', 'distributed', 'papermill', 'optuna'} & sys.modules.keys())"
    told = subprocess.check_output([sys.executable, "-c", script], text=True).splitlines()
    assert told[-3:] == [f"in {folder}: 2 complete", f"the whole table is in {folder / 'runs.csv'}", "set()"]


def test_the_table_is_read_without_the_libraries_that_run_things():
    script = "import sys, retina_nb.sweeps.table; print({'dask', 'distributed', 'torch'} & sys.modules.keys())"
    assert subprocess.check_output([sys.executable, "-c", script], text=True) == "set()\n"
