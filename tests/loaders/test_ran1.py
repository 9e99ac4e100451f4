import hashlib
import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from retina_nb.errors import UserError
from retina_nb.loaders import ran1

# First 128 bits and SHA-256 of the first 3,000,001, packed, by Rng(seed).ranb of PyPI retinawhitenoise 1.0.1.
GOLDEN = {
    -10000: (
        "5ed02f0b409cf6cbd1953da34c223858",
        "ef997959ea3161266422c698b63928d10a7e478144326be5972e2dc8230c832c",
    ),
    -20000: (
        "61ca70755961a06c45268d6a8bfad056",
        "0a6aa335ce8fdc11d24ea6e9a6dcb0d9a9120e7b2e86d58c4964746cae5bc0a7",
    ),
    -1: (
        "3ade728dc7455913fbcf393185bb4cd8",
        "dcac22838f1d723d26864e8fd46caf9ae07514058bfdc70682c0c683bee48b1e",
    ),
    -2147483646: (
        "e121333b783108b74b5f8019e6bf49e3",
        "78684b70d3570f3929c2ddeaa1c5bcffa2708c5ee555e324168ee10f3207d28a",
    ),
}


@pytest.mark.parametrize("seed", GOLDEN)
def test_bits_equal_those_of_the_laboratory(seed):
    first, digest = GOLDEN[seed]
    packed, _ = ran1.packed_bits(ran1.start(seed), 3_000_001)
    assert packed[:16].tobytes().hex() == first
    assert hashlib.sha256(packed.tobytes()).hexdigest() == digest


@given(st.integers(1 - 2**31 + 1, -1), st.integers(0, 300), st.integers(0, 300))
def test_a_stream_goes_on_from_its_state(seed, n, more):
    whole, end = ran1.packed_bits(ran1.start(seed), n + more)
    first, state = ran1.packed_bits(ran1.start(seed), n)
    second, last = ran1.packed_bits(state, more)
    joined = np.concatenate([np.unpackbits(first, count=n), np.unpackbits(second, count=more)])
    np.testing.assert_array_equal(np.packbits(joined), whole)
    np.testing.assert_array_equal(last, end)


def test_a_state_can_be_used_again():
    state = ran1.start(-7)
    np.testing.assert_array_equal(ran1.packed_bits(state, 800)[0], ran1.packed_bits(state, 800)[0])


def test_it_is_fast():
    state = ran1.start(-10000)
    ran1.packed_bits(state, 8)  # compiles
    seconds = time.perf_counter()
    ran1.packed_bits(state, 10_000_000)
    assert time.perf_counter() - seconds < 0.5  # 20 ms when nothing else runs


@pytest.mark.parametrize("seed", [0, 1, -(2**31) + 1])
def test_a_seed_out_of_range_is_refused(seed):
    with pytest.raises(UserError, match=f"not {seed}"):
        ran1.start(seed)
