"""Files of the open-retina collection on the Hugging Face hub (the dataset repository open-retina/open-retina).

`huggingface_hub` tells what the repository has and where (``HF_ENDPOINT`` names another server). The files come
through `retina_nb.loaders.download`, because huggingface_hub's own download compares neither the SHA-256 of what
arrives nor, later, of what is on disk, and asks the network for files that are in its cache unless it is told not to.
"""

import json
import os
from collections.abc import Sequence
from fnmatch import fnmatchcase
from itertools import takewhile
from pathlib import Path

import requests

from retina_nb.errors import UserError, unknown
from retina_nb.files import name_problem, replace_file
from retina_nb.loaders.cache import CACHE_ADVICE
from retina_nb.loaders.download import TIMEOUT, RemoteFile, cache_dir, check, download_files, recorded, user_folders
from retina_nb.loaders.unzip import is_unpacked, unpacked

REPOSITORY = "open-retina/open-retina"

# Where each dataset is in the repository.
ROOTS = {
    "goldin_2022": "marre_lab/goldin_2022",
    "hoefling_2024": "euler_lab/hoefling_2024",
    "karamanlis_2024": "gollisch_lab/karamanlis_2024",
    "maheswaranathan_2023": "baccus_lab/maheswaranathan_2023",
    "sridhar_2025": "gollisch_lab/sridhar_2025",
}
LISTINGS = ".listings.json"


def dataset_folder(dataset: str, data_dir: str | Path | None, wanted: Sequence[str]) -> Path:
    """A local folder that holds files of a dataset in its published layout.

    They are looked for in `data_dir` if that is given; else in the folder that ``RETINA_NB_DATA`` names and in
    ``cache_dir() / dataset``, and what is missing is downloaded into the latter. In `data_dir` the dataset may lie
    itself, in both it may be in a subfolder of its name, or where it is in the repository. Zip archives are unpacked,
    see `retina_nb.loaders.unzip.unpacked`, which tells where their content is; it stands for a missing archive.

    Args:
        dataset: a name of `ROOTS`.
        data_dir: folder in which the user keeps the dataset.
        wanted: paths of published files, relative to the dataset's root. A path that ends on ``/`` is a folder with
            all that it holds; ``*``, ``?`` and ``[]`` stand for parts of names as in a shell, and what they match may
            be files or folders: ``"sessions/*mouse*"``.

    Raises:
        UserError: if a folder is missing, `data_dir` does not have all files, a file is damaged, or it cannot be
            downloaded.
    """
    if dataset not in ROOTS:
        raise unknown("dataset on the hub", dataset, ROOTS)
    folder = find_folder(dataset, data_dir, wanted)
    if folder is None:
        folder = fetch_folder(dataset, wanted, cache_dir() / dataset)
    return folder


def find_folder(dataset: str, data_dir: str | Path | None, wanted: Sequence[str]) -> Path | None:
    """The user's own folder that has everything `wanted`, see `dataset_folder`; None if there is none.

    Raises:
        UserError: if a folder is missing, a file in it is damaged, or `data_dir` is given and does not have all files.
    """
    for named in user_folders(dataset, data_dir):
        itself = [named] if data_dir is not None else []  # RETINA_NB_DATA may have other datasets' files
        places = [place for place in (*itself, named / dataset, named / ROOTS[dataset]) if place.is_dir()]
        lacking = [[path for path in wanted if not _has(place, path)] for place in places]
        for place, lack in zip(places, lacking, strict=True):
            if not lack:
                check(_recorded(place, wanted), place)
                return place
        if data_dir is not None:
            raise UserError(
                f"{dataset}: {data_dir} has no {min(lacking, key=len)[0]}; put it there from "
                f"{_page(dataset)}, or leave data_dir out to have it downloaded"
            )
    return None


def fetch_folder(dataset: str, wanted: Sequence[str], folder: Path) -> Path:
    """Have the `wanted` files of a dataset in a folder, see `dataset_folder`: check what is there, download the rest.

    Raises:
        UserError: if a file is damaged, or cannot be had.
    """
    files = _published(dataset, wanted, folder)
    download_files([file for file in files if not _only_unpacked(folder / file.name)], folder)
    for file in files:
        if file.name.endswith(".zip"):
            unpacked(folder / file.name)
    return folder


def is_there(dataset: str, wanted: Sequence[str]) -> bool:
    """Whether the `wanted` files are in the user's folder or in the cache; asks nobody."""
    folder = cache_dir() / dataset
    try:
        if find_folder(dataset, None, wanted) is not None:
            return True
        if not {_fixed_part(path) for path in wanted if _is_pattern(path)} <= _listings(folder).keys():
            return False
        return all(_exists(folder / file.name) for file in _published(dataset, wanted, folder))
    except UserError:
        return False


def hub_file(path_in_repo: str, *, again: bool = False) -> Path:
    """A single file of the repository, e.g. a checkpoint, downloaded into the cache if it is not there.

    Args:
        path_in_repo: the file.
        again: download it in any case, see `retina_nb.loaders.download.download_files`.

    Raises:
        UserError: if it is damaged, does not exist, or cannot be downloaded.
    """
    folder = cache_dir() / "hub"
    download_files([RemoteFile(path_in_repo, _url(path_in_repo))], folder, again=again)
    return folder / path_in_repo


