"""Sweeps of which workers and drivers are killed: 30 runs in the end, none lost, none twice, and no kernel left."""

import os
import random
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

import retina_nb as rnb

COMMAND = Path(sys.executable).with_name("retina-nb")
DASK = Path(sys.executable).with_name("dask")
RUNS = 30


@pytest.fixture
def start(tmp_path):
    """Starts a command in the background; whatever is left of it at the end of the test is killed."""
    started = []

    def start(*words, command=COMMAND, **options):
        told = tmp_path / f"out{len(started)}.txt"
        with told.open("w") as out:
            options = {"stdout": out, "stderr": subprocess.STDOUT, "cwd": tmp_path} | options
            process = psutil.Popen([command, *map(str, words)], **options)
        process.told = told
        started.append(process)
        return process

    yield start
    for process in started:
        for one in descendants(process) + [process]:
            if one.is_running():
                one.kill()
        process.wait()


@pytest.fixture
def sweep(start, notebook, folder):
    def sweep(*words, **options):
        return start("sweep", notebook, "-o", folder, "--best", "score", *words, **options)

    return sweep


def descendants(process):
    try:
        return process.children(recursive=True)
    except psutil.NoSuchProcess:
        return []


def workers_at_work(driver):
    """Its workers that have a kernel."""
    found = []
    for worker in descendants(driver):
        try:
            if any("ipykernel" in " ".join(one.cmdline()) for one in worker.children()):
                found.append(worker)
        except psutil.Error:
            pass
    return found


def alive(processes):
    return [one for one in processes if one.is_running() and one.status() != psutil.STATUS_ZOMBIE]


def complete(folder):
    return [path.parent for path in folder.glob("*/status.json") if '"complete"' in path.read_text()]


def wait_until(true, seconds=200):
    for _ in range(int(seconds / 0.05)):  # not by the clock: processes of a busy machine may stand still, these too
        if true():
            return
        time.sleep(0.05)
    raise AssertionError(f"it did not become true in {seconds} s")


def end_of(process):
    """Its exit status, when it has ended."""
    wait_until(lambda: process.poll() is not None)
    return process.poll()


def assert_all_complete(folder, runs=RUNS):
    table = rnb.read_sweep(folder)
    assert set(table["status"]) == {"complete"}
    assert sorted(table["seed"]) == list(range(runs))
    assert (table["score"] == table["seed"] * 0.1).all()
    assert all(Path(notebook).is_file() for notebook in table["notebook"])
    left = [path.name for path in folder.iterdir() if not re.fullmatch(r"[0-9a-f]{16}|runs\.csv|.*\.lock", path.name)]
    assert not left


def test_workers_are_killed_all_the_time(sweep, folder):
    grid = "seed=" + ",".join(map(str, range(RUNS)))
    driver = sweep("-g", grid, "--workers", 2)
    chosen, victims = random.Random(0), []
    for goal in range(1, RUNS - 4, 3):
        wait_until(lambda goal=goal: len(complete(folder)) >= goal)
        wait_until(lambda: victims.extend(workers_at_work(driver)) or victims)
        for victim in chosen.sample(victims, k=1):
            victims.clear()
            kernels = victim.children()
            victim.kill()
            wait_until(lambda kernels=kernels: not alive(kernels), 5)
    end_of(driver)
    assert end_of(sweep("-g", grid, "--workers", 2)) == 0
    assert_all_complete(folder)


def test_the_driver_is_killed_and_two_take_its_place(sweep, folder):
    grid = "seed=" + ",".join(map(str, range(RUNS)))
    driver = sweep("-g", grid, "--workers", 2)
    wait_until(lambda: len(complete(folder)) >= 8 and workers_at_work(driver))
    others = descendants(driver)
    driver.kill()
    driver.wait()
    wait_until(lambda: not alive(others), 5)
    before = {path: (path / "status.json").stat().st_mtime_ns for path in complete(folder)}

    two = [sweep("-g", grid, "--workers", 1) for _ in range(2)]
    assert [end_of(one) for one in two] == [0, 0]
    assert all(f"{RUNS} complete" in one.told.read_text() for one in two)
    assert_all_complete(folder)
    assert {path: (path / "status.json").stat().st_mtime_ns for path in before} == before


