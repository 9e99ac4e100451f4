"""Published twins, from a server of this test's own."""

import hashlib
from pathlib import Path

import numpy as np
import pytest
import torch
from serving import serving

import retina_nb as rnb
from retina_nb.loaders import download
from retina_nb.models import published

GOLDEN = Path(__file__).parents[1] / "golden" / "checkpoints"
NAME = "hoefling_2024_low_res"


@pytest.fixture
def server(tmp_path, monkeypatch):
    monkeypatch.setenv("RETINA_NB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(download, "PAUSE", 0.01)
    files = {published.PUBLISHED[NAME].place: (GOLDEN / "hoefling_low_res_mask.ckpt").read_bytes()}
    with serving(files) as server:
        monkeypatch.setenv("HF_ENDPOINT", server.url)
        yield server


def test_a_published_twin_is_downloaded_once_and_then_needs_no_network(server, monkeypatch):
    assert not rnb.zoo().loc[NAME, "cached"]
    twin = rnb.load_twin(NAME)
    assert twin.stimulus_shape == (2, 18, 16)
    asked = len(server.asked)
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    again = rnb.load_twin(NAME)
    assert len(server.asked) == asked
    stimulus = torch.randn(1, 2, 40, 18, 16)
    torch.testing.assert_close(again(stimulus), twin(stimulus))
    row = rnb.zoo().loc[NAME]
    assert row["cached"]
    said = np.concatenate([*twin.about["scores"]["sessions"].values()])
    assert row["score"] == pytest.approx(np.median(said), abs=1e-3)
    assert "Correlation" in row["score_source"]


def test_a_download_that_breaks_off_is_taken_up(server):
    server.script = ["breaks off", 503]
    assert rnb.load_twin(NAME).sessions == ["session_1_ventral1_20201021", "session_2_ventral2_20201016"]
    assert max(server.starts) > 0


def test_a_twin_that_is_damaged_on_disk_is_noticed(server):
    rnb.load_twin(NAME)
    path = published.find_published(NAME)
    content = bytearray(path.read_bytes())
    content[1000] ^= 0xFF
    path.write_bytes(content)
    with pytest.raises(rnb.UserError, match=path.name):
        rnb.load_twin(NAME)


def test_a_twin_that_was_recorded_wrongly_is_downloaded_again(server, tmp_path):
    rnb.load_twin(NAME)
    path = published.find_published(NAME)
    right = path.read_bytes()
    path.write_bytes(b"half of it")
    wrong = hashlib.sha256(b"half of it").hexdigest()
    place, time = published.PUBLISHED[NAME].place, path.stat().st_mtime_ns
    download._write_record(download.Record(place, "", 10, wrong, "2026", time), tmp_path / "cache" / "hub")
    assert rnb.load_twin(NAME).stimulus_shape == (2, 18, 16)
    assert path.read_bytes() == right


def test_a_twin_that_is_gone_is_said_to_be(server, monkeypatch):
    with pytest.raises(rnb.UserError, match="404"):
        rnb.load_twin("goldin_2022_mouse")
    gone = published.PublishedTwin(f"{server.url}/gone.ckpt", *["x"] * 2, 1, (1, 2, 3), 1.0, 1.0, "")
    monkeypatch.setattr(published, "_is_address", lambda place: place.startswith("http"))
    monkeypatch.setitem(published.PUBLISHED, "karamanlis_2024_gru", gone)
    with pytest.raises(rnb.UserError, match=r"gone\.ckpt.*404"):
        rnb.load_twin("karamanlis_2024_gru")


def test_every_published_name_is_in_the_table():
    table = rnb.zoo()
    names = {
        *("hoefling_2024_low_res", "hoefling_2024_high_res", "karamanlis_2024_mouse", "karamanlis_2024_marmoset"),
        *("maheswaranathan_2023", "sridhar_2025", "goldin_2022_axolotl", "goldin_2022_mouse"),
        *("hoefling_2024_base_low_res", "hoefling_2024_base_high_res", "karamanlis_2024_base", "karamanlis_2024_gru"),
        *("maheswaranathan_2023_base", "maheswaranathan_2023_gru"),
    }
    assert names == set(table.index)
    columns = {"dataset", "species", "cells", "input_shape", "rate_hz", "pixel_um", "score", "licence", "cached"}
    assert columns <= set(table.columns)


def test_an_unknown_name_gets_the_closest():
    with pytest.raises(rnb.UserError, match="did you mean 'hoefling_2024_low_res'"):
        rnb.load_twin("hoefling_2024_lowres")
