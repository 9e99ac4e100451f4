"""What is written comes back to the bit, and damaged files come out as one sentence."""

import pickle
from dataclasses import fields, replace
from pathlib import Path

import h5py
import numpy as np
import pytest
from helpers import small_recording
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import retina_nb as rnb
from retina_nb import Movie, Recording, UserError
from retina_nb.loaders import on_disk
from retina_nb.loaders.normalize import ZscoredFrames
from retina_nb.loaders.on_disk import OnDiskFrames
from retina_nb.loaders.packed import PackedFrames


def same(a: object, b: object) -> bool:
    """Equal to the bit, in type and dtype too."""
    if type(a) is not type(b):
        return False
    if isinstance(a, dict):
        return list(a) == list(b) and all(same(a[key], b[key]) for key in a)
    if isinstance(a, np.ndarray) and a.dtype == object:
        return b.dtype == object and a.shape == b.shape and all(map(same, a.flat, b.flat))
    if isinstance(a, np.ndarray | np.generic):
        return (a.dtype, a.shape, a.tobytes()) == (b.dtype, b.shape, b.tobytes())
    return repr(a) == repr(b)


def pixels(movie: Movie) -> np.ndarray:
    """Frames in this machine's byte order, in which files are read."""
    frames = np.asarray(movie.frames[:])
    return frames.astype(frames.dtype.newbyteorder("="))


def assert_same(a: Recording, b: Recording) -> None:
    for field in fields(Recording):
        if field.name != "movie":
            assert same(getattr(a, field.name), getattr(b, field.name)), field.name
    assert same(pixels(a.movie), pixels(b.movie))
    assert all(same(getattr(a.movie, name), getattr(b.movie, name)) for name in ("mean", "std", "channels"))


def everything() -> dict[str, Recording]:
    """Two sessions that share a movie, and one of each other kind of movie and property."""
    rng = np.random.default_rng(0)
    a = small_recording("a")
    shared = Movie(a.movie.frames, mean=37.4, std=28.9, channels=("green", "UV"))
    bits = Movie(PackedFrames(rng.integers(0, 256, (11, 5), np.uint8), 5, 7), channels=("luminance",))
    grey = Movie(rng.integers(0, 256, (1, 11, 5, 7), np.uint8))
    neurons = {
        "type": np.array(["ON", "OFF sustained", "π"], dtype=object),
        "name": np.array(["a", "bb", ""]),
        "confidence": np.array([0.1, np.nan, -0.0], dtype=">f8"),
        "good": np.array([True, False, True]),
        "map": rng.standard_normal((3, 5, 7)).astype(np.float16),
        "none": np.zeros((3, 0)),
        "day": np.array(["2024-01-01", "NaT", "1970-01-01"], dtype="datetime64[D]"),
    }
    about = {
        "eye": "left",
        "index": 18,
        "factor": np.float32(0.1),
        "dropped": {"quality": np.array([1, 2], np.int16), "type": None, "of": {"": [1, 2]}, "none": {}},
        "mask": rng.integers(-3, 1, (64, 60)),
        "": "no name",
        "a/b": [1.5, True],
    }
    plain = {"responses": np.ones((11, 2)), "rate": 30.0}
    return {
        "a": replace(a, movie=shared, neurons=neurons, about=about),
        "other name": replace(
            a, session="other name", movie=shared, mirrored=True, signed=True, responses=-a.responses
        ),
        "packed": Recording("packed", bits, **plain),
        "bytes": Recording("bytes", Movie(ZscoredFrames(grey.frames, 0.1, 3.7), 0.1, 3.7), **plain),
        "..": Recording("..", grey, **plain, unit="ΔF/F", pixel_um=12.5, repeats={"a/b": np.array([[1], [1]])}),
    }


def test_what_is_written_comes_back_to_the_bit(tmp_path):
    recordings = everything()
    assert rnb.write_recordings(recordings, tmp_path / "all.h5") == tmp_path / "all.h5"
    found = rnb.load_recordings(tmp_path / "all.h5")
    assert list(found) == list(recordings)
    for name, recording in recordings.items():
        assert_same(found[name], recording)
    assert isinstance(found["packed"].movie.frames, PackedFrames)
    assert isinstance(found["bytes"].movie.frames, ZscoredFrames)
    assert found["bytes"].movie.frames.frames.dtype == np.uint8


def test_sessions_share_their_movie_again_and_it_is_stored_once(tmp_path):
    recordings = everything()
    rnb.write_recordings(recordings, tmp_path / "all.h5")
    found = rnb.load_recordings(str(tmp_path / "all.h5"))
    assert found["a"].movie is found["other name"].movie
    assert len({id(recording.movie) for recording in found.values()}) == 4
    with h5py.File(tmp_path / "all.h5") as file:
        assert len(file["movies"]) == 4


names = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=8)
tables = st.one_of(
    hnp.arrays(st.one_of(hnp.integer_dtypes(), hnp.floating_dtypes(), hnp.boolean_dtypes()), (3,)),
    hnp.arrays("U5", (3,), elements=names.map(lambda text: text[:5])),
    hnp.arrays("S3", (3,)),
    hnp.arrays(hnp.floating_dtypes(), (3, 2)),
)
facts = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), names),
    lambda inner: st.one_of(st.lists(inner, max_size=2), st.dictionaries(names, inner, max_size=2)),
    max_leaves=4,
)
movie_shapes = st.sampled_from([(2, 6, 3, 5), (1, 6, 1, 2)])
movies = st.one_of(
    hnp.arrays(st.one_of(hnp.integer_dtypes(), hnp.boolean_dtypes()), movie_shapes),
    *(hnp.arrays(kind, movie_shapes, elements=st.floats(-60000, 60000, width=16)) for kind in ("f2", ">f4", "f8")),
)
levels = st.floats(0, 1e30)


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_any_recording_comes_back_to_the_bit(tmp_path, data):
    time = data.draw(st.integers(1, 9))
    trials = data.draw(st.integers(1, 3))
    recording = Recording(
        session=data.draw(names.filter(bool)),
        movie=Movie(data.draw(movies), data.draw(levels), data.draw(levels)),
        responses=data.draw(hnp.arrays(np.float32, (time, 3), elements=st.floats(0, 2**100, width=32))),
        rate=data.draw(st.floats(1e-3, 1e6)),
        frames=data.draw(hnp.arrays(np.int64, time, elements=st.integers(0, 5))),
        split=data.draw(hnp.arrays("U10", time, elements=st.sampled_from(["train", "validation", "test", ""]))),
        repeats={name: np.zeros((trials, 2), int) for name in data.draw(st.sets(names, max_size=2))},
        onsets=data.draw(hnp.arrays(np.int64, 2, elements=st.integers(0, time - 1))),
        mirrored=data.draw(st.booleans()),
        pixel_um=data.draw(st.floats(1e-3, 1e6) | st.just(np.nan)),
        unit=data.draw(names),
        neurons=data.draw(st.dictionaries(names, tables, max_size=3)),
        about=data.draw(st.dictionaries(names, st.one_of(facts, tables, st.dictionaries(names, tables)), max_size=3)),
    )
    path = tmp_path / "one.h5"
    name = data.draw(names.filter(bool))
    rnb.write_recordings({name: recording}, path)
    assert_same(rnb.load_recordings(path)[name], recording.named(name))


@pytest.mark.parametrize("noisy", [True, False])
def test_frames_that_shrink_are_compressed(tmp_path, noisy):
    frames = np.random.default_rng(0).integers(0, 256, (1, 100, 30, 50), np.uint8)
    frames = frames if noisy else np.repeat(frames[..., :1], 50, axis=-1)
    rnb.write_recordings({"a": Recording("a", Movie(frames), np.ones((100, 1)), 30.0)}, tmp_path / "a.h5")
    size = (tmp_path / "a.h5").stat().st_size
    assert size > frames.nbytes if noisy else size < frames.nbytes / 3
    np.testing.assert_array_equal(rnb.load_recordings(tmp_path / "a.h5")["a"].movie.frames, frames)


@pytest.fixture
def big(tmp_path, monkeypatch):
    """A recording of two bigger movies, one compressed, that are left on disk, and what was written."""
    monkeypatch.setattr(on_disk, "IN_MEMORY", 1000)
    monkeypatch.setattr("retina_nb.loaders.stored._BLOCK", 2**14)
    monkeypatch.setattr("retina_nb.loaders.stored._CHUNK", 2**12)
    noise = small_recording("a")
    plain = replace(noise, movie=Movie(np.repeat(noise.movie.frames[..., :1], 9, axis=-1)))
    written = {"noise": noise, "plain": plain}
    rnb.write_recordings(written, tmp_path / "big.h5")
    return rnb.load_recordings(tmp_path / "big.h5"), written


def test_a_big_movie_stays_on_disk_and_says_the_same(big):
    for name, recording in big[0].items():
        assert isinstance(recording.movie.frames, OnDiskFrames)
        assert_same(recording, big[1][name].named(name))
        np.testing.assert_array_equal(recording.stimulus("test"), big[1][name].stimulus("test"))


