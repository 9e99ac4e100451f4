"""Archives of published datasets: unpacked beside the original, which is kept, and never outside."""

import hashlib
import os
import shutil
import stat
import unicodedata
import zipfile
import zlib
from pathlib import Path, PurePosixPath

from filelock import FileLock

from retina_nb.errors import UserError
from retina_nb.files import name_problem, replace_file
from retina_nb.loaders.download import cache_dir, require_space

_JUNK = ("__MACOSX/", ".DS_Store")  # what macOS adds to archives


def unpacked(archive: Path) -> Path:
    """Where the content of a zip archive ``NAME.zip`` is, unpacked if it was not.

    Its content goes into the folder ``NAME`` beside it (in `cache_dir`, if that cannot be written); a folder ``NAME``
    around everything in the archive is not doubled. Files that are there with the size that the archive tells are
    not unpacked again, so that an interrupted call is taken up by the next.

    Args:
        archive: the archive; it may be missing if its content is there, as a folder ``NAME`` or a file ``NAME.*``.

    Returns:
        The file, if the archive has only one, else the folder.

    Raises:
        UserError: if the archive is missing or damaged, has names that lead outside, links or encrypted files, or
            there is no room for its content.
    """
    if not archive.exists():
        return _content_without_archive(archive)
    try:
        with zipfile.ZipFile(archive) as opened:
            members = _members(opened, archive)
            folder = archive.with_suffix("")
            if _missing(members, folder):
                if not os.access(archive.parent, os.W_OK):
                    identity = hashlib.sha256(str(archive.resolve()).encode()).hexdigest()[:12]
                    folder = cache_dir() / "unpacked" / f"{archive.stem}-{identity}"
                _unpack(opened, members, archive, folder)
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError) as error:
        raise UserError(f"{archive} is damaged ({error}); replace it, or delete it to have it downloaded") from None
    except OSError as error:
        raise UserError(f"cannot unpack {archive}: {error.strerror or error}") from None
    return folder / next(iter(members)) if len(members) == 1 else folder


def is_unpacked(archive: Path) -> bool:
    """Whether the content of an archive lies beside where it is or would be."""
    return archive.with_suffix("").is_dir() or bool(_single_files(archive))


def _content_without_archive(archive: Path) -> Path:
    folder, files = archive.with_suffix(""), _single_files(archive)
    if folder.is_dir():
        inside = [path for path in folder.rglob("*") if path.is_file() and not path.name.startswith(".")]
        return inside[0] if len(inside) == 1 else folder
    if len(files) == 1:
        return files[0]
    raise UserError(f"there is no archive {archive}, and no folder {folder.name} or single file of this name beside it")


def _single_files(archive: Path) -> list[Path]:
    beside = archive.parent.glob(f"{archive.stem}.*") if archive.parent.is_dir() else ()
    return [path for path in beside if path.stem == archive.stem and path.suffix not in (".zip", ".part")]


def _members(opened: zipfile.ZipFile, archive: Path) -> dict[str, zipfile.ZipInfo]:
    """The files of an archive by the path at which they are to lie in its folder."""
    files = [info for info in opened.infolist() if not info.is_dir()]
    files = [info for info in files if not info.filename.startswith(_JUNK[0]) and not info.filename.endswith(_JUNK[1])]
    for info in files:
        if problem := _danger(info):
            raise UserError(f"{archive} is not unpacked: its member {info.filename!r} {problem}")
    paths = [PurePosixPath(info.filename) for info in files]
    cut = 1 if all(len(path.parts) > 1 and path.parts[0] == archive.stem for path in paths) else 0
    members = {"/".join(path.parts[cut:]): info for path, info in zip(paths, files, strict=True)}
    # On some disks names are one that differ in case, or in how an accent is written.
    if not members or len({unicodedata.normalize("NFC", name).casefold() for name in members}) < len(files):
        raise UserError(f"{archive} is not unpacked: it has {'no files' if not members else 'two files of one name'}")
    return members


def _danger(info: zipfile.ZipInfo) -> str:
    if problem := name_problem(info.orig_filename):  # before zipfile has changed it
        return problem
    kind = stat.S_IFMT(info.external_attr >> 16)
    if kind not in (0, stat.S_IFREG):
        return "is a link or a device"
    return "is encrypted" if info.flag_bits & 1 else ""


def _missing(members: dict[str, zipfile.ZipInfo], folder: Path) -> list[str]:
    return [name for name, info in members.items() if not _is_whole(folder / name, info)]


def _is_whole(path: Path, info: zipfile.ZipInfo) -> bool:
    try:
        return path.stat().st_size == info.file_size
    except OSError:
        return False


def _unpack(opened: zipfile.ZipFile, members: dict[str, zipfile.ZipInfo], archive: Path, folder: Path) -> None:
    folder.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(folder.with_name(f".{folder.name}.lock")):
        missing = _missing(members, folder)
        require_space(folder, sum(members[name].file_size for name in missing), f"unpacking {archive}")
        for name in missing:
            with (
                replace_file(folder / name) as temporary,  # there whole or not at all
                opened.open(members[name]) as source,  # compares the checksum when all is read
                open(temporary, "wb") as target,
            ):
                shutil.copyfileobj(source, target, 2**20)
