"""Spatial contrast models and single-cell models by OpenRetina predict here what they predict there."""

import logging
from pathlib import Path

import numpy as np
import pytest
import torch

import retina_nb as rnb

FOLDER = Path(__file__).parents[2] / "golden" / "checkpoints"
CELLS = sorted((FOLDER / "single_cells").glob("*.ckpt"))
GIVEN = {"single_contrast_cropped": "rf_location", "single_lnp": "nonlinearity"}


def given(path, values):
    told = {"rf_location": values.get("place", np.zeros(2)).astype(int).tolist(), "nonlinearity": "softplus"}
    return {name: told[name] for name in (GIVEN.get(path.stem),) if name}


@pytest.mark.parametrize("path", CELLS, ids=lambda path: path.stem)
def test_they_predict_the_same_before_and_after_they_are_saved(path, tmp_path):
    values = dict(np.load(path.with_suffix(".npz")))
    model = rnb.load_twin(path, about=given(path, values))
    again = rnb.load_twin(rnb.save_model(model, tmp_path / "ours.safetensors"))
    expected = {name.split("/")[1]: value for name, value in values.items() if name.startswith("response/")}
    assert model.about["neurons"] == {session: rates.shape[-1] for session, rates in expected.items()}
    for session, rates in expected.items():
        for one in (model, again):
            found = rnb.predict(one, values["stimulus"][0], session)
            np.testing.assert_allclose(found, rates[0], rtol=1e-5, atol=1e-5 * np.abs(rates).max())


@pytest.mark.parametrize("name", GIVEN)
def test_what_a_file_does_not_say_is_asked_for(name):
    path = FOLDER / "single_cells" / f"{name}.ckpt"
    with pytest.raises(
        rnb.UserError, match=rf"{name}\.ckpt: .*does not say.* load_twin\(\.\.\., about={{\"{GIVEN[name]}\": "
    ):
        rnb.load_twin(path)
    for odd in ("x", [1], [0.5, 2], [[1], 2], 3):
        with pytest.raises(rnb.UserError, match=rf"{name}\.ckpt: "):
            rnb.load_twin(path, about={GIVEN[name]: odd})


def test_speeds_of_sessions_are_kept_and_said(caplog, capsys, tmp_path):
    """Theirs predicts at speed 1 whatever they are (`test_golden`)."""
    with caplog.at_level(logging.WARNING):
        twin = rnb.load_twin(FOLDER / "variants" / "gru_off.ckpt")
    assert "gru_off.ckpt has a speed for each session" in caplog.text
    speeds = twin.about["session_speeds"]
    assert sorted(speeds) == twin.sessions
    assert all(speed != 1 for speed in speeds.values())
    rnb.load_twin(twin.save(tmp_path / "ours.safetensors")).card()
    assert f"{min(speeds.values()):.3g} to {max(speeds.values()):.3g}: kept, not used" in capsys.readouterr().out


def test_without_hyperparameters_there_is_no_other_model(tmp_path):
    torch.save({"state_dict": {"w": torch.zeros(2)}}, tmp_path / "bare.ckpt")
    with pytest.raises(rnb.UserError, match=r"bare\.ckpt: it is not a Lightning checkpoint with hyper_parameters"):
        rnb.load_twin(tmp_path / "bare.ckpt")
