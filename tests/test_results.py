import dataclasses
import datetime
import enum
import json
import subprocess
import sys
from collections import UserDict, deque
from pathlib import Path, PureWindowsPath

import numpy as np
import pandas as pd
import pytest
import torch
from disks import fill, small_disk

import retina_nb as rnb


def written(folder: Path, **results: object) -> dict:
    return json.loads(rnb.write_results(folder, **results).read_text())


def test_results_are_plain_json_with_versions_and_memory(tmp_path):
    results = written(tmp_path / "run", score=np.float32(0.5), undefined=float("nan"), many=np.arange(2), no=None)
    assert results["score"] == 0.5
    assert results["undefined"] is None
    assert results["no"] is None
    assert results["many"] == [0, 1]
    assert results["peak_memory_gb"] > 0.05
    assert {"python", "retina_nb", "torch"} <= results["versions"].keys()


@pytest.mark.parametrize("value", [3.2e-8, 1e-7, 1e-300, 123456.789012345, 1 / 3, -5e-324, 1e22, 2**80])
def test_numbers_keep_all_their_digits(tmp_path, value):
    results = written(tmp_path, alone=value, inside={"p": [value]}, array=np.array([value], np.float64))
    assert results["alone"] == value
    assert results["inside"] == {"p": [value]}
    assert results["array"] == [float(value)]


class Eye(enum.Enum):
    LEFT = "left"


