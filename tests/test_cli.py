"""The command as a person uses it: what it prints, where, and its exit status."""

import errno
import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest
from serving import serving

import retina_nb as rnb
from retina_nb import loaders, sweeps
from retina_nb.cli import main
from retina_nb.loaders import download, hub

NOTEBOOK = """# %% tags=["parameters"]
epochs = 2
rate = 0.1
name = "a"
layers = [1]

# %%
assert name != "bad", "the name is bad"
"""


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("01_tiny.py").write_text(NOTEBOOK)
    return tmp_path


@pytest.fixture
def runs(monkeypatch):
    """The parameters of every run that is asked for, instead of the runs."""
    asked = []

    def remember(notebook, output, parameters):
        output.mkdir(parents=True)
        asked.append((str(notebook), str(output), parameters))

    monkeypatch.setattr(sweeps, "run_notebook", remember)
    return asked


def test_a_run_and_a_failed_run_from_a_shell(folder):
    def run(*words):
        command = [Path(sys.executable).with_name("retina-nb"), "run", "01_tiny.py", *words]
        return subprocess.run(command, capture_output=True, text=True, check=False)

    done = run("-p", "epochs", "3")
    assert (done.returncode, done.stdout) == (0, "in runs/01_tiny:\n  01_tiny.ipynb\n")

    failed = run("-p", "name", "bad", "-o", "bad")
    assert (failed.returncode, failed.stdout) == (1, "")
    copy = folder / "bad" / "01_tiny.failed.ipynb"
    assert failed.stderr.splitlines()[-1] == f"retina-nb: AssertionError: the name is bad (see {copy})"
    assert copy.exists()


def test_values_are_yaml_and_the_last_word_wins(runs):
    Path("a.yaml").write_text("epochs: 5\nrate: 1e-4\n")
    Path("b.yaml").write_text("epochs: 7\nname: b\n")
    words = "run 01_tiny.py -p name 1 -p name=null -f a.yaml -f b.yaml -p layers [3,4] -p epochs 1e3 -o runs/x"
    assert main(words.split()) == 0
    assert runs == [
        ("01_tiny.py", "runs/x", {"epochs": 1000.0, "rate": 1e-4, "name": "null", "layers": [3, 4]}),
    ]


@pytest.mark.parametrize(
    "text",
    [
        "20210713_1",
        "01",
        "no",
        "2021-07-13",
        "2024-13-45",
        "1e5",
        "runs/run #3/t.safetensors",
        "!!int x",
        "a: b",
        "",
        "-1",
    ],
)
def test_what_is_text_by_default_is_text(runs, text):
    assert main(["run", "01_tiny.py", "-p", "name", text]) == 0
    assert main(["run", "-p", f"name={text}", "01_tiny.py", "-o", "quoted", "-p", "name", f'"{text}"']) == 0
    Path("a.yaml").write_text(f"name: {text}\n" if text[:1].isalnum() and "#" not in text and ":" not in text else "")
    assert main(["run", "01_tiny.py", "-f", "a.yaml", "-o", "file"]) == 0
    assert [given.get("name", text) for _, _, given in runs] == [text] * 3


@pytest.mark.parametrize(
    ("name", "word", "value"),
    [
        ("epochs", "010", 10),
        ("epochs", "0x10", 16),
        ("rate", "-1e-3", -1e-3),
        ("rate", "-inf", float("-inf")),
        ("rate", "1", 1),
        ("anything", "2021-07-13", "2021-07-13"),
        ("anything", "runs/run #3/a", "runs/run #3/a"),
        ("anything", "# 3", "# 3"),
        ("anything", "null", None),
        ("anything", "[1, 'a']", [1, "a"]),
        ("flag", "no", False),
        ("flag", "TRUE", True),
        ("names", "[01, no, 20210713_1]", ["01", "no", "20210713_1"]),
        ("layers", "[01, 2]", [1, 2]),
        ("settings", "{name: 01, n: 01}", {"name": "01", "n": 1}),
    ],
)
def test_other_values_are_yaml_without_its_oddities(runs, name, word, value):
    defaults = 'anything = None\nflag = False\nnames = ["a"]\nsettings = {"name": "a", "n": 1}\n'
    Path("01_tiny.py").write_text(NOTEBOOK.replace("epochs = 2\n", "epochs = 2\n" + defaults))
    assert main(["run", "01_tiny.py", "-p", name, word]) == 0
    assert runs[0][2] == {name: value}
    if name != "anything":
        Path("a.yaml").write_text(f"{name}: {word}\n")
        assert main(["run", "01_tiny.py", "-f", "a.yaml", "-o", "file"]) == 0
        assert runs[1][2] == {name: value}


