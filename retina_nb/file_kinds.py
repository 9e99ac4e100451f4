"""What a file is by its first bytes, for errors about files that are not what they were taken for."""

import codecs
import zipfile
from pathlib import Path

from retina_nb.errors import UserError

_MAKE = "read its arrays and make a retina_nb.Recording of them"
_AGAIN = "get it again"

# How a file of each kind starts, what to call it, and what to do.
_STARTS = (
    (b"MATLAB 5.0", "a MATLAB file of version 5 to 7", f"{_MAKE} (scipy.io.loadmat reads it), or save it with -v7.3"),
    (b"MATLAB 7.3", "an HDF5 file", "give its path to load_recordings"),
    (b"\x89HDF\r\n\x1a\n", "an HDF5 file", "give its path to load_recordings"),
    (b"\x93NUMPY", "a file of numpy.save", f"{_MAKE} (numpy.load reads it)"),
    (b"\x1f\x8b", "compressed by gzip", "unpack it first (gunzip)"),
    (b"BZh", "compressed by bzip2", "unpack it first (bunzip2)"),
    (b"\xfd7zXZ\0", "compressed by xz", "unpack it first (unxz)"),
    (b"\x28\xb5\x2f\xfd", "compressed by zstd", "unpack it first (unzstd)"),
    (b"7z\xbc\xaf\x27\x1c", "a 7z archive", "unpack it first"),
    (b"Rar!\x1a\x07", "a RAR archive", "unpack it first"),
    (b"CDF\x01", "a NetCDF file of version 3", "convert it to NetCDF 4 (nccopy -k nc4), which is HDF5"),
    (b"CDF\x02", "a NetCDF file of version 3", "convert it to NetCDF 4 (nccopy -k nc4), which is HDF5"),
    (b"\x89PNG", "a PNG image", "give the recordings"),
    (b"\xff\xd8\xff", "a JPEG image", "give the recordings"),
    (b"GIF8", "a GIF image", "give the recordings"),
    (b"II*\0", "a TIFF image", _MAKE),
    (b"MM\0*", "a TIFF image", _MAKE),
    (b"%PDF", "a PDF document", "give the recordings"),
    (b"SQLite format 3\0", "an SQLite database", _MAKE),
    (b"PAR1", "a Parquet table", f"{_MAKE} (pandas.read_parquet reads it)"),
    (
        b"version https://git-lfs.github.com/",
        "a pointer of Git LFS in place of the file",
        "get the file (git lfs pull)",
    ),
    (b"/annex/objects/", "a pointer of git-annex, not the file itself", "get it (git annex get)"),
)
_INSIDE = ((4, b"ftyp", "a film (MP4)"), (8, b"AVI ", "a film (AVI)"), (257, b"ustar", "a tar archive"))
_ANY = _EMPTY, _TEXT = "empty", "a text"  # what a damaged file of any kind may look like
_HTML = (b"<!doctype", b"<html", b"<?xml", b"<head", b"<script")
_PICKLE = tuple(b"\x80" + bytes([protocol]) for protocol in range(2, 6))


def not_a(wanted: str, path: Path, reason: str) -> UserError:
    """The error for a file that cannot be read as what it was taken for: it says what the file is.

    Args:
        wanted: what it was taken for, e.g. ``"an HDF5 file"``.
        path: the file.
        reason: why it cannot be read; it is told where the file is of no other known kind.
    """
    what, advice = kind_of(path) or (wanted, "")
    if what in _ANY:
        what, reason = wanted, f"it is {what}"
    if what == wanted:
        return UserError(f"cannot read {path}: it is damaged, incomplete or not {wanted} ({reason}); {_AGAIN}")
    return UserError(f"cannot read {path}: it is {what}, not {wanted}; {advice}")


def kind_of(path: Path) -> tuple[str, str] | None:
    """What a file is, and what to do with it; None if that is not known. Nothing of it is read but its start."""
    try:
        with open(path, "rb") as file:
            start = file.read(4096)
    except OSError as error:
        return f"closed to us ({error.strerror or error})", "check its permissions"
    if not start:
        return _EMPTY, _AGAIN
    for sign, what, advice in _STARTS:
        if start.startswith(sign):
            return what, advice
    if start.startswith(b"PK\x03\x04"):
        return _archive(path)
    for at, sign, what in _INSIDE:
        if start[at:].startswith(sign):
            return what, "unpack it first" if "archive" in what else "give the recordings"
    if start.startswith(_PICKLE):
        return "a pickle", "save its arrays as HDF5 instead: a pickle can run any program when it is read"
    if start[8:9] == b"{" and int.from_bytes(start[:8], "little") < 1e8:
        return "a file of safetensors, as twins are saved", "load twins by retina_nb.load_twin"
    return _text(start)


def _archive(path: Path) -> tuple[str, str]:
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
    except (OSError, zipfile.BadZipFile, ValueError, NotImplementedError):
        return "a zip archive that is damaged or incomplete", _AGAIN
    if names and all(name.endswith(".npy") for name in names):
        return "an archive of numpy arrays (.npz)", f"{_MAKE} (numpy.load reads it)"
    if any(name.endswith("data.pkl") for name in names):
        return "a checkpoint of torch", "load twins by retina_nb.load_twin"
    return "a zip archive", "unpack it first"


def _text(start: bytes) -> tuple[str, str] | None:
    try:
        words = codecs.getincrementaldecoder("utf-8-sig")().decode(start).lstrip()  # the last letter may be cut
    except UnicodeDecodeError:
        return None
    if any(ord(one) < 32 and one not in "\t\n\r\f" for one in words):
        return None
    if words.lower().encode().startswith(_HTML):
        return "a web page, perhaps one that says why there is no file", f"{_AGAIN} from where it can be downloaded"
    return _TEXT, _MAKE
