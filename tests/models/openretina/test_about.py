"""What is told of a checkpoint: corrected where it is known to be wrong, asked for where it is missing."""

import logging
from pathlib import Path

import pytest

import retina_nb as rnb

FOLDER = Path(__file__).parents[2] / "golden" / "checkpoints"


def test_a_wrong_pixel_size_is_corrected_and_said(caplog):
    with caplog.at_level(logging.WARNING):
        twin = rnb.load_twin(FOLDER / "hoefling_low_res_mask.ckpt")
    assert twin.about["pixel_um"] == 50
    assert twin.about["rate_hz"] == 30
    assert "pixel_um: the file says 12.5" in caplog.text


def test_what_is_missing_is_asked_for_by_name(caplog):
    path = FOLDER / "example_legacy_bias_param.ckpt"
    with caplog.at_level(logging.WARNING):
        twin = rnb.load_twin(path)
    assert 'about={"rate_hz": ..., "pixel_um": ...}' in caplog.text
    assert twin.about["rate_hz"] is None
    assert rnb.load_twin(path, about={"rate_hz": 30.0}).about["rate_hz"] == 30


def test_units_in_texts_are_understood_and_what_is_not_a_number_is_unknown():
    twin = rnb.load_twin(FOLDER / "variants" / "full.ckpt")
    assert twin.about["rate_hz"] == 85
    assert twin.about["pixel_um"] is None
    assert twin.about["stimulus_mean"] is None


def test_a_card_tells_what_matters(capsys, tmp_path):
    twin = rnb.load_twin(FOLDER / "hoefling_low_res_mask.ckpt")
    twin.card()
    card = capsys.readouterr().out
    for text in ("18 x 16 pixels of 50 µm", "lag of 30 bins at 30 Hz", "12 in 2 sessions", "test CorrelationLoss3d"):
        assert text in card
    rnb.load_twin(twin.save(tmp_path / "twin.safetensors")).card()
    assert capsys.readouterr().out == card


def test_a_card_warns_of_a_twin_that_sees_the_future(capsys):
    rnb.load_twin(FOLDER / "variants" / "pad_same.ckpt").card()
    assert "NOT CAUSAL: sees 5 bins of the future" in capsys.readouterr().out


def test_what_was_known_of_sessions_travels_with_the_twin(tmp_path):
    twin = rnb.load_twin(FOLDER / "hoefling_low_res_mask.ckpt")
    session = twin.about["sessions"]["session_1_ventral1_20201021"]
    assert session["eye"] in ("left", "right")
    assert session["roi_mask"].shape == (64, 64)
    again = rnb.load_twin(twin.save(tmp_path / "twin.safetensors")).about["sessions"]["session_1_ventral1_20201021"]
    assert (again["roi_mask"] == session["roi_mask"]).all()
    assert again["scan_sequence_idx"] == session["scan_sequence_idx"]


@pytest.mark.parametrize("name", ["hoefling_low_res_point_gaussian", "gru_core"])
def test_a_converted_file_is_told_of_by_the_command(name, tmp_path, capsys):
    from retina_nb.cli import main

    assert main(["convert", str(FOLDER / f"{name}.ckpt"), str(tmp_path / "ours.safetensors")]) == 0
    assert "cells" in capsys.readouterr().out
    assert main(["card", str(tmp_path / "ours.safetensors")]) == 0
    assert "lag of 30 bins" in capsys.readouterr().out
    assert main(["convert", str(tmp_path / "nothing.ckpt"), str(tmp_path / "x.safetensors")]) == 2
    assert "no twin at" in capsys.readouterr().err