@dataclasses.dataclass
class Score:
    value: float
    of: np.ndarray


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (Path("runs/twin.safetensors"), str(Path("runs/twin.safetensors"))),
        (PureWindowsPath("C:/runs"), "C:\\runs"),
        ({3, 1, 2}, [1, 2, 3]),
        (frozenset({"b", 1}), ["b", 1]),
        (range(3), [0, 1, 2]),
        (deque([1]), [1]),
        ({"a": 1}.keys(), ["a"]),
        (UserDict(a=(1, 2)), {"a": [1, 2]}),
        ({1: "a", None: "b"}, {"1": "a", "None": "b"}),
        (Eye.LEFT, "left"),
        (Score(0.5, np.array([[1.0, np.nan]])), {"value": 0.5, "of": [[1.0, None]]}),
        (datetime.datetime(2020, 1, 2, 3), "2020-01-02T03:00:00"),
        (datetime.date(2020, 1, 2), "2020-01-02"),
        (datetime.timedelta(minutes=1), 60.0),
        (np.array(["2020-01-02"], "datetime64[ns]"), ["2020-01-02T00:00:00"]),
        (np.timedelta64(1500, "ms"), 1.5),
        (pd.NaT, None),
        (pd.Series([1.5, None]), [1.5, None]),
        (pd.DataFrame({"a": [1, 2], "b": ["x", None]}), [{"a": 1, "b": "x"}, {"a": 2, "b": None}]),
        (pd.DataFrame({"a": [0.5]}, pd.Index(["n1"], name="neuron")), [{"neuron": "n1", "a": 0.5}]),
        (pd.DataFrame({"a": pd.array([1, None], "Int64")}), [{"a": 1}, {"a": None}]),
        (torch.tensor([1.0, 2.0], requires_grad=True), [1.0, 2.0]),
        (torch.tensor(3, dtype=torch.int8), 3),
        (torch.tensor(0.5, dtype=torch.bfloat16), 0.5),
        (np.bool_(True), True),
        (np.str_("µ"), "µ"),
        ("\udcff", "\udcff"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_what_json_does_not_know_is_text_a_list_or_a_dictionary(tmp_path, value, expected):
    results = written(tmp_path, alone=value, inside=[{"it": value}])
    assert results["alone"] == expected
    assert results["inside"] == [{"it": expected}]


def test_what_is_infinite_is_null_and_said(tmp_path):
    with pytest.warns(UserWarning, match=r"the result losses\.1 is infinite, and is written as null"):
        assert written(tmp_path, losses=[1.0, -np.inf])["losses"] == [1.0, None]


cycle: list = [1]
cycle.append(cycle)


@pytest.mark.parametrize(
    ("results", "problem"),
    [
        ({"x": {"y": object()}}, r"the result x\.y is a object, which has no place in a JSON file: give numbers"),
        ({"x": [1j]}, r"the result x\.0 is a complex"),
        ({"x": np.array([1j])}, r"the result x\.0 is a complex"),
        ({"x": b"bytes"}, "the result x is a bytes"),
        ({"x": (n for n in range(3))}, "the result x is a generator"),
        ({"x": np.float64}, "the result x is a type"),
        ({"x": {1: "a", "1": "b"}}, "the result x has two entries that are both written as '1': rename one"),
        ({"x": pd.DataFrame([[1, 2]], columns=["a", "a"])}, "the result x has two entries .* 'a'"),
        ({"x": cycle}, "the result x holds itself, or is nested too deeply"),
        ({"x": 10**5000}, "the results cannot be written as JSON"),
        ({"versions": 1}, "write_results adds versions itself"),
    ],
)
def test_what_cannot_be_written_is_named_and_older_results_stay(tmp_path, results, problem):
    before = rnb.write_results(tmp_path, score=1).read_bytes()
    with pytest.raises(rnb.UserError, match=problem) as error:
        rnb.write_results(tmp_path, **results)
    assert "\n" not in str(error.value)
    assert [path.name for path in tmp_path.iterdir()] == ["results.json"]
    assert (tmp_path / "results.json").read_bytes() == before


def test_results_in_a_folder_that_cannot_be_written_are_refused(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(rnb.UserError, match="cannot write"):
        rnb.write_results(tmp_path / "file", score=1)


def test_results_on_a_full_disk_are_refused_and_older_ones_stay(tmp_path):
    with small_disk(tmp_path, 2**20) as disk:
        before = rnb.write_results(disk, score=1).read_bytes()
        fill(disk, left=30_000)
        with pytest.raises(rnb.UserError, match=r"cannot write .*results\.json: No space left on device; make room"):
            rnb.write_results(disk, many=list(range(100_000)))
        assert {path.name for path in disk.iterdir()} == {"filler", "results.json"}
        assert (disk / "results.json").read_bytes() == before


# Only modules of this package miss what Windows does not have: it is the test that runs on another system.
WITHOUT_UNIX = """
import builtins, os, pkgutil, signal, sys
from importlib import import_module
import retina_nb as rnb

modules = [one.name for one in pkgutil.walk_packages(rnb.__path__, "retina_nb.") if not one.name.endswith("__main__")]
for name in modules:
    import_module(name)  # and with it all that is not of this package
for name in [name for name in sys.modules if name.partition(".")[0] == "retina_nb"]:
    del sys.modules[name]

MISSING = {"resource", "fcntl", "pwd", "grp", "termios", "pty", "tty", "posix", "syslog", "curses"}
usual = builtins.__import__

def without(name, globals=None, *rest, **others):
    if name.partition(".")[0] in MISSING and (globals or {}).get("__name__", "").startswith("retina_nb"):
        raise ModuleNotFoundError(f"No module named {name!r}", name=name)
    return usual(name, globals, *rest, **others)

builtins.__import__ = without
for module, names in (
    (os, "fork geteuid getuid getgid getegid killpg getpgid setpgid setsid uname sched_getaffinity getloadavg mkfifo"),
    (signal, "SIGHUP SIGKILL SIGQUIT SIGUSR1 SIGUSR2 SIGALRM SIGCHLD SIGPIPE SIGCONT SIGSTOP alarm setitimer"),
):
    for name in names.split():
        if hasattr(module, name):
            delattr(module, name)

import retina_nb as rnb

for name in modules:
    import_module(name)
print(len(modules), rnb.write_results(sys.argv[1], score=1).read_text())
"""


def test_every_module_is_imported_on_windows_too(tmp_path):
    done = subprocess.run([sys.executable, "-c", WITHOUT_UNIX, tmp_path], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    count, text = done.stdout.split(maxsplit=1)
    assert int(count) > 200
    assert json.loads(text)["peak_memory_gb"] > 0.05


def test_results_are_written_where_the_system_does_not_say_the_memory(tmp_path):
    script = (
        "import sys; sys.modules |= {'resource': None, 'fcntl': None, 'psutil': None}; import retina_nb as rnb; "
        "rnb.write_results(sys.argv[1], a=1); from retina_nb.sweeps import run_notebook"
    )
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", script, tmp_path], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    results = json.loads((tmp_path / "results.json").read_text())
    assert (results["a"], results["peak_memory_gb"]) == (1, None)
