"""A file that is not what it was taken for is called what it is, whoever reads it."""

import gzip
import io
import pickle
import tarfile
import zipfile

import h5py
import numpy as np
import pytest
from PIL import Image
from safetensors.numpy import save
from scipy.io import savemat

import retina_nb as rnb
from retina_nb import UserError
from retina_nb.file_kinds import kind_of
from retina_nb.loaders.npy import open_npy
from retina_nb.pickles import load_pickle


def _bytes(write) -> bytes:
    file = io.BytesIO()
    write(file)
    return file.getvalue()


def _tar(file) -> None:
    with tarfile.open(fileobj=file, mode="w") as archive:
        archive.addfile(tarfile.TarInfo("x"), io.BytesIO())


def _zip(name):
    def write(file) -> None:
        with zipfile.ZipFile(file, "w") as archive:
            archive.writestr(name, b"x")

    return write


CONTENT = {
    "MATLAB file of version 5 to 7": _bytes(lambda file: savemat(file, {"responses_noise": np.zeros((5, 100))})),
    "archive of numpy arrays": _bytes(lambda file: np.savez(file, a=np.zeros(3))),
    "checkpoint of torch": _bytes(_zip("archive/data.pkl")),
    "a zip archive": _bytes(_zip("notes.txt")),
    "compressed by gzip": gzip.compress(b"x"),
    "PNG image": _bytes(lambda file: Image.new("L", (3, 3)).save(file, "png")),
    "TIFF image": _bytes(lambda file: Image.new("L", (3, 3)).save(file, "tiff")),
    "tar archive": _bytes(_tar),
    "pickle": pickle.dumps({"a": np.zeros(3)}),
    "safetensors": save({"a": np.zeros(3, np.float32)}),
    "web page": b"\n<!DOCTYPE html><html>not found</html>",
    "a text": "Zeit, Zählung\n1, 2".encode(),
    "empty": b"",
    "pointer of Git LFS": b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n",
    "NetCDF": b"CDF\x01" + bytes(40),
}


@pytest.mark.parametrize("kind", CONTENT)
def test_a_file_of_another_kind_is_called_what_it_is(tmp_path, kind):
    path = tmp_path / "a.h5"
    path.write_bytes(CONTENT[kind])
    readers = [lambda: rnb.load_recordings(path, rate=30.0), lambda: open_npy(path, "time")]
    readers += [lambda: load_pickle(path)] if kind != "pickle" else []
    for read in readers:
        with pytest.raises(UserError, match=kind) as error:
            read()
        assert "\n" not in str(error.value)
        assert str(path) in str(error.value)


def test_a_damaged_file_of_the_right_kind_is_called_damaged(tmp_path):
    path = tmp_path / "a.h5"
    with h5py.File(path, "w") as file:
        file["x"] = np.zeros(1000)
    path.write_bytes(path.read_bytes()[:2000])
    with pytest.raises(UserError, match="damaged, incomplete or not an HDF5 file"):
        rnb.load_recordings(path)
    np.save(tmp_path / "a.npy", np.zeros(1000))
    (tmp_path / "a.npy").write_bytes((tmp_path / "a.npy").read_bytes()[:500])
    with pytest.raises(UserError, match=r"damaged, incomplete or not a file of numpy\.save"):
        open_npy(tmp_path / "a.npy", "time")


def test_pickled_arrays_are_never_run(tmp_path):
    class Runs:
        def __reduce__(self):
            return (open, (str(tmp_path / "was run"), "w"))

    np.save(tmp_path / "a.npy", np.array([Runs()], object), allow_pickle=True)
    np.savez(tmp_path / "a.npz", a=np.array([Runs()], object))
    for name in ("a.npy", "a.npz"):
        for read in (lambda path: open_npy(path, "time"), rnb.load_recordings, load_pickle):
            with pytest.raises(UserError):
                read(tmp_path / name)
    assert not (tmp_path / "was run").exists()


def test_bytes_of_no_known_kind(tmp_path):
    (tmp_path / "a").write_bytes(bytes(range(256)) * 20)
    assert kind_of(tmp_path / "a") is None
    (tmp_path / "a").write_bytes(("ä" * 4095).encode()[:4096])
    assert kind_of(tmp_path / "a") is not None