@pytest.mark.parametrize(
    "index",
    [
        np.s_[:, 3],
        np.s_[:, -1],
        np.s_[:, 2:90:3],
        np.s_[:, ::-1],
        np.s_[0, 4:],
        np.s_[:, [4, 1, 1]],
        np.s_[:, np.array([[0, 10, 3], [3, -1, 2]])],
        np.s_[:, np.array([], dtype=int)],
        np.s_[1, 1:3, 2],
        np.s_[:, :, 1:4, ::-1],
        np.s_[0, ..., ::-1],
        ...,
    ],
    ids=repr,
)
def test_frames_on_disk_are_indexed_as_an_array_is(big, index):
    for name, recording in big[0].items():
        np.testing.assert_array_equal(recording.movie.frames[index], big[1][name].movie.frames[index])


def test_frames_on_disk_survive_pickling_and_their_file_being_replaced(big, tmp_path):
    frames, expected = big[0]["noise"].movie.frames, big[1]["noise"].movie.frames
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(frames))[:, :9], expected[:, :9])
    rnb.write_recordings(big[0] | {"c": small_recording("c", seed=1)}, tmp_path / "big.h5")
    np.testing.assert_array_equal(frames[:], expected)
    np.testing.assert_array_equal(rnb.load_recordings(tmp_path / "big.h5")["noise"].movie.frames[:], expected)


def test_some_sessions_and_folders_of_files(tmp_path):
    recordings = everything()
    rnb.write_recordings(recordings, tmp_path / "1.h5")
    rnb.write_recordings({"more": recordings["packed"]}, tmp_path / "2.h5")
    assert list(rnb.load_recordings(tmp_path)) == [*recordings, "more"]
    assert list(rnb.load_recordings(tmp_path, sessions=["more", "a"])) == ["more", "a"]
    with pytest.raises(UserError, match=r"unknown session of .*: did you mean 'packed'"):
        rnb.load_recordings(tmp_path, sessions=["pakced"])
    rnb.write_recordings({"a": recordings["packed"]}, tmp_path / "2.h5")
    with pytest.raises(UserError, match="two sessions of the name a"):
        rnb.load_recordings(tmp_path)


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"about": {"x": {1, 2}}}, "session a cannot be written: 'x' is a set"),
        ({"about": {"x": np.array([1, "a"], object)}}, "session a cannot be written: 'x' is an array of object"),
        ({"about": {"x": np.array(["a\0"], object)}}, "session a cannot be written: 'x' has a text that ends on"),
    ],
)
def test_what_cannot_be_written_is_named_and_leaves_no_file(tmp_path, change, problem):
    recording = Recording("a", Movie(np.zeros((1, 4, 5, 7))), np.ones((4, 1)), 30.0, **change)
    with pytest.raises(UserError, match=problem):
        rnb.write_recordings({"a": recording}, tmp_path / "a.h5")
    assert list(tmp_path.iterdir()) == []


def test_nothing_to_write_and_nowhere_to_write_to(tmp_path):
    with pytest.raises(UserError, match="no recording"):
        rnb.write_recordings({}, tmp_path / "a.h5")
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="cannot write"):
        rnb.write_recordings({"a": small_recording()}, tmp_path / "file" / "a.h5")


@pytest.fixture
def written(tmp_path) -> Path:
    return rnb.write_recordings(everything(), tmp_path / "all.h5")


@pytest.mark.parametrize(
    ("damage", "problem"),
    [
        (lambda file: file.attrs.pop("version"), "all.h5: /version is missing"),
        (lambda file: file.attrs.update({"version": 9}), "all.h5 is written in version 9 of the format, known is 1"),
        (lambda file: file.pop("sessions"), "all.h5: /sessions is missing"),
        (lambda file: file.pop("movies"), "session a: .*all.h5: /movies/0 is missing"),
        (lambda file: file.pop("movies/0/frames"), "session a: .*all.h5: /movies/0/frames is missing"),
        (lambda file: file.pop("sessions/a/responses"), "session a: .*/sessions/a/responses is missing"),
        (lambda file: file["sessions/a"].attrs.pop("rate"), "session a: .*/sessions/a/rate is missing"),
        (
            lambda file: file["sessions/a"].attrs.update({"order": "first"}),
            "/sessions/a/order must be int, it is 'first'",
        ),
        (lambda file: file["sessions/a/split"].write_direct(np.full(480, 7, "u1")), "split has 7, the largest"),
        (
            lambda file: file["sessions/a/frames"].write_direct(np.full(480, 999)),
            "session a of .*: frames run from 999",
        ),
        (lambda file: file["sessions/a/responses"].write_direct(np.full((480, 3), np.nan, "f4")), "responses is nan"),
        (lambda file: file["sessions/packed/responses"].write_direct(-np.ones((11, 2), "f4")), "negative at bin 0"),
    ],
)
@pytest.mark.filterwarnings("ignore::UserWarning")
def test_damage_is_one_sentence_that_names_file_and_key(written, damage, problem):
    with h5py.File(written, "r+") as file:
        damage(file)
    with pytest.raises(UserError, match=problem) as error:
        rnb.load_recordings(written)
    assert "all.h5" in str(error.value)
    assert "\n" not in str(error.value)


