"""Memory of the process: what the C library keeps, and what is said when there is too little."""

import ctypes
from collections.abc import Iterator
from contextlib import contextmanager

import psutil
import torch

from retina_nb.errors import UserError

# Numbers in glibc's malloc.h: how many arrays are mapped, how much is kept before any is given back, asked for ahead.
_MMAP_MAX, _TRIM_THRESHOLD, _TOP_PAD = -4, -1, -2


def keep_freed_memory() -> bool:
    """Have glibc keep what is freed, for the rest of the process: large arrays then do not fault in anew each time.

    A step of training takes up to a third less time on a CPU, and the process stays as large as it once was.

    Returns:
        Whether the C library can do that.
    """
    library = ctypes.CDLL(None)
    if not hasattr(library, "mallopt"):
        return False
    settings = ((_MMAP_MAX, 0), (_TRIM_THRESHOLD, 2**31 - 1), (_TOP_PAD, 256 * 2**20))
    return min(library.mallopt(name, value) for name, value in settings) == 1


def check_memory(n_bytes: int, what: str) -> None:
    """See that there is room for what is to be made or read, before it is.

    Args:
        n_bytes: what it needs.
        what: what to call it in the error.

    Raises:
        UserError: if this is more than the memory that is free.
    """
    free = psutil.virtual_memory().available
    if n_bytes > free:
        raise UserError(
            f"{what} needs {n_bytes / 1e9:,.1f} GB of memory, {free / 1e9:,.1f} GB are free; use a part of it, or a "
            "machine with more memory"
        )


@contextmanager
def enough_memory(advice: str) -> Iterator[None]:
    """What needs more memory than there is, of the computer or of the device, is refused in a sentence.

    Raises:
        UserError: with the advice, if memory is used up.
    """
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        if isinstance(error, MemoryError | torch.OutOfMemoryError) or "allocate memory" in str(error):
            raise UserError(f"there is not enough memory: {advice}") from None
        raise
