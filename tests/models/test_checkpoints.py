import hashlib
import json
import subprocess
import sys
from functools import partial
from pathlib import Path

import numpy as np
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
from retina_nb.models.parts import assemble
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


def odd_strides(model):
    """Names of what is not laid out as a new tensor of its shape is."""
    return [name for name, value in model.state_dict().items() if value.stride() != torch.empty(value.shape).stride()]


def one_of_each(size=(7, 9), channels=1):
    rng = np.random.default_rng(0)
    movie = rnb.Movie(rng.standard_normal((channels, 400, *size)).astype(np.float32))
    split = np.array(["train"] * 240 + ["validation"] * 80 + ["test"] * 80)
    responses = rng.poisson(np.exp(0.7 * np.roll(movie.frames[0, :, 0, 0], 1)))[:, None].astype(np.float32)
    return rnb.Recording("a", movie, responses, 30.0, split=split, pixel_um=50.0)


def check_saved(model, path, *stimulus):
    assert not odd_strides(model)
    again = rnb.load_twin(rnb.save_model(model, path))
    assert not odd_strides(again)
    assert {name: value.shape for name, value in again.state_dict().items()} == {
        name: value.shape for name, value in model.state_dict().items()
    }
    torch.testing.assert_close(again(*stimulus), model(*stimulus), rtol=0, atol=0)


READOUTS = {
    "gaussian_mask": {},
    "point_gaussian, full": {},
    "point_gaussian, isotropic": {"covariance": "isotropic"},
    "point_gaussian, uncorrelated": {"covariance": "uncorrelated"},
    "factorized": {},
    "linear_nonlinear": {"temporal_kernel_size": 4},
    "linear_nonlinear, product": {"temporal_kernel_size": 4, "rank": 1},
    "spatial_contrast": {"history": 4},
}
CORES = {
    "stacked": {
        "kind": "stacked",
        "hidden_channels": [1, 1],
        "temporal_kernel_sizes": [3, 3],
        "spatial_kernel_sizes": [1, 1],
    },
    "separable": {"convolution": "separable"},
    "full": {"convolution": "full"},
    "speeds": {"session_speeds": True},
    "conv_gru": {"kind": "conv_gru", "recurrent_channels": 1, "input_kernel_size": 1, "recurrent_kernel_size": 1},
    "photoreceptors": {"front_end": {"photoreceptor": "adaptation", "warm_up": 0.1}},
    "pass_through": None,
}


@pytest.mark.parametrize("size", [(7, 9), (1, 9), (9, 1)])
@pytest.mark.parametrize("core", CORES)
@pytest.mark.parametrize("readout", READOUTS)
def test_one_cell_one_channel_one_row_are_saved_by_every_core_and_readout(tmp_path, core, readout, size):
    kind = readout.split(",")[0]
    config = {
        "core": {"kind": "pass_through", "cut": 0} if core == "pass_through" else CORES["stacked"] | CORES[core],
        "readout": {"kind": kind} | READOUTS[readout],
    }
    about = {"neurons": {"a": 1}, "rate_hz": 30.0, "stimulus_mean": 10.0, "stimulus_std": 2.0}
    twin = assemble(config, (1, *size), about).eval()
    check_saved(twin, tmp_path / "one.safetensors", torch.randn(1, 1, 30, *size), "a")


@pytest.mark.parametrize("name", FITS)
def test_one_cell_is_saved_by_every_classical_model(tmp_path, name):
    made = FITS[name]({"a": one_of_each()})
    check_saved(made, tmp_path / "one.safetensors", torch.randn(1, 1, 40, 7, 9), "a")


def test_one_cell_is_saved_by_ensembles_and_autoencoders(tmp_path):
    recording = one_of_each()
    twins = [rnb.build_twin("simulated_retina", recording, overrides=TINY, seed=seed).eval() for seed in (0, 1)]
    check_saved(twins[0], tmp_path / "one.safetensors", torch.randn(1, 1, 20, 7, 9), "a")
    check_saved(rnb.Ensemble(twins), tmp_path / "one.safetensors", torch.randn(1, 1, 20, 7, 9), "a")
    for sizes in ((1, 1), (1, 3), (3, 1), (4, 2)):
        check_saved(SparseAutoencoder(*sizes), tmp_path / "one.safetensors", torch.randn(5, sizes[0]))