BOMB = "a: &a [x, x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{new}: &{new} [{', '.join([f'*{old}'] * 10)}]\n" for old, new in zip("abcdefgh", "bcdefghi", strict=True)
)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        (BOMB, "has more than 100000 values"),
        (BOMB.replace("[", "{k: ").replace("]", "}").replace(", ", ", k: "), "has"),
        ("layers: &a [*a]", "holds itself"),
        ("epochs: &a {<<: *a}", "holds itself"),
        ("layers: " + "[" * 3000 + "]" * 3000, "nested too deeply"),
        ("layers: " + "[" * 60 + "]" * 60, "more than 50 lists in each other"),
        ("epochs: !!int x", "not YAML"),
        ("epochs: !!float x", "not YAML"),
        ("epochs: !!bool maybe", "not YAML"),
        ("epochs: !!timestamp x", "not YAML"),
        ("epochs: !!python/object/apply:os.getcwd []", "not YAML"),
        ("epochs: " + "9" * 5000, "not YAML"),
        ("epochs: 1\nepochs: 2", "has epochs twice"),
        ("epochs: 2024-13-45", "cannot be the str '2024-13-45'"),
        ("rate: 1" + "0" * 400, "cannot be the int 1000"),
        ("a" * 1_100_000, "it has more than 1 MB"),
    ],
)
def test_a_file_that_no_memory_holds_or_no_value_is_is_one_line(capsys, text, complaint):
    Path("a.yaml").write_text(text)
    assert main(["run", "01_tiny.py", "-f", "a.yaml"]) == 2
    error = capsys.readouterr().err
    assert complaint in error
    assert len(error.splitlines()) == 1
    assert len(error) < 700


@pytest.mark.parametrize(
    "word", ["!!int abc", "!!float abc", "!!bool maybe", "!!timestamp abc", "9" * 5000, "[" * 3000]
)
def test_a_word_that_is_no_value_is_one_line(capsys, word):
    assert main(["run", "01_tiny.py", "-p", "layers", word]) == 2
    error = capsys.readouterr().err
    assert error.startswith("retina-nb: ")
    assert len(error.splitlines()) == 1


@pytest.mark.parametrize(
    ("words", "hint"),
    [
        (["run", "01_tiny.py", "epochs=3"], "to set a parameter, write -p epochs=3"),
        (["run", "01_tiny.py", "-p", "epochs"], "'epochs' has no value: write NAME=VALUE"),
        (["run", "01_tiny.py", "-p"], "expected one argument"),
        (["run", "01_tiny.py", "--wrong"], "unrecognized arguments: --wrong\n"),
    ],
)
def test_words_that_fit_nowhere_come_with_a_hint(capsys, words, hint):
    with pytest.raises(SystemExit):
        main(words)
    assert hint in capsys.readouterr().err


def test_a_terminal_without_greek_and_a_reader_that_leaves(folder):
    environment = os.environ | {"PYTHONIOENCODING": "ascii", "LC_ALL": "C"}
    script = "import sys; from retina_nb import cli; cli._print_table = lambda _: print('5 \\xb5m') or 0; "
    script += "sys.exit(cli.main())"
    shown = subprocess.run([sys.executable, "-c", script, "datasets"], capture_output=True, env=environment, check=True)
    assert shown.stdout == b"5 \\xb5m\n"
    script = script.replace("print('5 \\xb5m')", "print('line\\n' * 100_000)")
    reader, writer = os.pipe()
    os.close(reader)
    gone = subprocess.run(
        [sys.executable, "-c", script, "datasets"], stdout=writer, stderr=subprocess.PIPE, check=False
    )
    os.close(writer)
    assert (gone.returncode, gone.stderr) == (128 + signal.SIGPIPE, b"")


