"""Memory of the process, as the C library keeps it."""

import ctypes

# Numbers of glibc's malloc.h: arrays that are mapped at most, bytes kept before any are given back, bytes asked for at once.
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
    return all([library.mallopt(name, value) for name, value in settings])
