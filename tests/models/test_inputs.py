"""What is no stimulus is refused by every kind of model in a sentence, and what is one gives the right rates."""

from functools import partial

import numpy as np
import pytest
import torch
from helpers import TINY, small_recording

import retina_nb as rnb
from retina_nb.models.glm import fit_glm
from retina_nb.models.linear_nonlinear import fit_linear_nonlinear
from retina_nb.models.spatial_contrast import fit_spatial_contrast
from retina_nb.models.subunit_fits import fit_subunits


def twin(recording, seed=0, readout="gaussian_mask"):
    overrides = [*TINY, f"readout={readout}"]
    return rnb.build_twin("hoefling_2024_low_res", recording, overrides=overrides, seed=seed).eval()


KINDS = {
    "twin": twin,
    "point": partial(twin, readout="point_gaussian"),
    "factorized": partial(twin, readout="factorized"),
    "ensemble": lambda recording: rnb.Ensemble([twin(recording), twin(recording, 1)]),
    "linear_nonlinear": lambda recording: fit_linear_nonlinear({"a": recording}, history=0.2),
    "glm": lambda recording: fit_glm({"a": recording}, history=0.2),
    "spatial_contrast": lambda recording: fit_spatial_contrast({"a": recording}),
    "subunits": lambda recording: fit_subunits({"a": recording}, history=0.2),
}


@pytest.fixture(scope="module", params=KINDS)
def model(request):
    return KINDS[request.param](small_recording(neurons=2, time=600))


def noise(dtype=np.float32):
    return np.random.default_rng(0).integers(-3, 4, (2, 40, 7, 9)).astype(dtype)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 1e300, -1e300])
def test_values_that_are_not_finite_are_told_by_their_bin(model, value):
    stimulus = noise(np.float64)
    stimulus[1, 33, 2, 3] = value
    with pytest.raises(rnb.UserError, match=r"NaN, infinite or beyond 3e38 in bin 33"):
        rnb.predict(model, stimulus, "a")
    with np.errstate(over="ignore"):
        shown = torch.from_numpy(stimulus.astype(np.float32))[None]
    with pytest.raises(rnb.UserError, match="NaN or infinite"):
        model(shown, "a")


@pytest.mark.parametrize("dtype", ["c8", "c16", object, "U3", "M8[s]"])
def test_what_are_no_real_numbers_are_refused(model, dtype):
    with pytest.raises(rnb.UserError, match="must be of real numbers"):
        rnb.predict(model, noise(object).astype(dtype) if dtype != "M8[s]" else noise(int).astype(dtype), "a")


@pytest.mark.parametrize("dtype", ["f8", "f2", "i8", "i1", ">f4", ">i2", "g"])
def test_other_real_numbers_give_the_same_rates(model, dtype):
    expected = rnb.predict(model, noise(), "a")
    found = noise(dtype)
    found.flags.writeable = False
    np.testing.assert_array_equal(rnb.predict(model, found, "a"), expected)
    np.testing.assert_array_equal(rnb.predict(model, noise().swapaxes(2, 3).copy().swapaxes(2, 3), "a"), expected)


@pytest.mark.parametrize("dtype", [torch.int64, torch.uint8, torch.bool, torch.complex64, torch.float64, torch.float16])
def test_tensors_of_other_numbers_than_the_model_are_refused(model, dtype):
    with pytest.raises(rnb.UserError, match=r"give stimulus\.(float\(\)|to\(torch\.float32\))"):
        model(torch.from_numpy(noise())[None].to(dtype), "a")


def test_gradients_are_taken_as_before(model):
    stimulus = torch.from_numpy(noise())[None].requires_grad_()
    if not any(isinstance(one, torch.nn.Module) and type(one).__name__ == "GLM" for one in model.modules()):
        model(stimulus, "a").sum().backward()
        assert stimulus.grad.isfinite().all()