def test_ctrl_c_tells_what_was_lost(sweep, folder):
    driver = sweep("-g", "seed=0,1,2", "-p", "seconds", "60.0", "--workers", 2, start_new_session=True)
    wait_until(lambda: sum("training" in log.read_text() for log in folder.glob("*/log.txt")) == 2)
    others = descendants(driver)
    os.killpg(driver.pid, signal.SIGINT)  # as a terminal does, to all processes that are at work in it
    assert end_of(driver) == 130
    wait_until(lambda: not alive(others), 5)

    told = driver.told.read_text()
    assert "2 interrupted, 1 not started" in told
    assert told.count("is interrupted: interrupted after 'training a'") == 2
    assert "retina-nb: interrupted\n" in told
    assert "Traceback" not in told
    copies = re.findall(r"^    (/.*\.ipynb)$", told, re.MULTILINE)
    assert len(copies) == 2
    assert all(Path(copy).is_file() for copy in copies)


def test_a_scheduler_that_is_lost(start, sweep, folder, tmp_path):
    address = tmp_path / "scheduler.json"
    scheduler = start(
        "scheduler", "--host", "127.0.0.1", "--port", 0, "--no-dashboard", "--scheduler-file", address, command=DASK
    )
    options = ["--scheduler-file", address, "--nthreads", 1, "--no-dashboard", "--no-nanny", "--death-timeout", 5]
    start("worker", *options, command=DASK)
    wait_until(address.exists)
    (address,) = re.findall(r"tcp://[0-9.:]+", address.read_text())
    assert end_of(sweep("-p", "seed", "0", "--scheduler", address)) == 0

    driver = sweep("-g", "seed=0,1,2", "-p", "seconds", "30.0", "--scheduler", address)
    wait_until(lambda: sum("training" in log.read_text() for log in folder.glob("*/log.txt")) == 2)
    scheduler.kill()
    assert end_of(driver) == 1
    assert "the scheduler was lost" in driver.told.read_text()
    assert "interrupted" in driver.told.read_text()


SBATCH = """#!{python}
import os, re, subprocess, sys
script = open(sys.argv[1]).read()
with open("jobs.txt", "a") as jobs:
    jobs.write(script)
out = open("job.txt", "w")
job = subprocess.Popen(["bash", sys.argv[1]], stdout=out, stderr=out)
print(f"Submitted batch job {{job.pid}}")
"""


def test_slurm_gets_a_job_for_each_worker(sweep, folder, tmp_path):
    """With commands instead of SLURM's that start a job here."""
    for name, text in {"sbatch": SBATCH.format(python=sys.executable), "scancel": "#!/bin/sh\nkill $1\n"}.items():
        path = tmp_path / "bin" / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
        path.chmod(0o755)
    environment = os.environ | {"PATH": f"{path.parent}:{os.environ['PATH']}"}
    words = [
        "-g",
        "seed=0,1,2",
        "--workers",
        "1",
        "--slurm",
        "queue=gpu",
        "cores=3",
        "walltime=10:00:00",
        "interface=lo",
    ]
    driver = sweep(*words, env=environment)
    assert end_of(driver) == 0, driver.told.read_text()
    assert_all_complete(folder, 3)
    job = (tmp_path / "jobs.txt").read_text()
    assert job.count("#!/") == 1
    for line in ("#SBATCH -p gpu", "#SBATCH --cpus-per-task=3", "#SBATCH -t 10:00:00", "export OMP_NUM_THREADS=3"):
        assert line in job.splitlines()
    assert "--nthreads 1" in job
