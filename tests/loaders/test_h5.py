import h5py
import numpy as np
import pytest

from retina_nb.errors import UserError
from retina_nb.loaders import h5


@pytest.fixture
def path(tmp_path):
    with h5py.File(tmp_path / "data.h5", "w") as file:
        session = file.create_group("session_1")
        session.attrs.update({"eye": b"left", "order": np.int64(3), "many": [1, 2]})
        session["order_too"] = 4
        session["responses"] = np.arange(15, dtype=">f4").reshape(3, 5)
        session["holes"] = np.array([1.0, np.nan])
        session["nothing"] = np.zeros((0, 5))
        session["names"] = np.array([b"a", b"b"])
        session.create_dataset("packed", data=np.arange(3000.0).reshape(3, 1000), compression="gzip", chunks=(1, 1000))
    return tmp_path / "data.h5"


def test_what_fits_is_read(path):
    with h5.open_h5(path) as file:
        values = h5.read(file, "session_1/responses", axes="neuron time", shape=(3, None))
        np.testing.assert_array_equal(values, np.arange(15).reshape(3, 5))
        assert values.dtype.isnative
        assert h5.keys(h5.group(file, "session_1"))[0] == "holes"
        assert np.isnan(h5.read(file, "session_1/holes", axes="neuron", finite=False)[1])


def test_single_values_are_read_from_attributes_and_arrays(path):
    with h5.open_h5(path) as file:
        session = h5.group(file, "session_1")
        assert h5.attribute(session, "eye") == "left"
        assert h5.attribute(session, "order") == 3
        assert h5.attribute(session, "order_too") == 4
        assert h5.attributes(session) == {"eye": "left", "order": 3}
        with pytest.raises(UserError, match="many must be a single value"):
            h5.attribute(session, "many")
        with pytest.raises(UserError, match="none is missing"):
            h5.attribute(session, "none")


@pytest.mark.parametrize(
    ("key", "options", "says"),
    [
        ("session_1/respones", {"axes": "neuron time"}, "/session_1/respones? is missing, there is holes, names"),
        ("session_2/responses", {"axes": "neuron time"}, "is missing, there is session_1"),
        ("session_1", {"axes": "neuron time"}, "must be an array, it is a group"),
        ("session_1/responses", {"axes": "time"}, r"must be floats or integers \(time\), not >f4 \(3, 5\)"),
        ("session_1/responses", {"axes": "neuron time", "shape": (4, None)}, r"\(neuron 4, time\), not"),
        ("session_1/responses", {"axes": "neuron time", "kind": h5.INTEGERS}, "must be integers"),
        ("session_1/names", {"axes": "neuron"}, r"not \|S1"),
        ("session_1/nothing", {"axes": "neuron time"}, "is empty"),
        ("session_1/holes", {"axes": "neuron"}, r"is nan at \(1,\)"),
    ],
)
def test_what_does_not_fit_is_named_with_file_and_key(path, key, options, says):
    with h5.open_h5(path) as file, pytest.raises(UserError, match=says) as error:
        h5.read(file, key, **options)
    assert str(path) in str(error.value)
    assert key in str(error.value)


def test_an_array_is_no_group(path):
    with h5.open_h5(path) as file, pytest.raises(UserError, match="must be a group"):
        h5.group(file, "session_1/responses")


def test_files_that_cannot_be_opened_are_named(path, tmp_path):
    path.write_bytes(path.read_bytes()[:-100])
    (tmp_path / "text.h5").write_text("no HDF5")
    for name in ("data.h5", "text.h5"):
        with (
            pytest.raises(UserError, match=f"{name}: it is damaged, incomplete or not an HDF5"),
            h5.open_h5(tmp_path / name),
        ):
            pass
    with pytest.raises(UserError, match=r"there is no file .*none\.h5"), h5.open_h5(tmp_path / "none.h5"):
        pass


def test_damaged_data_are_named(path):
    with h5py.File(path) as file:
        chunk = file["session_1/packed"].id.get_chunk_info(1)
    content = bytearray(path.read_bytes())
    content[chunk.byte_offset : chunk.byte_offset + 40] = b"\xff" * 40
    path.write_bytes(content)
    with h5.open_h5(path) as file:
        with pytest.raises(UserError, match=r"/session_1/packed cannot be read.*damaged"):
            h5.read(file, "session_1/packed", axes="neuron time")
        first = h5.dataset(file, "session_1/packed", axes="neuron time")
        np.testing.assert_array_equal(h5.read_part(first, 0), np.arange(1000.0))