@pytest.fixture
def not_ignored(number):
    """Signals that end a process, also where the tests are run under nohup."""
    before = signal.signal(number, signal.SIG_DFL)
    yield
    signal.signal(number, before)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
@pytest.mark.usefixtures("not_ignored")
def test_a_signal_that_ends_it_is_told(monkeypatch, capsys, number):
    monkeypatch.setattr(sweeps, "run_notebook", lambda *_: os.kill(os.getpid(), number))
    assert main(["run", "01_tiny.py"]) == 128 + number
    assert capsys.readouterr().err == f"retina-nb: ended by {number.name}\n"
    assert signal.getsignal(number) is signal.SIG_DFL


def test_a_full_disk_and_a_deleted_working_folder_are_one_line(folder, monkeypatch, capsys):
    def full(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "runs/x")

    with monkeypatch.context() as patch:
        patch.setattr(sweeps, "run_notebook", full)
        assert main(["run", "01_tiny.py"]) == 1
    assert capsys.readouterr().err == "retina-nb: No space left on device: runs/x\n"
    gone = folder / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    assert main(["run", str(folder / "01_tiny.py")]) == 2
    assert "was deleted: change to another one" in capsys.readouterr().err


def test_a_preset_that_is_not_there_is_noticed_before_anything_runs(folder, capsys):
    Path("01_tiny.py").write_text(NOTEBOOK.replace("epochs = 2\n", 'preset = "simulated_retina"\noverrides = []\n'))
    assert main(["run", "01_tiny.py", "-p", "preset", "simulated_retna"]) == 2
    assert "did you mean 'simulated_retina'?" in capsys.readouterr().err
    assert not Path("runs").exists()


def test_without_an_output_folder_the_run_is_named_after_its_notebook(runs):
    assert main(["run", "01_tiny.py"]) == 0
    assert runs == [("01_tiny.py", "runs/01_tiny", {})]


@pytest.mark.parametrize(
    ("twin", "shown"), [(0.871, "twin 0.87, linear-nonlinear 0.60"), (None, "linear-nonlinear 0.60")]
)
def test_a_run_tells_its_files_and_its_scores_with_their_ceilings(monkeypatch, capsys, twin, shown):
    def run(notebook, output, parameters):
        output.mkdir(parents=True)
        results = {
            "neurons": 35,
            "cc_norm": {"twin": twin, "linear_nonlinear": 0.6},
            "correlation": {"linear_nonlinear": 0.4},
            "cc_max": 0.75,
        }
        Path(output, "results.json").write_text(json.dumps(results))
        Path(output, ".hidden").write_text("")
        Path(output, "logs").mkdir()

    monkeypatch.setattr(sweeps, "run_notebook", run)
    assert main(["run", "01_tiny.py", "-o", "runs/x"]) == 0
    assert capsys.readouterr().out.splitlines() == [
        "in runs/x:",
        "  logs/",
        "  results.json",
        "medians over 35 neurons, on test stimuli:",
        f"  CC_norm      {shown}, at best 1.00",
        "  correlation  linear-nonlinear 0.40, at best 0.75",
    ]


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        ("run 01_tinny.py", "unknown notebook"),
        ("run 01_tiny.py -p epoch 3", "unknown parameter of 01_tiny.py 'epoch': did you mean 'epochs'?"),
        ("run 01_tiny.py -p epochs three", "cannot be the str 'three'"),
        ("run 01_tiny.py -p layers [3,", "the value of layers is not YAML"),
        ("run 01_tiny.py -f none.yaml", "cannot read the parameters in none.yaml: No such file"),
        ("run 01_tiny.py -f list.yaml", "list.yaml must have lines of the form 'name: value', not a list"),
        ("run 01_tiny.py -f binary.yaml", "cannot read the parameters in binary.yaml: it is not text"),
        ("run 01_tiny.py -o list.yaml", "cannot write to the output folder"),
    ],
)
def test_bad_input_is_one_line_and_status_2(folder, capsys, words, complaint):
    Path("list.yaml").write_text("- 1")
    Path("binary.yaml").write_bytes(b"\xff\xfe\x00")
    before = sorted(folder.rglob("*"))
    assert main(words.split()) == 2
    out, error = capsys.readouterr()
    assert out == ""
    assert len(error.splitlines()) == 1
    assert error.startswith("retina-nb: ")
    assert complaint in error
    assert sorted(folder.rglob("*")) == before


