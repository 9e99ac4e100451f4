import collections
import os
import pickle
import random
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest

from retina_nb.errors import UserError
from retina_nb.pickles import load_pickle

DATA = {
    "train": np.arange(2 * 3 * 5 * 7, dtype=np.float32).reshape(2, 3, 5, 7),
    "fortran": np.asfortranarray(np.arange(6).reshape(2, 3)),
    "sequences": np.arange(20, dtype=np.uint8).reshape(4, 5),
    "big_endian": np.arange(3, dtype=">i4"),
    "truth": np.array([True, False]),
    "single": np.array(3.0),
    "nothing": np.zeros((0, 3)),
    "text": np.array(["a", "µm"]),
    "scalar": np.float32(3),
    "plain": [1, -2.5, None, True, "right", b"bytes", (1, (2,)), {3}, frozenset({4}), 5j, bytearray(b"6"), 2**80],
    "trials": {2022: [1, 2], 2023: [3]},
}


def written(tmp_path: Path, content: bytes) -> Path:
    path = tmp_path / "data.pkl"
    path.write_bytes(content)
    return path


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_data_are_read_as_pickle_reads_them(tmp_path, protocol):
    content = pickle.dumps(DATA, protocol=protocol)
    ours, theirs = load_pickle(written(tmp_path, content)), pickle.loads(content)
    assert list(ours) == list(DATA)
    for key, value in theirs.items():
        if isinstance(value, np.ndarray):
            assert type(ours[key]) is np.ndarray
            assert ours[key].dtype == value.dtype
            assert ours[key].flags == value.flags
            np.testing.assert_array_equal(ours[key], value)
        else:
            assert ours[key] == value
            assert type(ours[key]) is type(value)


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_arrays_in_arrays_of_objects_are_read(tmp_path, protocol):
    ragged = np.array([np.arange(2), "k", [np.arange(3)]], dtype=object)
    ours = load_pickle(written(tmp_path, pickle.dumps(ragged, protocol=protocol)))
    np.testing.assert_array_equal(ours[0], [0, 1])
    np.testing.assert_array_equal(ours[2][0], [0, 1, 2])


@pytest.mark.parametrize(("old", "new"), [(b"numpy._core", b"numpy.core"), (b"numpy.core", b"numpy._core")])
def test_arrays_of_numpy_1_and_2_are_read(tmp_path, old, new):
    content = pickle.dumps(DATA["train"], protocol=2).replace(old, new)
    np.testing.assert_array_equal(load_pickle(written(tmp_path, content)), DATA["train"])


def test_an_array_of_python_2_is_read(tmp_path):
    content = (
        b"\x80\x02cnumpy.core.multiarray\n_reconstruct\nq\x01cnumpy\nndarray\nq\x02K\x00\x85U\x01b\x87Rq\x03(K\x01"
        b"K\x02\x85cnumpy\ndtype\nq\x04U\x02f4K\x00K\x01\x87Rq\x05(K\x03U\x01<NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK"
        b"\x00tb\x89U\x08\x00\x00\x80?\x00\x00\x00@tb."
    )
    np.testing.assert_array_equal(load_pickle(written(tmp_path, content)), np.array([1, 2], dtype=np.float32))


def test_what_refers_to_itself_is_read(tmp_path):
    loop = [1]
    loop.append(loop)
    ours = load_pickle(written(tmp_path, pickle.dumps(loop)))
    assert ours[1] is ours


class Attack:
    def __init__(self, *call):
        self.call = call

    def __reduce__(self):
        return self.call


@pytest.mark.parametrize(
    ("content", "name"),
    [
        (Attack(os.mkdir, ("pwned",)), "posix.mkdir"),
        (Attack(eval, ("1",)), "builtins.eval"),
        (Attack(getattr, ("a", "b")), "builtins.getattr"),
        (Attack(np.load, ("a.npy",)), "numpy.load"),
        (np.array([collections.OrderedDict(a=1)], dtype=object), "collections.OrderedDict"),
        (Path("somewhere"), "pathlib"),
    ],
)
def test_anything_but_data_is_refused_by_name(tmp_path, monkeypatch, content, name):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match=rf"data\.pkl asks for {name}.* was not read"):
        load_pickle(written(tmp_path, pickle.dumps({"a": DATA["train"], "b": content})))
    assert not (tmp_path / "pwned").exists()


def test_a_pickle_cannot_change_the_reader(tmp_path):
    """It asks for numpy's scalar and sets an attribute on it, as BUILD can."""
    content = b"\x80\x02cnumpy.core.multiarray\nscalar\n}N}X\x04\x00\x00\x00namecnumpy\ndtype\ns\x86b."
    with pytest.raises(UserError, match=r"data\.pkl"):
        load_pickle(written(tmp_path, content))
    again = load_pickle(written(tmp_path, pickle.dumps(DATA["scalar"])))
    assert again == DATA["scalar"]


@pytest.mark.parametrize("dtype", [[("a", "f4")], "V3", "M8[s]"])
def test_strange_dtypes_are_refused(tmp_path, dtype):
    with pytest.raises(UserError, match=r"data\.pkl.*dtype"):
        load_pickle(written(tmp_path, pickle.dumps(np.zeros(2, dtype=dtype))))


def test_an_array_that_lies_about_its_size_is_refused(tmp_path):
    content = pickle.dumps(np.arange(100, dtype=np.float64)).replace(b"Kd\x85", b"Ke\x85")
    with pytest.raises(UserError, match=r"800 bytes for an array of shape \(101,\)"):
        load_pickle(written(tmp_path, content))


@pytest.mark.parametrize("protocol", [0, 2, 4, 5])
def test_damaged_and_cut_pickles_raise_nothing_but_user_errors(tmp_path, protocol):
    whole = pickle.dumps(DATA, protocol=protocol)
    rng = random.Random(protocol)
    path = tmp_path / "data.pkl"
    for _ in range(300):
        content = bytearray(whole[: rng.randrange(len(whole))] if rng.random() < 0.3 else whole)
        for _ in range(rng.choice([1, 3]) if content else 0):
            content[rng.randrange(len(content))] = rng.randrange(256)
        path.write_bytes(content)
        with suppress(UserError):  # nothing else, and nothing at all where only a pixel changed
            load_pickle(path)


@pytest.mark.parametrize("content", [b"", b"no pickle at all", b"\x80\x04", pickle.dumps(DATA)[:-5]])
def test_what_is_not_a_pickle_is_refused(tmp_path, content):
    with pytest.raises(UserError, match=r"data\.pkl.*get it again"):
        load_pickle(written(tmp_path, content))


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(UserError, match=r"none\.pkl: No such file"):
        load_pickle(tmp_path / "none.pkl")