def _published(dataset: str, wanted: Sequence[str], folder: Path) -> list[RemoteFile]:
    """The published files that are `wanted`, once each; asks the hub only for listings that `folder` does not have."""
    files: dict[str, RemoteFile] = {}
    for path in wanted:
        found = [RemoteFile(path, _url(f"{ROOTS[dataset]}/{path}"))]
        if _is_pattern(path):
            listing = _listing(dataset, _fixed_part(path), folder)
            found = [file for file in listing if _matches(path, file.name)]
            if not found:
                raise UserError(f"{dataset}: nothing on the hub matches {path}, see {_page(dataset)}")
        files |= {file.name: file for file in found}
    return list(files.values())


def _is_pattern(path: str) -> bool:
    return path.endswith("/") or any(sign in path for sign in "*?[")


def _fixed_part(pattern: str) -> str:
    """The folder that a pattern names before it becomes one: ``"sessions"`` of ``"sessions/*mouse*"``."""
    parts = pattern.split("/")
    return "/".join(takewhile(lambda part: part and not _is_pattern(part), parts))


def _matches(pattern: str, name: str) -> bool:
    """Whether a pattern matches a path, or a folder that it is in."""
    parts, names = pattern.rstrip("/").split("/"), name.split("/")
    return len(names) >= len(parts) and all(map(fnmatchcase, names, parts))


def _exists(path: Path) -> bool:
    return path.exists() or _only_unpacked(path)


def _only_unpacked(path: Path) -> bool:
    return path.suffix == ".zip" and not path.exists() and is_unpacked(path)


def _has(folder: Path, path: str) -> bool:
    return any(folder.glob(path.rstrip("/"))) if _is_pattern(path) else _exists(folder / path)


def _recorded(folder: Path, wanted: Sequence[str]) -> list[RemoteFile]:
    records = [record for record in recorded(folder).values() if (folder / record.name).exists()]
    mine = [record for record in records if any(_matches(path, record.name) for path in wanted)]
    return [RemoteFile(record.name, record.url, record.size, record.sha256) for record in mine]


def _listing(dataset: str, inside: str, folder: Path) -> list[RemoteFile]:
    """All published files inside a folder of a dataset, remembered in `folder`."""
    known = _listings(folder)
    files = known[inside] if inside in known else _ask_for_listing(dataset, inside)
    for name, _, _ in files:
        if problem := name_problem(name):
            raise UserError(f"{dataset}: nothing is downloaded, since the hub lists a file {name!r}, which {problem}")
    if inside not in known:
        with replace_file(folder / LISTINGS, CACHE_ADVICE) as temporary:
            temporary.write_text(json.dumps(known | {inside: files}, indent=0), encoding="utf-8")
    return [RemoteFile(name, _url(f"{ROOTS[dataset]}/{name}"), size, sha256) for name, size, sha256 in files]


def _listings(folder: Path) -> dict[str, list]:
    """The remembered listings by folder: name, size and SHA-256 of every file; none if they cannot be read."""
    try:
        known = json.loads((folder / LISTINGS).read_text(encoding="utf-8"))
        return {inside: [(str(name), size, sha256) for name, size, sha256 in files] for inside, files in known.items()}
    except (OSError, ValueError, TypeError, AttributeError):
        return {}


def _ask_for_listing(dataset: str, inside: str) -> list[tuple[str, int, str | None]]:
    from huggingface_hub import HfApi
    from huggingface_hub.errors import EntryNotFoundError, HTTPError
    from huggingface_hub.hf_api import RepoFile

    # The data are public, and an outdated token of the user's would be refused.
    api, root = HfApi(os.environ.get("HF_ENDPOINT"), token=False), ROOTS[dataset]
    try:
        requests.head(api.endpoint, timeout=TIMEOUT)  # without a network huggingface_hub tries for half a minute
        entries = list(
            api.list_repo_tree(REPOSITORY, f"{root}/{inside}".rstrip("/"), recursive=True, repo_type="dataset")
        )
    except EntryNotFoundError:
        raise UserError(f"{dataset}: the hub has no folder {inside or root}, see {_page(dataset)}") from None
    except (HTTPError, OSError, ValueError) as error:
        reason = "no connection to the server" if isinstance(error, requests.ConnectionError) else str(error)
        raise UserError(
            f"{dataset}: cannot list its files on {api.endpoint}: {' '.join(reason.split())}; try again later, or put "
            f"the files of {_page(dataset)} into a folder and give it as data_dir"
        ) from None
    files = [entry for entry in entries if isinstance(entry, RepoFile)]
    return [(file.path.removeprefix(f"{root}/"), file.size, file.lfs.sha256 if file.lfs else None) for file in files]


def _url(path_in_repo: str) -> str:
    from huggingface_hub import hf_hub_url

    return hf_hub_url(REPOSITORY, path_in_repo, repo_type="dataset", endpoint=os.environ.get("HF_ENDPOINT"))


def _page(dataset: str) -> str:
    return f"https://huggingface.co/datasets/{REPOSITORY}/tree/main/{ROOTS[dataset]}"
