import json
from functools import partial

import pytest
import torch
from helpers import TINY, small_recording
from model_files import contents, sealed
from safetensors import safe_open
from safetensors.torch import save_file

import retina_nb as rnb
from retina_nb.cores import Core
from retina_nb.models.glm import fit_glm
from retina_nb.models.linear_nonlinear import fit_linear_nonlinear
from retina_nb.models.sparse_autoencoder import SparseAutoencoder
from retina_nb.models.spatial_contrast import fit_spatial_contrast
from retina_nb.models.subunit_fits import fit_subunits
from retina_nb.readouts import GaussianMaskReadout, SessionReadouts


@pytest.fixture
def twin():
    recordings = {name: small_recording(name, neurons=n) for name, n in (("a", 3), ("b", 2))}
    return rnb.build_twin("hoefling_2024_low_res", recordings, overrides=TINY).eval()


def test_a_round_trip_keeps_predictions_and_knowledge(twin, tmp_path):
    twin.about["scores"] = {"cc_norm": 0.5}
    loaded = rnb.load_twin(twin.save(tmp_path / "new" / "twin.safetensors"))
    stimulus = torch.randn(2, 2, 20, 7, 9)
    torch.testing.assert_close(loaded(stimulus), twin(stimulus))
    assert loaded.sessions == ["a", "b"]
    assert loaded.about["rate_hz"] == 30
    assert loaded.about["pixel_um"] == 50
    assert loaded.about["scores"] == {"cc_norm": 0.5}
    assert not loaded.training


def test_parts_made_by_hand_are_given_again(tmp_path):
    class Mine(Core):
        def __init__(self):
            super().__init__()
            self.conv = torch.nn.Conv3d(2, 3, (4, 3, 3))

        def forward(self, x):
            return self.conv(x)

    recordings = {"a": small_recording()}

    def parts():
        return {"core": Mine(), "readout": SessionReadouts({"a": GaussianMaskReadout((3, 1, 5, 7), 3)})}

    made = rnb.build_twin(recordings=recordings, **parts())
    assert made.lag == 3
    path = made.save(tmp_path / "mine.safetensors")
    stimulus = torch.randn(1, 2, 9, 7, 9)
    torch.testing.assert_close(rnb.load_twin(path, **parts())(stimulus), made.eval()(stimulus))
    with pytest.raises(rnb.UserError, match="made of parts by hand"):
        rnb.load_twin(path)
    with pytest.raises(rnb.UserError, match="has shape"):
        rnb.load_twin(path, core=Mine(), readout=SessionReadouts({"a": GaussianMaskReadout((3, 1, 5, 7), 4)}))
    with pytest.raises(rnb.UserError, match=r"missing|another model"):
        rnb.load_twin(path, core=Mine(), readout=SessionReadouts({"z": GaussianMaskReadout((3, 1, 5, 7), 3)}))


def test_a_missing_truncated_or_foreign_file_is_refused(twin, tmp_path):
    path = twin.save(tmp_path / "twin.safetensors")
    with pytest.raises(rnb.UserError, match="no twin at"):
        rnb.load_twin(tmp_path / "nothing.safetensors")
    (tmp_path / "cut.safetensors").write_bytes(path.read_bytes()[:500])
    with pytest.raises(rnb.UserError, match="damaged"):
        rnb.load_twin(tmp_path / "cut.safetensors")
    (tmp_path / "text.safetensors").write_text("not a twin")
    with pytest.raises(rnb.UserError, match="damaged"):
        rnb.load_twin(tmp_path / "text.safetensors")
    save_file({"x": torch.zeros(3)}, tmp_path / "other.safetensors")
    with pytest.raises(rnb.UserError, match="not a model"):
        rnb.load_twin(tmp_path / "other.safetensors")


def test_weights_of_other_shapes_are_refused_by_name(twin, tmp_path):
    path = twin.save(tmp_path / "wrong.safetensors")
    card, weights = contents(path)
    weights["readout.readouts.a.bias"] = torch.zeros(7)
    sealed(path, card, weights)
    with pytest.raises(rnb.UserError, match=r"readout.readouts.a.bias has shape \(7,\), the model needs \(3,\)"):
        rnb.load_twin(tmp_path / "wrong.safetensors")


