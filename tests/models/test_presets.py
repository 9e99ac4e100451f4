import inspect

import numpy as np
import pytest
import torch
from helpers import TINY, small_recording

import retina_nb as rnb
from retina_nb import Movie
from retina_nb.loaders.simulated import load, load_truth
from retina_nb.models.linear_nonlinear import fit_linear_nonlinear
from retina_nb.models.locate import locate_receptive_fields
from retina_nb.models.spatial_contrast import fit_spatial_contrast

PRESET = "hoefling_2024_low_res"


@pytest.mark.parametrize("preset", rnb.presets().index)
def test_every_preset_builds_and_predicts(preset):
    row = rnb.presets().loc[preset]
    channel, height, width = row["input_shape"]
    movie = Movie(np.random.default_rng(0).standard_normal((channel, 240, height, width)).astype(np.float32))
    recordings = {"a": small_recording(neurons=2, time=240, movie=movie, size=(height, width))}
    twin = rnb.build_twin(preset, recordings)
    # On the meta device, since the largest take minutes.
    stimulus = torch.zeros(1, channel, row["lag"] + 2, height, width, device="meta")
    assert twin.to("meta")(stimulus, "a").shape == (1, 2, 2)
    assert twin.config["training"].keys() <= inspect.signature(rnb.fit).parameters.keys()
    assert row["core_parameters"] == sum(weights.numel() for weights in twin.core.parameters())


def test_presets_say_what_they_are():
    table = rnb.presets()
    assert PRESET in table.index
    assert table["summary"].str.len().min() > 20


def test_a_twin_starts_at_the_mean_rates():
    recordings = {"a": small_recording()}
    twin = rnb.build_twin(PRESET, recordings, overrides=TINY)
    readout = twin.session_readout("a")
    rest = torch.nn.functional.softplus(readout.bias).detach().numpy()
    np.testing.assert_allclose(rest, recordings["a"].response("train").mean(axis=0), rtol=1e-4)


def test_receptive_fields_are_located_within_a_pixel_or_two():
    recording = load()["simulated_1"]
    cells = load_truth().neurons("simulated_1")
    error = np.hypot(*(locate_receptive_fields(recording) - cells[["y", "x"]].to_numpy()).T)
    assert np.median(error) < 1
    assert (error < 2).mean() > 0.85


def test_the_same_seed_gives_the_same_twin():
    recordings = {"a": small_recording()}
    one, two, other = (rnb.build_twin(PRESET, recordings, overrides=TINY, seed=seed) for seed in (0, 0, 1))
    torch.testing.assert_close(one.state_dict(), two.state_dict())
    assert not torch.equal(one.core.layers[0].conv.space_weights, other.core.layers[0].conv.space_weights)


def test_overrides_change_the_preset():
    twin = rnb.build_twin(PRESET, {"a": small_recording()}, overrides=[*TINY, "training.learning_rate=0.5"])
    assert twin.core.lag == 6
    assert twin.config["training"]["learning_rate"] == 0.5


@pytest.mark.parametrize(
    ("preset", "overrides", "message"),
    [
        ("hoefling_2024_lowres", [], "did you mean 'hoefling_2024_low_res'"),
        (PRESET, ["core.hiden=3"], r"overrides \['core.hiden=3'\] do not fit"),
        (PRESET, ["nonsense"], "do not fit"),
        (PRESET, ["core.kind=unet"], "unknown core 'unet'"),
        (PRESET, ["readout.kind=dense"], "unknown readout 'dense'"),
        (PRESET, ["core.spatial_kernel_sizes=[30,5]"], "too small"),
        (None, [], "needs a preset"),
    ],
)
def test_what_does_not_fit_is_refused_in_a_sentence(preset, overrides, message):
    with pytest.raises(rnb.UserError, match=message):
        rnb.build_twin(preset, {"a": small_recording(size=(18, 16))}, overrides=overrides)


def test_sessions_must_be_alike():
    recordings = {"a": small_recording("a"), "b": small_recording("b", size=(5, 9))}
    with pytest.raises(rnb.UserError, match=r"session b has a stimulus of .*\(2, 5, 9\)"):
        rnb.build_twin(PRESET, recordings, overrides=TINY)
    with pytest.raises(rnb.UserError, match="no recording"):
        rnb.build_twin(PRESET, {})


def test_a_spatial_contrast_twin_starts_as_the_fitted_model():
    recordings = {"a": small_recording(time=600)}
    twin = rnb.build_twin("spatial_contrast", recordings, overrides=["readout.history=8"]).eval()
    linear = fit_linear_nonlinear(recordings, history=7 / 30)["a"].filters.detach().numpy()
    fitted = fit_spatial_contrast(recordings, averages={"a": linear})
    stimulus = torch.randn(2, 2, 20, 7, 9)
    with torch.no_grad():
        torch.testing.assert_close(twin(stimulus, "a"), fitted(stimulus, "a"), rtol=1e-3, atol=1e-4)
    fit = rnb.fit(twin, recordings, max_epochs=2, accelerator="cpu")
    assert np.isfinite(fit.history["loss"]).all()


@pytest.mark.parametrize("readout", ["gaussian_mask", "point_gaussian", "factorized"])
@pytest.mark.parametrize("core", ["stacked", "conv_gru"])
def test_parts_of_the_default_preset_can_be_swapped(core, readout):
    overrides = [f"core={core}", f"readout={readout}", *TINY]
    twin = rnb.build_twin("simulated_retina", {"a": small_recording()}, overrides=overrides)
    assert (twin.config["core"]["kind"], twin.config["readout"]["kind"]) == (core, readout)


def test_options_that_another_readout_does_not_have_are_named():
    with pytest.raises(rnb.UserError, match="unexpected keyword argument 'initial_spread'"):
        rnb.build_twin("sridhar_2025", {"a": small_recording()}, overrides=["readout=gaussian_mask", *TINY])
