"""What `load_recordings`, `datasets` and `fetch` make of names, paths and settings."""

import hashlib

import h5py
import numpy as np
import pytest
from helpers import small_recording
from serving import serving

import retina_nb as rnb
from retina_nb.errors import UserError
from retina_nb.loaders import fetch, liu_2017
from retina_nb.loaders.download import RemoteFile
from retina_nb.loaders.formats import format_of


def test_the_table_of_datasets_tells_what_one_has_to_know(monkeypatch, tmp_path):
    monkeypatch.setenv("RETINA_NB_CACHE", str(tmp_path))
    monkeypatch.delenv("RETINA_NB_DATA", raising=False)
    table = rnb.datasets()
    told = {"summary", "species", "cells", "rate", "pixel_um", "stimulus", "size_mb", "licence", "citation", "cached"}
    assert set(table.columns) == told
    assert table.loc["liu_2017", ["cells", "rate", "licence"]].tolist() == [78, 30.0, "not stated"]
    assert table["cached"].to_dict()["simulated"]
    assert not table["cached"].to_dict()["liu_2017"]


@pytest.fixture
def server(monkeypatch, tmp_path):
    """Serves the two files that liu_2017 wants."""
    monkeypatch.setenv("RETINA_NB_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("RETINA_NB_DATA", raising=False)
    contents = {"spikes.mat": b"spikes" * 100, "noise.h5": b"noise" * 100}
    with serving(contents) as server:
        files = [
            RemoteFile(name, f"{server.url}/{name}", len(content), hashlib.sha256(content).hexdigest())
            for name, content in contents.items()
        ]
        monkeypatch.setattr(liu_2017, "wanted", lambda **_: files)
        yield server


def test_what_was_fetched_is_cached(server, tmp_path):
    assert fetch("liu_2017") == tmp_path / "cache" / "liu_2017"
    assert rnb.datasets().loc["liu_2017", "cached"]
    server.asked.clear()
    fetch("liu_2017", trials=3)
    assert server.asked == []


def test_a_dataset_can_be_fetched_into_a_folder_of_ones_own(server, tmp_path, monkeypatch):
    assert fetch("liu_2017", data_dir=tmp_path / "mine") == tmp_path / "mine"
    assert {path.name for path in (tmp_path / "mine").glob("*.*[!.]*")} >= {"spikes.mat", "noise.h5"}
    monkeypatch.setenv("RETINA_NB_DATA", str(tmp_path / "mine"))
    assert rnb.datasets().loc["liu_2017", "cached"]
    (tmp_path / "mine" / "noise.h5").write_bytes(b"?")
    with pytest.raises(UserError, match=r"noise\.h5 has 1 bytes instead of 500"):
        fetch("liu_2017", data_dir=tmp_path / "mine")


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        ("simulatet", "unknown dataset 'simulatet': did you mean 'simulated'"),
        ("a/b", "there is no file or folder a/b"),
        ("mine.h5", "there is no file or folder mine.h5"),
    ],
)
def test_what_is_neither_a_dataset_nor_a_file(name, problem):
    with pytest.raises(UserError, match=problem):
        rnb.load_recordings(name)


def test_settings_that_do_not_exist_are_told_for_datasets_and_formats(tmp_path):
    with pytest.raises(UserError, match="unknown setting of dataset simulated 'sesions': did you mean 'sessions'"):
        rnb.load_recordings("simulated", sesions=1)
    rnb.write_recordings({"a": small_recording()}, tmp_path / "a.h5")
    with pytest.raises(UserError, match="unknown setting of retina_nb files 'path': known are sessions"):
        rnb.load_recordings(tmp_path / "a.h5", path=3)


def layout(path):
    with h5py.File(path, "w") as file:
        file["responses_noise"] = np.ones((2, 3))


def nwb(path):
    with h5py.File(path, "w") as file:
        file.attrs["nwb_version"] = "2.7.0"


@pytest.mark.parametrize(
    ("write", "name"),
    [(lambda path: rnb.write_recordings({"a": small_recording()}, path), "retina_nb"), (layout, "HDF5"), (nwb, "NWB")],
)
def test_formats_are_known_by_what_files_hold_whatever_their_name(tmp_path, write, name):
    write(tmp_path / "a.h5")
    assert format_of(tmp_path / "a.h5").name == name
    assert format_of(tmp_path).name == name
    (tmp_path / "a.h5").rename(tmp_path / "a.xyz")
    assert format_of(tmp_path / "a.xyz").name == name


def test_folders_of_several_formats_and_files_of_none(tmp_path):
    layout(tmp_path / "a.h5")
    nwb(tmp_path / "b.nwb")
    with pytest.raises(UserError, match=r"has HDF5 files \(a\.h5\) and NWB files \(b\.nwb\)"):
        rnb.load_recordings(tmp_path)
    for content in (b"", b"text", bytes(range(256))):
        (tmp_path / "c.h5").write_bytes(content)
        with pytest.raises(UserError, match=r"c\.h5: it is damaged, incomplete or not an HDF5 file"):
            rnb.load_recordings(tmp_path / "c.h5")
    with h5py.File(tmp_path / "c.h5", "w") as file:
        file["spikes"] = [1, 2]
    with pytest.raises(UserError, match=r"c\.h5 is HDF5, but not in a known layout: it has spikes"):
        rnb.load_recordings(tmp_path / "c.h5")
