"""Memory of the process, as the C library keeps it."""

import ctypes

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