@pytest.fixture
def published(monkeypatch, tmp_path):
    """A dataset on a hub of its own, of which `load` needs a file for each session and resolution."""

    def wanted(*, resolution="low", sessions=None, **_):
        return [f"{session}_{resolution}.h5" for session in sessions or ["a", "b"]]

    def load(*, data_dir=None, resolution="low", sessions=None, seed=0):
        raise AssertionError("only the files are asked for")

    monkeypatch.setenv("RETINA_NB_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("RETINA_NB_DATA", raising=False)
    monkeypatch.setitem(hub.ROOTS, "published", "some_lab/published")
    monkeypatch.setattr(loaders, "_DATASETS", ("published",))
    module = ModuleType("published")
    module.load, module.wanted = load, wanted
    monkeypatch.setitem(sys.modules, "retina_nb.loaders.published", module)
    names = [f"{session}_{resolution}" for session in "ab" for resolution in ("low", "high")]
    with serving({f"some_lab/published/{name}.h5": name.encode() for name in names}) as server:
        monkeypatch.setenv("HF_ENDPOINT", server.url)
        yield server


@pytest.mark.parametrize(
    ("words", "folder", "files"),
    [
        ("", "cache/published", {"a_low.h5", "b_low.h5"}),
        ("--resolution high --sessions b", "cache/published", {"b_high.h5"}),
        ("--sessions a b -p seed 3 --data-dir mine", "mine", {"a_low.h5", "b_low.h5"}),
    ],
)
def test_fetch_downloads_what_the_same_settings_need(published, tmp_path, monkeypatch, capsys, words, folder, files):
    monkeypatch.chdir(tmp_path)
    assert main(["fetch", "published", *words.split()]) == 0
    where = tmp_path / folder if folder.startswith("cache") else Path(folder)
    assert capsys.readouterr().out == f"published is in {where}\n"
    assert {path.name for path in where.glob("*.h5")} == files
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")  # and now without a network
    assert main(["fetch", "published", *words.split()]) == 0


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        ("fetch publisht", "unknown dataset 'publisht': did you mean 'published'?"),
        ("fetch published -p sede 3", "unknown setting of dataset published 'sede': did you mean 'seed'?"),
        ("fetch published --sessions none", "none_low.h5: the server answered 404"),
    ],
)
def test_what_cannot_be_fetched_is_one_line_and_status_2(published, capsys, words, complaint):
    assert main(words.split()) == 2
    error = capsys.readouterr().err
    assert complaint in error
    assert len(error.splitlines()) == 1


def test_without_a_network_fetch_says_so_in_one_line(published, monkeypatch, capsys):
    monkeypatch.setattr(download, "PAUSE", 0.001)
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    assert main(["fetch", "published"]) == 2
    error = capsys.readouterr().err
    assert "no connection to the server" in error
    assert len(error.splitlines()) == 1


def test_a_dataset_that_is_made_here_cannot_be_fetched(capsys):
    assert main(["fetch", "simulated"]) == 2
    assert "made on this machine" in capsys.readouterr().err


def test_an_interrupted_run_says_so(monkeypatch, capsys):
    def interrupt(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(sweeps, "run_notebook", interrupt)
    assert main(["run", "01_tiny.py"]) == 130
    assert capsys.readouterr().err == "retina-nb: interrupted\n"


@pytest.mark.parametrize("command", ["datasets", "presets"])
def test_tables_name_and_describe_each_row(command, capsys):
    assert main([command]) == 0
    out = capsys.readouterr().out
    for name, row in getattr(rnb, command)().iterrows():
        assert f"{name}: {row['summary']}" in out.splitlines()
        assert all(str(value) in out for value in row if isinstance(value, str | int))
    assert not re.search(r"\bnan\b|\bNone\b|<NA>|rate \d+\.\d{6}", out)


def test_the_command_starts_without_the_libraries_that_take_seconds():
    heavy = "{'torch', 'numpy', 'pandas', 'papermill', 'jupytext', 'lightning'}"
    script = f"import sys, retina_nb.cli; print(sorted({heavy} & sys.modules.keys()))"
    assert subprocess.check_output([sys.executable, "-c", script], text=True) == "[]\n"
