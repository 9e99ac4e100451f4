import errno
import io
import subprocess
import sys

import numpy as np
import pytest
from disks import small_disk
from helpers import small_recording

import retina_nb as rnb
from retina_nb.loaders import h5_writing

# In a process of its own, since HDF5 can end it when a disk is full.
LIMITED = """
import resource, sys
from pathlib import Path
import numpy as np
import retina_nb as rnb

movie = rnb.Movie(np.random.default_rng(0).normal(size=(1, 1500, 30, 30)).astype("f4"))
recording = rnb.Recording("a", movie, np.ones((1500, 2), "f4"), 30.0)
path = Path(sys.argv[1], "a.h5")
for limit in (500, 5_000, 500_000, 4_000_000):
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))
    try:
        rnb.write_recordings(recording, path)
    except rnb.UserError as error:
        print(error)
    assert not list(path.parent.iterdir())
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
rnb.write_recordings(recording, path)
assert (rnb.load_recordings(path)["a"].movie.frames[:] == movie.frames).all()
"""


@pytest.mark.skipif(sys.platform == "win32", reason="no limits for files there")
def test_a_file_that_cannot_grow_is_one_sentence_and_leaves_nothing(tmp_path):
    done = subprocess.run([sys.executable, "-c", LIMITED, tmp_path], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    said = done.stdout.splitlines()
    assert said == [f"cannot write {tmp_path / 'a.h5'}: File too large; make room, or choose another folder"] * 4


def test_a_full_disk_is_one_sentence_and_what_was_there_stays(tmp_path):
    movie = rnb.Movie(np.random.default_rng(0).normal(size=(1, 3000, 30, 30)).astype(np.float32))
    recording = rnb.Recording("b", movie, np.ones((3000, 2), np.float32), 30.0)
    with small_disk(tmp_path, 8 * 2**20) as disk:
        before = rnb.write_recordings(small_recording("a"), disk / "x.h5").read_bytes()
        with pytest.raises(rnb.UserError, match=r"cannot write .*x\.h5: No space left on device; make room"):
            rnb.write_recordings(recording, disk / "x.h5")
        assert [path.name for path in disk.iterdir()] == ["x.h5"]
        assert (disk / "x.h5").read_bytes() == before


class Failing(io.FileIO):
    """A disk that fails from some write on, or once."""

    def __init__(self, path, failure: BaseException, at: int, forever: bool) -> None:
        super().__init__(path, "wb+")
        self.failure, self.left, self.forever = failure, at, forever

    def write(self, data) -> int:
        self.left -= 1
        if self.left == 0 or (self.left < 0 and self.forever):
            raise self.failure
        return super().write(bytes(data)[: 2**16])  # a part, as a disk may


@pytest.mark.parametrize("forever", [False, True])
@pytest.mark.parametrize("at", [1, 2, 3, 5, 8, 13, 21, 34])
def test_whichever_write_fails_it_is_told(tmp_path, monkeypatch, at, forever):
    failure = OSError(errno.EIO, "Input/output error")
    monkeypatch.setattr(h5_writing, "open", lambda path, *_, **__: Failing(path, failure, at, forever), raising=False)
    with pytest.raises(rnb.UserError, match=r"cannot write .*a\.h5: Input/output error; choose"):
        rnb.write_recordings({"a": small_recording("a"), "b": small_recording("b", seed=1)}, tmp_path / "a.h5")
    assert list(tmp_path.iterdir()) == []


def test_ctrl_c_while_the_disk_writes_stops_it(tmp_path, monkeypatch):
    failure = KeyboardInterrupt()
    monkeypatch.setattr(h5_writing, "open", lambda path, *_, **__: Failing(path, failure, 9, False), raising=False)
    with pytest.raises(KeyboardInterrupt):
        rnb.write_recordings(small_recording("a"), tmp_path / "a.h5")
    assert list(tmp_path.iterdir()) == []


def test_writes_of_parts_make_the_whole(tmp_path, monkeypatch):
    recording = small_recording("a")
    monkeypatch.setattr(h5_writing, "open", lambda path, *_, **__: Failing(path, OSError(), 0, False), raising=False)
    rnb.write_recordings(recording, tmp_path / "a.h5")
    np.testing.assert_array_equal(rnb.load_recordings(tmp_path / "a.h5")["a"].responses, recording.responses)
