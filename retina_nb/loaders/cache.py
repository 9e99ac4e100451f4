"""Keeping in the cache what takes a while to compute."""

import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import FileLock

from retina_nb.errors import UserError
from retina_nb.files import replace_file

CACHE_ADVICE = "set RETINA_NB_CACHE to a folder that has room and can be written"

_PATIENCE = 60.0  # seconds for another process; it may have been stopped


@contextmanager
def one_at_a_time(path: Path) -> Iterator[None]:
    """Wait while another process makes the same file of the cache; look for it again then.

    Nobody waits for a process that has ended, or for one that takes longer than a minute, or where there can be no
    lock: the same is computed twice then, no more.
    """
    lock = FileLock(path.with_name(f".{path.name}.lock"))
    try:
        with suppress(OSError, NotImplementedError):  # Timeout is an OSError
            path.parent.mkdir(parents=True, exist_ok=True)
            lock.acquire(timeout=_PATIENCE)
        yield
    finally:
        if lock.is_locked:
            with suppress(OSError):
                Path(lock.lock_file).unlink(missing_ok=True)  # first: who comes now makes one of his own
            lock.release()


def keep(path: Path, save: Callable[[Path], object]) -> None:
    """Keep a file in the cache. If that fails, warn: what was computed is there all the same.

    Args:
        path: the file.
        save: writes it to the path that it is given.
    """
    try:
        with replace_file(path, CACHE_ADVICE) as temporary:
            save(temporary)
    except UserError as error:
        reason = str(error).replace(str(path), str(path.parent))  # so that one warning is enough for a folder
        warnings.warn(f"what was computed is not kept in the cache: {reason}", stacklevel=2)
