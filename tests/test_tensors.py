"""Arrays become tensors without a copy where that is possible, and without a warning."""

import numpy as np
import pytest
import torch
from helpers import TINY, small_recording

import retina_nb as rnb
from retina_nb.tensors import as_tensor

VALUES = np.arange(12.0).reshape(3, 4)


def read_only(array):
    array.setflags(write=False)
    return array


@pytest.mark.parametrize(
    ("array", "shared"),
    [
        (VALUES.copy(), True),
        (read_only(VALUES.copy()), True),
        (np.asfortranarray(VALUES), True),
        (VALUES.astype(np.uint16), True),
        (VALUES.astype(">f4"), False),
        (read_only(VALUES.astype(">i2")), False),
        (VALUES.copy()[:, ::-1], False),
        (VALUES.astype(np.longdouble), False),
    ],
)
def test_a_tensor_has_the_values_and_shares_memory_where_it_can(array, shared):
    tensor = as_tensor(array)
    np.testing.assert_array_equal(tensor.numpy(), np.asarray(array, float))
    assert np.shares_memory(tensor.numpy(), array) == shared


def kept(array, kind):
    """An array kept in another way."""
    made = {
        "read-only": lambda: read_only(array.copy()),
        "big-endian": lambda: array.astype(array.dtype.newbyteorder(">")),
        "Fortran": lambda: np.asfortranarray(array),
        "backwards": lambda: array[..., ::-1].copy()[..., ::-1],
        "double": lambda: array.astype(float),
        "extended": lambda: array.astype(np.longdouble),
    }
    return made[kind]()


@pytest.mark.parametrize("kind", ["read-only", "big-endian", "Fortran", "backwards", "double", "extended"])
def test_whatever_the_arrays_are_kept_in_the_twin_is_the_same(kind):
    plain, scores = small_recording(), {}
    for name in ("plain", kind):
        movie, responses = plain.movie, plain.responses
        if name == kind:
            movie, responses = rnb.Movie(kept(movie.frames, kind)), kept(responses, kind)
        recording = rnb.Recording(
            "a",
            movie,
            responses,
            30.0,
            frames=plain.frames,
            split=plain.split,
            repeats=plain.repeats,
            onsets=np.array([400]),
        )
        twin = rnb.build_twin("simulated_retina", recording, overrides=TINY)
        rnb.fit(twin, recording, max_epochs=1, accelerator="cpu")
        scores[name] = rnb.evaluate(twin, recording, baseline=None)["correlation"].to_numpy()
        stimulus = np.asarray(movie.frames[:, :60], np.float32)
        assert torch.isfinite(torch.tensor(rnb.predict(twin, stimulus, "a"))).all()
    np.testing.assert_allclose(scores[kind], scores["plain"], atol=1e-4)
