import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from disks import fill, small_disk
from helpers import TINY, small_recording

import retina_nb as rnb
from retina_nb import files
from retina_nb.files import absolute_path, expand_path, replace_file, writing


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def test_a_file_appears_whole_or_not_at_all(tmp_path):
    path = tmp_path / "new" / "file.txt"
    with pytest.raises(ZeroDivisionError), replace_file(path) as temporary:
        temporary.write_text(f"half{1 / 0}")
    assert names(path.parent) == set()
    with replace_file(path) as temporary:
        temporary.write_text("whole")
        assert not path.exists()
        assert temporary.suffix == ".txt"
    assert path.read_text() == "whole"
    assert names(path.parent) == {"file.txt"}


def test_an_old_file_survives_a_failed_write(tmp_path):
    path = tmp_path / "file.txt"
    path.write_text("old")
    with pytest.raises(RuntimeError), replace_file(path):
        raise RuntimeError
    assert path.read_text() == "old"


def test_a_folder_is_not_written_over(tmp_path):
    with pytest.raises(rnb.UserError, match="it is a folder; give the name of a file"), replace_file(tmp_path):
        pass


@pytest.mark.skipif(os.name != "posix", reason="files have no such rights there")
def test_others_may_read_a_file_as_the_user_has_it(tmp_path):
    before = os.umask(0o027)
    try:
        with replace_file(tmp_path / "a") as temporary:
            temporary.write_text("a")
    finally:
        os.umask(before)
    assert (tmp_path / "a").stat().st_mode & 0o777 == 0o640


def test_a_full_disk_is_one_sentence_and_leaves_the_old_file(tmp_path):
    with small_disk(tmp_path, 2**20) as disk:
        twin = rnb.build_twin("simulated_retina", small_recording(), overrides=TINY)
        before = twin.save(disk / "twin.safetensors").read_bytes()
        fill(disk)
        for write in (
            lambda: twin.save(disk / "twin.safetensors"),
            lambda: rnb.stimuli.save_stimulus(
                rnb.stimuli.chirp(rnb.stimuli.Screen((20, 20), 30.0, 50.0, 2)), disk / "chirp.npy"
            ),
        ):
            with pytest.raises(rnb.UserError, match=rf"cannot write {disk}/.*: .*; (make room|choose)") as error:
                write()
            assert "\n" not in str(error.value)
        assert names(disk) == {"twin.safetensors", "filler"}
        assert (disk / "twin.safetensors").read_bytes() == before


def test_what_the_system_says_is_said_with_what_to_do():
    for error, sentence in (
        (PermissionError(13, "Permission denied"), "cannot write there: Permission denied; ask the owner"),
        (OSError("3 requested"), "cannot write there: is the disk full? 3 requested; ask the owner"),
    ):
        with pytest.raises(rnb.UserError) as told, writing("there", "ask the owner"):
            raise error
        assert str(told.value) == sentence


KILLED = """
import os, signal, sys
from retina_nb.files import replace_file
with replace_file(sys.argv[1]) as temporary:
    temporary.write_text("half")
    print(temporary.name, flush=True)
    if sys.argv[2] == "die":
        os.kill(os.getpid(), signal.SIGKILL)
    sys.stdin.read()
"""


def writer(path: Path, what: str) -> subprocess.Popen:
    command = [sys.executable, "-c", KILLED, path, what]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="no such signal there")
def test_what_a_killed_writer_left_is_removed_at_the_next_use_of_the_folder(tmp_path):
    mine = {".notes.txt", ".retina_nb-notes", ".retina_nb-00000000-1-00000000.h5"}  # the last: of another machine
    for name in mine:
        (tmp_path / name).write_text("mine")
    with writer(tmp_path / "dead.h5", "die") as dead:
        left = dead.stdout.readline().strip()
    assert names(tmp_path) == mine | {left}
    with writer(tmp_path / "alive.h5", "wait") as alive:
        writing_now = alive.stdout.readline().strip()
        assert names(tmp_path) == mine | {writing_now}
        with replace_file(tmp_path / "new.txt") as temporary:
            temporary.write_text("new")
        assert names(tmp_path) == mine | {writing_now, "new.txt"}
        alive.stdin.close()
    assert names(tmp_path) == mine | {"alive.h5", "new.txt"}
    assert (tmp_path / "alive.h5").read_text() == "half"


def test_a_large_folder_is_not_searched_for_every_file(tmp_path, monkeypatch):
    for number in range(500):
        (tmp_path / str(number)).touch()
    searched = []
    monkeypatch.setattr(files.os, "listdir", lambda folder: searched.append(1) or list(map(str, range(500))))
    for number in range(12):
        with replace_file(tmp_path / f"new{number}"):
            pass
    assert len(searched) == 2


