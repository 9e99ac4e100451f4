"""Sessions of the dataset on disk: folders, or zips of them, of MATLAB files."""

import logging
import os
import zipfile
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import h5py
import numpy as np

from retina_nb.errors import UserError, unknown
from retina_nb.files import replace_file
from retina_nb.loaders import h5
from retina_nb.loaders.cache import CACHE_ADVICE
from retina_nb.loaders.download import cache_dir

SCREEN = (600, 800)  # height and width in pixels
REFRESH = {"mouse": 75.0, "marmoset": 85.0}  # Hz, where a session does not say
PIXEL_UM = 7.5  # a pixel of the screen on the retina, where a session does not say; 2.5 in a few marmoset sessions
_EXPERIMENT = "expdata.mat"
_BLOCK = 2**20
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Session:
    """A session's file of one stimulus, and what is known of the experiment.

    Args:
        name: the session's name.
        path: the file.
        refresh: screen refreshes per second (Hz).
        pixel_um: side of a screen pixel on the retina (µm).
        neurons: properties of the neurons.
    """

    name: str
    path: Path
    refresh: float
    pixel_um: float
    neurons: dict[str, np.ndarray] = field(default_factory=dict)

    def pixel_um_of(self, size: tuple[int, int]) -> float:
        """Side (µm) of a pixel of the screen made smaller; NaN if it is not square."""
        height, width = size
        square = SCREEN[0] * width == SCREEN[1] * height
        return self.pixel_um * SCREEN[0] / height if square else float("nan")

    def neurons_if(self, n: int) -> dict[str, np.ndarray]:
        """The properties, if they are of `n` neurons."""
        return {name: values for name, values in self.neurons.items() if len(values) == n}


def find_sessions(folder: Path, species: str, stimulus: str, names: Sequence[str] | None) -> list[Session]:
    """The sessions of a species in which a stimulus was shown, sorted by name.

    Args:
        folder: the folder of the sessions, a session's folder, or a session's zip. Nothing is written there: what is
            needed of a zip is unpacked into the cache.
        species: a part of the sessions' names.
        stimulus: how the name of the stimulus' file ends, without ``_data.mat``.
        names: the sessions wanted; by default all.

    Raises:
        UserError: if there is no such session, it has no or several files of the stimulus, or a file is damaged.
    """
    places = {name: place for name, place in _places(folder).items() if species in name}
    if not places:
        raise UserError(
            f"karamanlis_2024: {folder} has no folder or zip of a session with {species!r} in its name; "
            "check data_dir and species"
        )
    for name in names or ():
        if name not in places:
            raise unknown(f"{species} session of {folder}", name, places)
    found = {name: _matching(place, f"{stimulus}_data.mat") for name, place in places.items()}
    for name in names or ():
        if not found[name]:
            raise UserError(f"karamanlis_2024: session {name} has no file *{stimulus}_data.mat in {places[name]}")
    wanted = [name for name in sorted(names or places) if found[name]]
    if not wanted:
        raise UserError(f"karamanlis_2024: no {species} session in {folder} has a file *{stimulus}_data.mat")
    return [_session(name, places[name], found[name], species) for name in wanted]


def has_sessions(folder: Path) -> bool:
    """Whether a path is a session's zip or folder, or a folder of some."""
    if folder.suffix == ".zip" or not folder.is_dir():
        return folder.is_file()
    return any(place.suffix == ".zip" or _entries(place, "_data.mat") for place in _places(folder).values())


def _places(folder: Path) -> dict[str, Path]:
    """Where each session is: a folder, or else a zip."""
    if folder.suffix == ".zip" or _entries(folder, "_data.mat"):
        return {folder.name.removesuffix(".zip"): folder}
    try:
        entries = sorted(folder.iterdir(), key=lambda entry: entry.is_dir())  # an unpacked folder wins
    except OSError as error:
        raise UserError(f"cannot read the folder {folder}: {error.strerror or error}; check data_dir") from None
    return {entry.name.removesuffix(".zip"): entry for entry in entries if entry.suffix == ".zip" or entry.is_dir()}


def _session(name: str, place: Path, files: list[str], species: str) -> Session:
    if len(files) > 1:
        raise UserError(f"karamanlis_2024: session {name} has {len(files)} files of one stimulus: {', '.join(files)}")
    experiment = _matching(place, _EXPERIMENT)
    facts = _experiment(_local(place, experiment[0])) if len(experiment) == 1 else {}
    return Session(
        name,
        _local(place, files[0]),
        refresh=facts.pop("refresh", REFRESH[species]),
        pixel_um=facts.pop("pixel_um", PIXEL_UM),
        neurons=facts,
    )