def test_no_flipped_or_lost_byte_goes_unnoticed(written):
    """There are either the same recordings or one sentence."""
    content, expected, errors = written.read_bytes(), everything(), 0
    rng = np.random.default_rng(0)
    for _ in range(200):
        damaged = bytearray(content)
        at = rng.integers(len(content))
        damaged[at] ^= 1 << rng.integers(8)
        written.write_bytes(damaged[: at + 1] if rng.random() < 0.2 else damaged)
        found = or_error(written)
        if isinstance(found, str):
            errors += 1
            assert "all.h5" in found
            assert "\n" not in found
        else:
            assert list(found) == list(expected)
            for name, recording in expected.items():
                assert_same(found[name], recording)
    assert errors > 100


def or_error(path: Path) -> dict[str, Recording] | str:
    try:
        return rnb.load_recordings(path)
    except UserError as error:
        return str(error)


def looped() -> dict:
    about: dict = {}
    about["more"] = about
    return about


def nested(levels: int, inner: object = 1) -> dict:
    for _ in range(levels):
        inner = {"more": inner}
    return inner  # type: ignore[return-value]


@pytest.mark.parametrize(
    ("about", "problem"),
    [
        (looped(), "lies in itself, or too deep"),
        (nested(2000), "lies in itself, or too deep"),
        (nested(40), "lies in itself, or too deep"),
        ({"x": (1, 2)}, "'x' has a tuple"),
        ({"x": [{1: 2}]}, "keys that are not text"),
        ({"x": {5: {"y": 1}}}, "the name 5 must be text"),
        ({"x": {1, 2}}, "'x' is a set that JSON does not know"),
        ({"x": np.ma.array([1, 2], mask=[0, 1])}, "masked array"),
        ({"x": np.array(["a\0"], object)}, "ends on a null character"),
        ({"x": np.array(["\ud800"])}, "surrogates not allowed"),
    ],
)
def test_what_would_come_back_as_something_else_is_refused(tmp_path, about, problem):
    with pytest.raises(UserError, match=f"session a cannot be written: .*{problem}"):
        rnb.write_recordings(replace(small_recording("a"), about=about), tmp_path / "a.h5")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("unit", ["µ\0", "\ud800"])
def test_units_that_cannot_be_kept_are_refused(tmp_path, unit):
    with pytest.raises(UserError, match="session a cannot be written"):
        rnb.write_recordings(replace(small_recording("a"), unit=unit), tmp_path / "a.h5")


def test_whole_numbers_for_rates_and_sizes_come_back(tmp_path):
    one = replace(small_recording("a"), rate=30, pixel_um=50, about=nested(32))
    found = rnb.load_recordings(rnb.write_recordings(one, tmp_path / "a.h5"))["a"]
    assert (found.rate, found.pixel_um, found.about) == (30.0, 50.0, one.about)
    with h5py.File(tmp_path / "a.h5", "r+") as file:  # as files of earlier versions have it
        file["sessions/a"].attrs["rate"] = 30
    assert rnb.load_recordings(tmp_path / "a.h5")["a"].rate == 30.0


@pytest.mark.parametrize("session", ["日本", "a/b", "..", "", " ", "a\nb", "%", "a%2Fb", "x" * 3000])
@pytest.mark.parametrize("dtype", [">f4", ">i2", "?", "f2"])
def test_odd_sessions_and_movies_come_back_to_the_bit(tmp_path, session, dtype):
    frames = np.random.default_rng(0).integers(0, 2, (1, 20, 3, 2)).astype(dtype)
    try:
        one = Recording(session, Movie(frames), np.ones((20, 1)), rate=30.0)
    except UserError:
        return  # what a recording refuses cannot be written
    assert_same(rnb.load_recordings(rnb.write_recordings(one, tmp_path / "a.h5"))[session], one)


def test_a_file_whose_tables_hold_themselves_is_one_sentence(tmp_path):
    rnb.write_recordings(small_recording("a"), tmp_path / "a.h5")
    with h5py.File(tmp_path / "a.h5", "r+") as file:
        file["sessions/a/about/more"] = file["sessions/a/about"]
    with pytest.raises(UserError, match="holds itself") as error:
        rnb.load_recordings(tmp_path / "a.h5")
    assert "\n" not in str(error.value)