LAYOUTS = {
    "expanded": torch.ones(1).expand(4),
    "expanded, one entry": torch.ones(()).expand(1),
    "transposed": torch.arange(6.0).reshape(2, 3).T,
    "every other": torch.arange(8.0)[::2],
    "channels last": torch.randn(2, 3, 4, 5).contiguous(memory_format=torch.channels_last),
    "sparse": torch.eye(3).to_sparse(),
    "conjugate": torch.tensor([1 + 2j]).to(torch.complex64).conj(),
    "no axis": torch.tensor(3.0),
    "empty": torch.zeros(0, 3),
    **{
        str(dtype): torch.ones(2, 1).to(dtype)
        for dtype in (torch.float64, torch.bfloat16, torch.float16, torch.bool, torch.int8)
    },
}


class _Holder(torch.nn.Module):
    kind, config, stimulus_shape = "held", None, None

    def __init__(self, value):
        super().__init__()
        self.about = {}
        self.register_buffer("value", value)
        self.register_buffer("same", value)


@pytest.mark.parametrize("name", LAYOUTS)
def test_any_layout_and_number_is_saved(tmp_path, name):
    value = LAYOUTS[name]
    _, tensors = contents(rnb.save_model(_Holder(value), tmp_path / "held.safetensors"))
    expected = value.to_dense() if value.layout != torch.strided else value
    for found in tensors.values():
        assert found.dtype == value.dtype
        assert torch.equal(found, expected.resolve_conj())


@pytest.mark.parametrize("value", [torch.ones(2, dtype=torch.complex128), torch.ones(2, device="meta")])
def test_what_a_file_cannot_hold_is_told(tmp_path, value):
    with pytest.raises(rnb.UserError, match="cannot be saved: value is a tensor of"):
        rnb.save_model(_Holder(value), tmp_path / "held.safetensors")


def test_a_file_without_its_checksum_is_refused(twin, tmp_path):
    path = twin.save(tmp_path / "twin.safetensors")
    card, tensors = contents(path)
    save_file(tensors, path, metadata={"retina_nb": json.dumps(card)})
    with pytest.raises(rnb.UserError, match=r"twin\.safetensors lacks its checksum"):
        rnb.load_twin(path)


def test_the_shipped_twin_is_what_was_trained():
    """It was saved again to have a checksum; its weights and what is said of them are the same to the bit."""
    _, tensors = contents(Path(rnb.__file__).parent / "twins" / "simulated.safetensors")
    digest = hashlib.sha256()
    for name, value in sorted(tensors.items()):
        digest.update(name.encode() + value.numpy().tobytes())
    assert digest.hexdigest() == "85924753279f5e9d2908332a3ee9345368b3d8410a62a390d5a651d6a9df4337"
    stimulus = torch.randn(1, 2, 40, 18, 16, generator=torch.Generator().manual_seed(0))
    rates = rnb.load_twin("simulated")(stimulus).detach()
    assert float(rates.mean()) == pytest.approx(0.27745256, rel=1e-5)


def test_a_process_with_little_memory_is_told(tmp_path):
    """Limits of a process stay, so it is another one."""
    pytest.importorskip("resource")
    code = """
import resource, sys, torch
import retina_nb as rnb
from retina_nb.models.sparse_autoencoder import SparseAutoencoder
path = sys.argv[1]
rnb.save_model(SparseAutoencoder(3000, 9000), path)
used = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (used + 150 * 2**20,) * 2)
try:
    rnb.load_twin(path)
except rnb.UserError as error:
    print(error)
"""
    done = subprocess.run([sys.executable, "-c", code, tmp_path / "large.safetensors"], capture_output=True, text=True)
    assert "not enough memory" in done.stdout, done.stderr