@pytest.fixture
def home(tmp_path, monkeypatch) -> Path:
    (tmp_path / "home").mkdir()
    (tmp_path / "work").mkdir()
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("USERPROFILE", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path / "work")
    return tmp_path / "home"


def test_home_is_meant_wherever_a_path_is_given(home):
    recording = small_recording()
    twin = rnb.build_twin("simulated_retina", recording, overrides=TINY)
    assert twin.save("~/twin.safetensors") == home / "twin.safetensors"
    assert torch.equal(next(rnb.load_twin("~/twin.safetensors").parameters()), next(twin.parameters()))
    assert rnb.write_recordings(recording, "~/a.h5") == home / "a.h5"
    assert list(rnb.load_recordings("~/a.h5")) == ["a"]
    assert rnb.loaders.stored.load("~/a.h5").keys() == {"a"}
    assert rnb.write_results("~/run", score=1) == home / "run" / "results.json"
    stimulus = rnb.stimuli.chirp(rnb.stimuli.Screen((4, 5), 30.0, 50.0, 2))
    assert rnb.stimuli.save_stimulus(stimulus, "~/chirp.npy") == home / "chirp.npy"
    assert rnb.stimuli.load_stimulus("~/chirp.npy").frames.shape == stimulus.frames.shape
    rnb.fit(twin, recording, max_epochs=1, folder="~/training", batch_size=8, chunk_size=40, accelerator="cpu")
    assert (home / "training" / "last.ckpt").exists()
    assert names(home.parent / "work") == set()


def test_home_is_meant_in_settings(home, monkeypatch):
    monkeypatch.setenv("RETINA_NB_CACHE", "~/cache")
    assert rnb.loaders.download.cache_dir() == home / "cache"
    monkeypatch.setenv("RETINA_NB_DATA", "~")
    assert rnb.loaders.download.user_folders("liu_2017", None) == [home]
    for setting in ("RETINA_NB_CACHE", "RETINA_NB_DATA"):
        monkeypatch.setenv(setting, "~nobody9/x")
    with pytest.raises(rnb.UserError, match="RETINA_NB_CACHE: there is no home folder ~nobody9 for ~nobody9/x"):
        rnb.loaders.download.cache_dir()
    with pytest.raises(rnb.UserError, match="RETINA_NB_DATA: there is no home folder ~nobody9 for ~nobody9/x"):
        rnb.loaders.download.user_folders("liu_2017", None)


def test_a_file_whose_name_begins_like_a_home_folder_is_itself(home):
    Path("~lock.h5").write_text("x")
    assert expand_path("~lock.h5") == Path("~lock.h5")


@pytest.mark.parametrize(
    ("path", "problem"),
    [
        ("", "the path is empty"),
        (" ", "the path is empty"),
        (None, "a path must be text, not None"),
        (b"a.h5", "a path must be text, not b'a.h5'"),
        (3, "a path must be text, not 3"),
        ("a\0.h5", "has a null character"),
        ("\ud800.h5", "has half a character"),
        ("~nobody9/a.h5", "there is no home folder ~nobody9 for ~nobody9/a.h5; give the path without ~"),
    ],
)
def test_what_is_no_path_is_one_sentence(path, problem):
    with pytest.raises(rnb.UserError, match=problem):
        expand_path(path)


@pytest.mark.parametrize("name", ["données µm", "名前", "a b#c%d", "x" * 200])
def test_any_name_that_the_disk_takes_is_one(tmp_path, name):
    path = tmp_path / name / f"{name}.h5"
    assert rnb.write_recordings(small_recording(), path) == path
    assert list(rnb.load_recordings(path)) == ["a"]
    assert names(path.parent) == {path.name}


def test_a_name_that_the_disk_does_not_take_is_one_sentence(tmp_path):
    with pytest.raises(rnb.UserError, match=r"cannot write .*: File name too long; choose"):
        rnb.write_results(tmp_path / ("x" * 300), score=1)


@pytest.mark.skipif(os.name != "posix", reason="a working directory cannot be deleted there")
def test_a_working_directory_that_was_deleted_is_one_sentence(tmp_path, monkeypatch):
    (tmp_path / "gone").mkdir()
    monkeypatch.chdir(tmp_path / "gone")
    (tmp_path / "gone").rmdir()
    with pytest.raises(rnb.UserError, match="runs is in the working directory, which has been deleted"):
        absolute_path("runs")
    with pytest.raises(rnb.UserError, match="cannot write"):
        rnb.write_results("runs", score=1)
    assert rnb.write_results(tmp_path / "runs", score=1).exists()
