"""Whatever is damaged in a file, what comes out is one sentence, or data that are not wrong in a way that shows.

Every example damages one file of a small dataset: its bytes, or one of its parts (`damage`). The outcome is one of

- *refused*: a `UserError` of one line,
- *no effect*: everything is loaded as from the whole file, to the bit: what was damaged is not used,
- *other facts*: all but what is told about sessions and neurons is as it was. Anything may be told, or nothing.
- *other values*: as many sessions, neurons, bins and pixels of the same types, all numbers finite, and some of them
  others than before. A byte that turns a 3 into a 4 cannot be told from a 4. This passes where bytes were flipped,
  lost or added, or numbers were stored as numbers of another type; not where a file was cut, or a part was removed,
  emptied, turned, made text, or given a NaN.
- *another shape*: anything else. Like other values of what is not numbers, it passes only where a format says that
  nobody can tell: its `free` damage, each with its reason.

Whatever else is raised fails. ``RETINA_NB_FUZZ=3000`` has as many examples for each format and kind of damage, and
``--hypothesis-show-statistics`` counts the outcomes.
"""

import os
import pickle
import re
import resource
import shutil
import zipfile
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import test_file_kinds
import torch
from damage import BYTES, DRAWING, HOSTILE, PARTS, damage_bytes, damage_part, datasets_of, make_hostile, parts_of
from helpers import TINY, small_recording
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st
from loaders import test_goldin_2022 as goldin
from loaders import test_hoefling_2024 as hoefling
from loaders import test_karamanlis_2024 as karamanlis
from loaders import test_maheswaranathan_2023 as maheswaranathan
from loaders import test_nwb as nwb
from loaders import test_sridhar_2025 as sridhar
from loaders import test_stored as stored

import retina_nb as rnb
from retina_nb import Recording, UserError
from retina_nb.loaders import load_recordings

EXAMPLES = int(os.environ.get("RETINA_NB_FUZZ", 25))
CHECKPOINTS = Path(__file__).parents[1] / "golden" / "checkpoints"
MEMORY = 3 * 2**30  # bytes that a damaged file may make us ask for


@dataclass(frozen=True)
class Format:
    """A kind of files.

    Args:
        write: puts small ones into a folder.
        load: reads what is in the folder.
        files: which of them are damaged, as a pattern.
        free: damage that nobody can tell, as a regular expression of "how FILE:PART".
    """

    write: Callable[[Path], object]
    load: Callable[[Path], Any]
    files: str = "*"
    free: str = "(?!)"


def write_hoefling(folder: Path) -> None:
    movie, responses = (folder / path for path in reversed(hoefling.wanted()))
    movie.parent.mkdir()
    responses.parent.mkdir()
    rng = np.random.default_rng(0)
    frames = {
        name: rng.standard_normal((2, n, 1, 2)).astype(np.float32) for name, n in (("train", 16200), ("test", 750))
    }
    stats = {"dichromatic": {"mean": np.array([36.9]), "sd": np.array([37.0])}}
    content = frames | {"random_sequences": hoefling.ORDERS, "eye": "right", "movie_stats": stats}
    movie.with_suffix(".pkl").write_bytes(pickle.dumps(content))
    with h5py.File(responses.with_suffix(".h5"), "w") as file:
        hoefling.write_session(file, hoefling.FIRST, 0)
        hoefling.write_session(file, hoefling.LEFT, 2, eye="left", old=False)


def write_layout(folder: Path) -> None:
    rng = np.random.default_rng(0)
    (folder / "stimuli").mkdir()
    lengths = {"bars": 40, "flash": 11, "noise": 60}
    for name in ("bars", "noise"):
        np.save(folder / "stimuli" / f"{name}.npy", rng.standard_normal((2, lengths[name], 5, 7)))
    for session, shown in (("a", ("bars", "noise")), ("b", ("bars", "flash", "noise"))):
        with h5py.File(folder / f"{session}.h5", "w") as file:
            for name in shown:
                file[f"responses_{name}"] = rng.poisson(1.0, (3, lengths[name])).astype(np.float64)
    with h5py.File(folder / "b.h5", "a") as file:
        file["stimulus_flash"] = rng.integers(0, 255, (2, 11, 5, 7), np.uint8)
        file["session_info/celltype"] = [1, 2, 3]
        file["session_info/name"] = ["x", "y", "z"]
        file["session_info/eye"] = "left"