def test_a_folder_that_cannot_be_written_is_refused_and_nothing_is_left(twin, tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(rnb.UserError, match="cannot write"):
        twin.save(tmp_path / "file" / "twin.safetensors")
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


FITS = {
    "linear_nonlinear": fit_linear_nonlinear,
    "full filters, exponential": partial(fit_linear_nonlinear, rank=None, nonlinearity="exp"),
    "glm": fit_glm,
    "spatial_contrast": fit_spatial_contrast,
    "subunits": fit_subunits,
}


@pytest.mark.parametrize("name", FITS)
def test_single_cell_models_are_saved_and_loaded_like_twins(name, tmp_path):
    recordings = {"a": small_recording(time=600, neurons=2), "b": small_recording("b", time=600, neurons=3, seed=1)}
    made = FITS[name](recordings)
    stimulus = torch.randn(1, 2, 40, 7, 9)
    again = rnb.load_twin(rnb.save_model(made, tmp_path / "all.safetensors"))
    torch.testing.assert_close(again(stimulus, "b"), made(stimulus, "b"))
    assert again.about["rate_hz"] == 30
    one = rnb.load_twin(rnb.save_model(made["a"], tmp_path / "one.safetensors"))
    torch.testing.assert_close(one(stimulus), made(stimulus, "a"))


def test_ensembles_and_autoencoders_are_saved_and_loaded_like_twins(twin, tmp_path):
    recordings = {name: small_recording(name, neurons=n) for name, n in (("a", 3), ("b", 2))}
    other = rnb.build_twin("hoefling_2024_low_res", recordings, overrides=[*TINY, "readout=point_gaussian"], seed=1)
    ensemble = rnb.Ensemble([twin, other.eval()])
    stimulus = torch.randn(1, 2, 20, 7, 9)
    again = rnb.load_twin(rnb.save_model(ensemble, tmp_path / "ensemble.safetensors"))
    torch.testing.assert_close(again(stimulus), ensemble(stimulus))
    code = SparseAutoencoder(5, 9, top_k=3)
    activations = torch.randn(4, 5)
    again = rnb.load_twin(rnb.save_model(code, tmp_path / "code.safetensors"))
    torch.testing.assert_close(again.encode(activations), code.encode(activations))


def test_a_kind_that_is_not_known_is_refused(twin, tmp_path):
    path = twin.save(tmp_path / "other.safetensors")
    card, weights = contents(path)
    sealed(path, card | {"kind": "unet"}, weights)
    with pytest.raises(rnb.UserError, match=r"unknown kind of model .* 'unet'"):
        rnb.load_twin(tmp_path / "other.safetensors")


def test_a_changed_file_is_refused(twin, tmp_path):
    path = twin.save(tmp_path / "twin.safetensors")
    with safe_open(path, "pt") as file:
        metadata, tensors = file.metadata(), {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    card = json.loads(metadata["retina_nb"])
    del card["config"]["core"]["convolution"]
    other = {name: value + 0.1 if value.is_floating_point() else value for name, value in tensors.items()}
    for changed, said in ((tensors, json.dumps(card)), (other, metadata["retina_nb"])):
        save_file(changed, path, metadata=metadata | {"retina_nb": said})
        with pytest.raises(rnb.UserError, match=r"twin\.safetensors is not what was saved"):
            rnb.load_twin(path)


@pytest.mark.parametrize("start", [b"\x80", b"PK"])
def test_a_file_whose_header_is_as_long_as_a_pickle_begins_is_read(twin, tmp_path, start):
    """A safetensors file begins with the length of its header."""
    path = twin.save(tmp_path / "twin.safetensors")
    content = path.read_bytes()
    length = int.from_bytes(content[:8], "little")
    wanted = length + 1
    while not wanted.to_bytes(8, "little").startswith(start):
        wanted += 1
    path.write_bytes(wanted.to_bytes(8, "little") + content[8 : 8 + length].ljust(wanted) + content[8 + length :])
    assert rnb.load_twin(path).sessions == twin.sessions


def test_a_device_that_is_not_there_is_told():
    with pytest.raises(rnb.UserError, match="cannot put the twin on 'gpu'"):
        rnb.load_twin("simulated", device="gpu")
