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


# ---- files that draw on others, hold themselves, or claim what they do not have


DRAWING = {
    "external link": lambda file, other: file.__setitem__("x", h5py.ExternalLink(str(other), "/secret")),
    "external link in a group": lambda file, other: file.__setitem__("a/b/x", h5py.ExternalLink(str(other), "/secret")),
    "external link to nowhere": lambda file, other: file.__setitem__("x", h5py.ExternalLink("/none", "/x")),
    "external storage": lambda file, other: file.create_dataset("x", (10,), "u1", external=[(str(other), 0, 10)]),
    "virtual dataset": lambda file, other: file.create_virtual_dataset("x", _layout(other)),
}


def _layout(other):
    layout = h5py.VirtualLayout((10,), "f8")
    layout[:] = h5py.VirtualSource(str(other), "secret", (10,))
    return layout


@pytest.mark.parametrize("kind", DRAWING)
def test_a_file_that_draws_on_others_is_refused_before_it_is_read(path, tmp_path, kind):
    with h5py.File(tmp_path / "other.h5", "w") as file:
        file["secret"] = np.arange(10.0)
    with h5py.File(path, "r+") as file:
        DRAWING[kind](file, tmp_path / "other.h5")
    with (
        pytest.raises(UserError, match=r"/x is (in another file|put together from other files)") as error,
        h5.open_h5(path),
    ):
        pass
    assert str(path) in str(error.value)


def test_soft_links_lead_within_a_file(path):
    with h5py.File(path, "r+") as file:
        file["soft"] = h5py.SoftLink("/session_1/responses")
        file["round"], file["about"] = h5py.SoftLink("/about"), h5py.SoftLink("/round")
        file["dangling"] = h5py.SoftLink("/nowhere")
    with h5.open_h5(path) as file:
        assert h5.read(file, "soft", axes="neuron time").shape == (3, 5)
        for key in ("round", "dangling"):
            with pytest.raises(UserError, match=f"/{key} (cannot be read|is missing)"):
                h5.dataset(file, key, axes="time")


def test_links_of_an_unknown_kind_are_refused(path):
    """A link that leads to another file, made one of a kind that HDF5 leaves to programs."""
    with h5py.File(path, "r+") as file:
        file["link"] = h5py.ExternalLink("12345678", "/x")
    content = path.read_bytes()
    at = content.index(b"12345678")
    start = content.rindex(b"link", 0, at)
    assert content[start - 6 : start].count(64) == 1  # the type of the link, in its message
    damaged = bytearray(content)
    damaged[content.index(64, start - 6)] = 200
    path.write_bytes(damaged)
    with pytest.raises(UserError, match="link"), h5.open_h5(path):
        pass


@pytest.mark.parametrize("kind", ["itself", "twice", "soft", "deep"])
def test_groups_that_never_end_are_one_sentence(path, kind):
    with h5py.File(path, "r+") as file:
        group = file.create_group("info")
        if kind == "itself":
            group["more"] = group
        elif kind == "soft":
            group["more"] = h5py.SoftLink("/info")
        elif kind == "twice":  # doubles with each of them
            for _ in range(40):
                inner = group.create_group("a")
                group["b"] = inner
                group = inner
        else:
            file.create_group("info/" + "x/" * 3000)
    with h5.open_h5(path) as file, pytest.raises(UserError, match=r"holds itself|there twice|too deep|cannot be read"):
        h5.tree(h5.group(file, "info"))


@pytest.mark.parametrize("chunks", [(1024, 1024), None])
def test_an_array_that_claims_what_the_file_does_not_have_is_refused(path, chunks):
    with h5py.File(path, "r+") as file:
        file.create_dataset("big", (1_000_000, 1_000_000), "f8", chunks=chunks, fillvalue=2.0)
    with h5.open_h5(path) as file:
        for read in (h5.read, h5.dataset):
            with pytest.raises(UserError, match=r"/big claims 8,000\.0 GB, .* the file holds 0 bytes of it"):
                read(file, "big", axes="time neuron")
        with pytest.raises(UserError, match="/big claims"):
            h5.values(file["big"])


def test_an_array_larger_than_memory_is_refused_before_it_is_read(path, monkeypatch):
    monkeypatch.setattr("retina_nb.memory.psutil.virtual_memory", lambda: type("free", (), {"available": 20_000}))
    with h5.open_h5(path) as file:
        with pytest.raises(UserError, match=r"/session_1/packed needs .* GB of memory"):
            h5.read(file, "session_1/packed", axes="neuron time")
        assert h5.read(file, "session_1/responses", axes="neuron time").shape == (3, 5)
