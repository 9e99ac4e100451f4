"""Twins by OpenRetina predict here what they predict there."""

from pathlib import Path

import numpy as np
import pytest
import torch

import retina_nb as rnb
from retina_nb.models.openretina import read_checkpoint
from retina_nb.models.openretina.pickled import read_pickled

FOLDER = Path(__file__).parents[2] / "golden" / "checkpoints"
FILES = sorted([*FOLDER.glob("*.ckpt"), *(FOLDER / "variants").glob("*.ckpt")])
# Where penalties are means over neurons there as well, by the kind of readout or by setting.
MEANS = {"factorized", "linear_nonlinear", "mask_averaged", "example_averaged", "point_isotropic"}


@pytest.fixture(params=FILES, ids=lambda path: path.stem, scope="module")
def golden(request):
    return request.param, rnb.load_twin(request.param), dict(np.load(request.param.with_suffix(".npz")))


def close(found: torch.Tensor, expected: np.ndarray) -> None:
    np.testing.assert_allclose(found.detach().numpy(), expected, rtol=1e-5, atol=1e-5 * np.abs(expected).max())


def test_every_session_alone_and_all_together(golden):
    _, twin, values = golden
    stimulus = torch.from_numpy(values["stimulus"])
    expected = {name.split("/")[1]: value for name, value in values.items() if name.startswith("response/")}
    assert twin.sessions == sorted(expected)
    assert not twin.training
    with torch.no_grad():
        for session, rates in expected.items():
            close(twin(stimulus, session), rates)
            assert stimulus.shape[2] - twin.lag == rates.shape[1]
        close(twin(stimulus), np.concatenate([expected[session] for session in twin.sessions], axis=-1))


def test_penalties_where_they_mean_the_same(golden):
    path, twin, values = golden
    for session in twin.sessions:
        expected = values.get(f"regularizer_head/{session}", values[f"regularizer/{session}"])
        mean = bool({path.stem, twin.config["readout"]["kind"]} & MEANS)
        times = 1 if mean else twin.about["neurons"][session]
        close(times * twin.session_readout(session).regularizer(), expected)


def test_the_penalty_of_the_core_but_for_weights_without_effect(golden):
    path, twin, values = golden
    found = read_pickled(path)
    # Their temporal kernels have a sine of frequency 0, which is zero, and whose weights are penalised all the same.
    dead = sum(
        float((0.1 * sines[..., 0]).square().sum() / len(sines))
        for name, sines in found["state_dict"].items()
        if name.endswith("sin_weights")
    )
    if dead:
        dead *= twin.config["core"]["speed"]
    expected = values.get("regularizer_head/core", values["regularizer/core"])
    close(twin.core.regularizer() + dead, expected)


def test_a_converted_twin_predicts_the_same(golden, tmp_path):
    _, twin, values = golden
    stimulus = torch.from_numpy(values["stimulus"])
    again = rnb.load_twin(twin.save(tmp_path / "ours.safetensors"))
    with torch.no_grad():
        torch.testing.assert_close(again(stimulus), twin(stimulus), rtol=0, atol=0)
    assert again.lookahead == twin.lookahead
    assert again.about["rate_hz"] == twin.about["rate_hz"]


@pytest.mark.parametrize(
    ("name", "other"),
    [
        ("core.features.layer0.bias.bias", "xore.features.layer0.bias.bias"),
        ("core.features.layer0.bias.bias", "core.featurxs.layer0.bias.bias"),
        ("core.features.layer1.bias.bias", "core.features.layxr1.bias.bias"),
        ("core.features.layer1.bias.bias", "core.features.layer1.bxas.bias"),
    ],
)
def test_weights_under_another_name_are_not_lost(monkeypatch, name, other):
    path = FOLDER / "example_legacy_bias_param.ckpt"
    found = read_pickled(path)
    found["state_dict"][other] = found["state_dict"].pop(name)
    monkeypatch.setattr("retina_nb.models.openretina.read_pickled", lambda _: found)
    with pytest.raises(
        rnb.UserError, match=f"{path.name}: the checkpoint has weights .*what they do is not known here"
    ):
        read_checkpoint(path)
