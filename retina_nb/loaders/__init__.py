"""Datasets by name, and the user's own files by path.

Each module named in `_DATASETS` reads one dataset. It has a `CARD`, a function ``load(*, data_dir=None, **settings)``
that gives the recordings by session, and, unless it makes its own data, a function ``wanted(**settings)`` that takes
the settings of ``load`` (but for ``data_dir``), at their defaults where they are not given, ignores those that do not
matter to it (``**_``), and tells what has to be on disk: paths on the hub as `retina_nb.loaders.hub.dataset_folder`
takes them, or `RemoteFile`s that are elsewhere. ``load`` asks for the same files, the former by
``dataset_folder(NAME, data_dir, wanted(...))``.

Files of the user's own are recognised by what they hold, see `retina_nb.loaders.formats`.
"""

import inspect
from collections.abc import Callable
from dataclasses import asdict, dataclass
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

import pandas as pd

from retina_nb.errors import UserError, unknown
from retina_nb.files import expand_path
from retina_nb.loaders.download import RemoteFile, download_files, find_downloaded, find_or_download
from retina_nb.recording import Recording
from retina_nb.representations import one_line

# The modules are imported when their dataset is asked for.
_DATASETS = (
    "simulated",
    "hoefling_2024",
    "karamanlis_2024",
    "maheswaranathan_2023",
    "goldin_2022",
    "sridhar_2025",
    "liu_2017",
)


@one_line
@dataclass(frozen=True)
class DatasetCard:
    """What a dataset is, in one row of `datasets()`.

    Args:
        summary: one line.
        species: whose retina.
        rate: bins per second (Hz), with the default settings.
        pixel_um: side of a pixel on the retina (µm), with the default settings.
        stimulus: what was shown.
        citation: the paper to cite.
        cells: number of cells, in all sessions.
        size_mb: what has to be downloaded for the default settings (MB).
        licence: of the data.
    """

    summary: str
    species: str
    rate: float
    pixel_um: float
    stimulus: str
    citation: str
    cells: int | None = None
    size_mb: float | None = None
    licence: str = "not stated"


def load_recordings(name_or_path: str | Path, **settings: Any) -> dict[str, Recording]:
    """Load the recordings of a dataset, or of files of your own, one for each session.

    Args:
        name_or_path: a name listed by `datasets()`, or the path of a file or folder: one that `write_recordings`
            wrote, HDF5 in openretina's layout (`retina_nb.loaders.hdf5`), or NWB (`retina_nb.loaders.nwb`). A
            dataset's name wins over a file of this name; write ``./NAME`` for the latter.
        settings: what the ``load`` function of the dataset or format takes, e.g. ``seed=1`` for the simulated
            retina.

    Raises:
        UserError: if there is no such dataset, file or setting (the closest one is named), or files are missing,
            damaged or of another kind.

    Example:
        >>> import retina_nb as rnb
        >>> recordings = rnb.load_recordings("simulated", sessions=2, cells_per_session=12, size=(13, 15))
        >>> recordings["simulated_1"].n_neurons
        12
    """
    if isinstance(name_or_path, Path) or name_or_path not in _DATASETS:
        return _load_path(name_or_path, settings)
    load = _module(name_or_path).load
    _check_settings(load, f"dataset {name_or_path}", settings)
    return load(**settings)


def fetch(name: str, *, data_dir: str | Path | None = None, **settings: Any) -> Path:
    """Download what ``load_recordings(name, **settings)`` needs and is not there yet.

    Args:
        name: a name listed by `datasets()`.
        data_dir: where to put it, to be given to `load_recordings` as well; by default the user's folder
            ``RETINA_NB_DATA`` if it has everything, else ``cache_dir() / name``.
        settings: as for `load_recordings`.

    Returns:
        The folder with the files.

    Raises:
        UserError: if there is no such dataset or setting, or something cannot be downloaded.
    """
    module = _module(name)
    _check_settings(module.load, f"dataset {name}", settings)
    if not hasattr(module, "wanted"):
        raise UserError(f"dataset {name} is made on this machine, nothing has to be downloaded for it")
    wanted = module.wanted(**settings)
    if remote := [file for file in wanted if isinstance(file, RemoteFile)]:
        if data_dir is None:
            return [find_or_download(file, name) for file in remote][-1].parent
        folder = expand_path(data_dir)
        download_files(remote, folder)
        return folder
    from retina_nb.loaders.hub import dataset_folder, fetch_folder

    if data_dir is None:
        return dataset_folder(name, None, wanted)
    return fetch_folder(name, wanted, expand_path(data_dir))


def datasets() -> pd.DataFrame:
    """Every dataset, a row each: what its `DatasetCard` says, and whether its files are on this machine (``cached``),
    which is found out without the network.

    Example:
        >>> import retina_nb as rnb
        >>> rnb.datasets().loc["simulated", "species"]
        'simulated (mouse)'
    """
    rows = [asdict(_module(name).CARD) | {"cached": _is_cached(name)} for name in _DATASETS]
    table = pd.DataFrame(rows, index=pd.Index(_DATASETS, name="dataset")).astype({"cells": "Int64"})
    return table[[*table.columns.drop("citation"), "citation"]]


def _module(name: str) -> ModuleType:
    if name not in _DATASETS:
        raise unknown("dataset", name, _DATASETS)
    return import_module(f"retina_nb.loaders.{name}")


def _load_path(name_or_path: str | Path, settings: dict[str, Any]) -> dict[str, Recording]:
    from retina_nb.loaders.formats import format_of

    path = expand_path(name_or_path)
    if not path.exists():
        if isinstance(name_or_path, str) and path.name == name_or_path and not path.suffix:
            raise unknown("dataset", name_or_path, _DATASETS)
        raise UserError(f"there is no file or folder {path}; check the path")
    found = format_of(path)
    load = import_module(f"retina_nb.loaders.{found.module}").load
    _check_settings(load, f"{found.name} files", settings)
    return load(path, **settings)


def _check_settings(load: Callable, what: str, settings: dict[str, Any]) -> None:
    parameters = inspect.signature(load).parameters.values()
    known = [one.name for one in parameters if one.kind is inspect.Parameter.KEYWORD_ONLY]
    for setting in settings:
        if setting not in known:
            raise unknown(f"setting of {what}", setting, known)


def _is_cached(name: str) -> bool:
    module = _module(name)
    wanted = module.wanted() if hasattr(module, "wanted") else []
    if all(isinstance(file, RemoteFile) for file in wanted):
        try:
            return all(find_downloaded(file, name) for file in wanted)
        except UserError:  # of a folder that is not there
            return False
    from retina_nb.loaders.hub import is_there

    return is_there(name, wanted)
