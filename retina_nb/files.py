"""Writing files so that nobody ever finds half of one."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from retina_nb.errors import UserError


@contextmanager
def replace_file(path: str | Path) -> Iterator[Path]:
    """Give a temporary name to write to; it becomes `path` when the block ends, and nothing if it fails.

    Raises:
        UserError: if the folder cannot be made or written, or `path` is one.
    """
    path = Path(path)
    if path.is_dir():
        raise UserError(f"cannot write {path}: it is a folder; give the name of a file")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(prefix=".", suffix=path.suffix, dir=path.parent)
    except OSError as error:
        raise UserError(
            f"cannot write {path}: {error.strerror or error}; choose a folder that can be written"
        ) from None
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        os.chmod(temporary, 0o666 & ~_umask())
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def replace_between(path: str | Path, marks: tuple[str, str], text: str) -> None:
    """Put a text between two marks of a file, in place of what stands there."""
    whole = Path(path).read_text(encoding="utf-8")
    before, after = whole.split(marks[0])[0], whole.split(marks[1])[1]
    with replace_file(path) as temporary:
        temporary.write_text(f"{before}{marks[0]}{text}{marks[1]}{after}", encoding="utf-8")


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