def _matching(place: Path, ending: str) -> list[str]:
    """The files of a session whose names end so: in a folder, or anywhere in a zip."""
    if place.is_dir():
        return _entries(place, ending)
    try:
        with zipfile.ZipFile(place) as archive:
            names = archive.namelist()
    except (OSError, zipfile.BadZipFile, ValueError) as error:
        raise UserError(f"cannot read {place}: {error}; get it again") from None
    # Apple's archiver adds files "._name" of its own.
    return sorted(name for name in names if name.endswith(ending) and not Path(name).name.startswith("._"))


def _entries(folder: Path, ending: str) -> list[str]:
    try:
        return sorted(name for name in os.listdir(folder) if name.endswith(ending) and not name.startswith("._"))
    except OSError as error:
        raise UserError(f"cannot read {folder}: {error.strerror or error}; check data_dir") from None


def _local(place: Path, file: str) -> Path:
    """A session's file on disk; if it is in a zip, unpacked into the cache under its own checksum."""
    if place.is_dir():
        return place / file
    try:
        with zipfile.ZipFile(place) as archive:
            member = archive.getinfo(file)
            session = f"{place.name.removesuffix('.zip')}-{member.CRC:08x}"
            target = cache_dir() / "karamanlis_2024" / "unzipped" / session / Path(file).name
            if not (target.is_file() and target.stat().st_size == member.file_size):
                with (
                    replace_file(target, CACHE_ADVICE) as temporary,
                    archive.open(member) as packed,
                    open(temporary, "wb") as out,
                ):
                    while block := packed.read(_BLOCK):
                        out.write(block)
    except UserError:
        raise
    except (OSError, zipfile.BadZipFile, zlib.error, EOFError, RuntimeError, NotImplementedError, ValueError) as error:
        raise UserError(
            f"cannot unpack {file} from {place} into the cache: {error}; get the zip again, or see that there is room"
        ) from None
    return target


def _experiment(path: Path) -> dict:
    """What an experiment's file says of the screen, and of the cells as far as it can be understood."""
    facts: dict = {}
    with h5.open_h5(path) as file:
        there = h5.keys(file)
        if "projector" in there:
            screen = h5.keys(h5.group(file, "projector"))
            for key, name, unit in (("refreshrate", "refresh", 1.0), ("pixelsize", "pixel_um", 1e6)):
                if key in screen:
                    facts[name] = _positive(file, f"projector/{key}") * unit
        # Not every session has its cells sorted into types, and how their absence is stored is not known.
        for name, read in (("unit", _units), ("type", _types)):
            try:
                facts[name] = read(file)
            except UserError as error:
                _log.warning("karamanlis_2024: the cells' %s is left out: %s", name, error)
    return facts


def _units(file: h5py.File) -> np.ndarray:
    return h5.read(file, "units", axes="property neuron")[0]


def _positive(file: h5py.File, key: str) -> float:
    value = float(h5.read(file, key, axes="row column", shape=(1, 1))[0, 0])
    if value <= 0:
        raise UserError(f"{h5.place(file, key)} must be positive, it is {value:g}; get the file again")
    return value


def _types(file: h5py.File) -> np.ndarray:
    """The name of each cell's type; 0 is no type."""
    published = h5.read(file, "cellclus_id", axes="row column").ravel()
    references = h5.dataset(file, "typelabels", axes="row column", kind="O")
    names = ["unclassified", *(_text(file, reference) for reference in h5.read_part(references, ()).ravel())]
    if (published % 1 != 0).any() or published.min() < 0 or published.max() >= len(names):
        raise UserError(f"{h5.place(file, 'cellclus_id')} has numbers without a name in typelabels; get the file again")
    return np.array(names)[published.astype(np.int64)]


def _text(file: h5py.File, reference: h5py.Reference) -> str:
    """Text of a MATLAB cell array, which is stored as character codes."""
    try:
        found = file[reference]
        if isinstance(found, h5py.Dataset) and not h5.is_elsewhere(found.id):
            return "".join(map(chr, h5.read_part(found, ()).ravel()))
        raise TypeError
    except (ValueError, TypeError, KeyError, OSError, RuntimeError, AttributeError):
        raise UserError(f"{h5.place(file, 'typelabels')} cannot be read; the file is damaged, get it again") from None