def write_nwb(folder: Path) -> None:
    """Two series of images and a table of trials with repeats."""
    file = nwb.nwb_file()
    starts = nwb.START + np.arange(60) / nwb.RATE
    counts = np.random.default_rng(1).poisson(1.0, (60, 3))
    frames = nwb.grey(60)
    frames[50:] = frames[40:50]
    file.add_stimulus(nwb.series(data=frames.swapaxes(1, 2), timestamps=starts, dimension=(nwb.WIDTH, nwb.HEIGHT)))
    nwb.add_units(file, nwb.spikes(counts, starts))
    for first, last in ((0, 30), (30, 40), (40, 50), (50, 60)):
        file.add_trial(start_time=starts[first], stop_time=starts[last - 1] + 1 / nwb.RATE)
    file.add_trial_column("split", "what it is for", data=["train", "validation", "test", "test"])
    nwb.write(file, folder / "a.nwb")


def write_zip(folder: Path) -> None:
    maheswaranathan.write(folder / "plain" / "15-10-07" / "naturalscene.h5")
    with zipfile.ZipFile(folder / "neural_code_data.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.write(folder / "plain" / "15-10-07" / "naturalscene.h5", "15-10-07/naturalscene.h5")
    shutil.rmtree(folder / "plain")


def write_twin(folder: Path) -> None:
    recordings = {name: small_recording(name, neurons=n) for name, n in (("a", 5), ("b", 6))}
    twin = rnb.build_twin("hoefling_2024_low_res", recordings, overrides=TINY)
    twin.about["scores"] = {"cc_norm": np.array([0.5, 0.25])}
    twin.save(folder / "twin.safetensors")


def copy(name: str) -> Callable[[Path], object]:
    return lambda folder: shutil.copyfile(CHECKPOINTS / f"{name}.ckpt", folder / "twin.ckpt")


def dataset(name: str, **options: Any) -> Callable[[Path], Any]:
    return lambda folder: load_recordings(name, data_dir=folder, **options)


def film_with_experiment(folder: Path) -> None:
    karamanlis.write_film(folder / karamanlis.NAME)
    karamanlis.write_experiment(folder / karamanlis.NAME)


FORMATS = {
    "hoefling_2024": Format(
        write_hoefling,
        # Every cell is kept, whatever its numbers.
        dataset("hoefling_2024", cell_types=None, d_qi=-1e9, confidence=-1e9),
        # Statistics are not in all files. Sessions may be left out, and cells without a quality are.
        free=r"(removed|not finite) .*:movie_stats.*|removed .*:session_\w+|not finite .*_qi",
    ),
    "karamanlis_2024 film": Format(
        film_with_experiment,
        dataset("karamanlis_2024", **karamanlis.FILM),
        # Images may be of any size. What the screen was like is not in all files.
        free="axes swapped .*:(running|frozen)Images|removed .*:projector.*",
    ),
    "karamanlis_2024 noise": Format(
        lambda folder: karamanlis.write_noise(folder / karamanlis.NAME),
        dataset("karamanlis_2024", stimulus="frozencheckerflicker", **karamanlis.CLIPS),
    ),
    "karamanlis_2024 flashes": Format(
        lambda folder: karamanlis.write_flashes(folder / karamanlis.NAME),
        dataset("karamanlis_2024", stimulus="imagesequence", size=karamanlis.SIZE),
        free="axes swapped .*:imageEnsemble",
    ),
    "maheswaranathan_2023": Format(
        lambda folder: maheswaranathan.write(folder / "neural_code_data" / "15-10-07" / "naturalscene.h5"),
        dataset("maheswaranathan_2023", **maheswaranathan.SETTINGS),
        free="removed .*:test/repeats",  # not published for all sessions
    ),
    "zip": Format(write_zip, dataset("maheswaranathan_2023", **maheswaranathan.SETTINGS)),
    "goldin_2022": Format(
        lambda folder: goldin.write(folder / "mouse_1.h5"),
        dataset("goldin_2022", n_validation_images=5),
        free="removed .*:test/repeats",
    ),
    "sridhar_2025 film": Format(
        lambda folder: sridhar.write_film(folder),
        dataset("sridhar_2025", **sridhar.SETTINGS),
    ),
    "sridhar_2025 noise": Format(lambda folder: sridhar.write_noise(folder), dataset("sridhar_2025", **sridhar.NOISE)),
    "hdf5": Format(
        write_layout,
        lambda folder: load_recordings(folder, rate=30.0, test_names=["bars"], clip_length=20),
        free="removed .*:responses_.*",  # a session need not have seen every stimulus
    ),
    "stored": Format(
        lambda folder: rnb.write_recordings(stored.everything(), folder / "all.h5"),
        lambda folder: load_recordings(folder / "all.h5"),
        # What was written comes back, whatever pixels it has, and has as many sessions and repeats as it has.
        free="not finite .*:movies/.*/frames|removed .*:sessions/[^/]*(/repeats/.*)?",
    ),
    "nwb": Format(
        write_nwb,
        lambda folder: load_recordings(folder / "a.nwb"),
        free="(removed|of another kind) .*:intervals.*",  # a table need not be there, and pynwb passes over no table
    ),
    "safetensors": Format(write_twin, lambda folder: rnb.load_twin(folder / "twin.safetensors")),
    # Options have defaults, and files of some versions lack some: only names of weights have to be there.
    "ckpt": Format(
        copy("hoefling_low_res_factorized"),
        lambda folder: rnb.load_twin(folder / "twin.ckpt"),
        free=r"removed .*data\.pkl@(?!core\.|readout\.).*",
    ),
    "ckpt legacy": Format(
        copy("example_legacy_bias_param"),
        lambda folder: rnb.load_twin(folder / "twin.ckpt"),
        free=r"removed .*data\.pkl@(?!core\.|readout\.).*",
    ),
}


class Whole:
    """The small files of a format, in memory, and what is loaded from them."""

    def __init__(self, form: Format, folder: Path) -> None:
        folder.mkdir()
        form.write(folder)
        self.form, self.folder = form, folder
        self.content = {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
        self.damaged = sorted(path for path in self.content if path.match(form.files))
        self.parts = [(path, part) for path in self.damaged for part in parts_of(folder / path)]
        self.datasets = [(path, part) for path in self.damaged for part in datasets_of(folder / path)]
        self.found = described(form.load(folder))

    def written(self) -> None:
        """Put the files as they were; nothing else stays."""
        shutil.rmtree(self.folder)
        for path, content in self.content.items():
            (self.folder / path).parent.mkdir(parents=True, exist_ok=True)
            (self.folder / path).write_bytes(content)

    def outcome(self) -> str:
        """What loading the damaged files comes to."""
        try:
            found = described(self.form.load(self.folder))
        except UserError as error:
            return "refused" if "\n" not in str(error) else f"refused in several lines: {error}"
        if found == self.found:
            return "no effect"
        if _without_facts(found) == _without_facts(self.found):
            return "other facts"
        same = _kinds(found) == _kinds(self.found)
        return "other values" if same else "another shape"


def described(found: Any) -> dict[str, tuple[Any, Any]]:
    """For all that was loaded, of what kind it is, and its value."""
    if isinstance(found, torch.nn.Module):
        parts = {"weights": dict(found.state_dict()), "config": found.config, "about": found.about}
        return dict(_walk("", parts | {"shape": found.stimulus_shape, "lag": found.lag}))
    recordings = {}
    for name, recording in found.items():
        own = {field.name: getattr(recording, field.name) for field in fields(Recording) if field.name != "movie"}
        own["movie"] = recording.movie.frames[:]
        recordings[name] = own | {"mean": recording.movie.mean, "std": recording.movie.std}
    return dict(_walk("", recordings))


def _without_facts(found: dict[str, Any]) -> dict[str, Any]:
    return {name: one for name, one in found.items() if not re.match("(/[^/]*)?/(about|neurons)/", name)}


def _kinds(found: dict[str, Any]) -> Counter[tuple[str, Any]]:
    """What everything is called and of what kind it is; what a session is called is a value."""
    return Counter((re.sub("^/[^/]*", "", name), kind) for name, (kind, _) in _without_facts(found).items())


def _walk(name: str, value: Any) -> Any:
    if isinstance(value, dict):
        for key, one in value.items():
            yield from _walk(f"{name}/{key}", one)
    elif isinstance(value, torch.Tensor | np.ndarray):
        array = np.asarray(value.detach() if isinstance(value, torch.Tensor) else value)
        finite = array.dtype.kind not in "fc" or bool(np.isfinite(array).all())
        content = array.tolist() if array.dtype.hasobject else array.tobytes()
        yield name, ((array.dtype.str, array.shape, finite), content)
    else:
        yield name, (type(value), repr(value))


@pytest.fixture(scope="module", params=list(FORMATS))
def whole(request, tmp_path_factory):
    return Whole(FORMATS[request.param], tmp_path_factory.mktemp("fuzz") / "files")


@pytest.fixture(autouse=True, scope="module")
def _little_memory(tmp_path_factory):
    """A damaged size must not take all memory of the machine; and nothing is kept between the files of formats."""
    before = resource.getrlimit(resource.RLIMIT_DATA)
    status = Path("/proc/self/status").read_text()
    used = int(re.search(r"VmData:\s*(\d+)", status)[1]) * 1024
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RETINA_NB_CACHE", str(tmp_path_factory.mktemp("cache")))
        resource.setrlimit(resource.RLIMIT_DATA, (used + MEMORY, before[1]))
        yield
    resource.setrlimit(resource.RLIMIT_DATA, before)


fuzz = settings(max_examples=EXAMPLES, suppress_health_check=list(HealthCheck))


@fuzz
@given(data=st.data())
def test_damaged_bytes_are_refused_or_leave_nothing_worse_than_other_values(whole, data):
    whole.written()
    path = data.draw(st.sampled_from(whole.damaged), "file")
    how = data.draw(st.sampled_from(BYTES), "how")
    (whole.folder / path).write_bytes(damage_bytes(whole.content[path], how, data))
    outcome = whole.outcome()
    event(f"{how}: {outcome}")
    passes = {"refused", "no effect"} | ({"other values", "other facts"} if how != "truncated" else set())
    assert outcome in passes or re.fullmatch(whole.form.free, f"{how} {path.name}:")


@fuzz
@given(data=st.data())
def test_damaged_parts_are_refused_unless_the_format_leaves_them_free(whole, data):
    if not whole.parts:
        pytest.skip("files without parts")
    whole.written()
    path, part = data.draw(st.sampled_from(whole.parts), "part")
    how = data.draw(st.sampled_from(PARTS), "how")
    if not damage_part(whole.folder / path, part, how, data):
        event("nothing to damage")
        return
    outcome = whole.outcome()
    event(f"{how}: {outcome}")
    passes = {"refused", "no effect", "other facts"} | ({"other values"} if how == "as another number" else set())
    assert outcome in passes or re.fullmatch(whole.form.free, f"{how} {path.name}:{part}")


@fuzz
@given(data=st.data())
def test_hostile_parts_are_refused_and_no_other_file_is_read(whole, tmp_path_factory, data):
    if not whole.datasets:
        pytest.skip("no HDF5")
    other = tmp_path_factory.getbasetemp() / "other.h5"
    with h5py.File(other, "w") as file:
        file["secret"] = np.full(1000, 77.0)
    whole.written()
    path, part = data.draw(st.sampled_from(whole.datasets), "part")
    how = data.draw(st.sampled_from(HOSTILE), "how")
    if not make_hostile(whole.folder / path, part, how, other):
        event("nothing to do")
        return
    outcome = whole.outcome()
    event(f"{how}: {outcome}")
    passes = {"refused"} if how in DRAWING else {"refused", "no effect", "other facts"}
    passes |= {"other values", "another shape"} if how.endswith("numbers") else set()  # the first time may be another
    as_removed = re.fullmatch(whole.form.free, f"removed {path.name}:{part}")
    assert outcome in passes or (how not in DRAWING and as_removed)


@fuzz
@given(data=st.data())
def test_files_of_another_kind_are_refused(whole, data):
    whole.written()
    path = data.draw(st.sampled_from(whole.damaged), "file")
    kind = data.draw(st.sampled_from(sorted(test_file_kinds.CONTENT)), "kind")
    (whole.folder / path).write_bytes(test_file_kinds.CONTENT[kind])
    if (outcome := whole.outcome()) == "no effect":
        (whole.folder / path).unlink()  # it is not needed for this stimulus
        assert whole.outcome() == "no effect"
    else:
        assert outcome == "refused"
