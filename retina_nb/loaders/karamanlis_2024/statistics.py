"""Mean and standard deviation of a movie that is not held in memory."""

import hashlib
import math
from collections.abc import Sequence

import numpy as np
from jaxtyping import Int64
from tqdm import tqdm

from retina_nb.errors import UserError
from retina_nb.loaders.cache import keep
from retina_nb.loaders.download import cache_dir
from retina_nb.loaders.karamanlis_2024.sessions import Session
from retina_nb.loaders.normalize import mean_and_std
from retina_nb.loaders.npy import cached_array
from retina_nb.recording import Frames

_AT_ONCE = 2**23  # pixels that are summed at a time


def cached_statistics(
    shown: Frames, order: Int64[np.ndarray, " time"], session: Session, content: Sequence[np.ndarray]
) -> tuple[float, float]:
    """Mean and standard deviation of a movie, from the cache where they were worked out before.

    Args:
        shown, order: see `statistics`.
        session: whose movie it is.
        content: what it is made of.
    """
    digest = hashlib.blake2b(repr(shown.shape).encode(), digest_size=16)
    for array in (order, *content):
        digest.update(np.ascontiguousarray(array).data)
    path = cache_dir() / "karamanlis_2024" / "statistics" / f"{session.path.stem}-{digest.hexdigest()}.npy"
    stored = cached_array(path, np.float64, (2,))
    if stored is not None and np.isfinite(stored).all():
        mean, std = stored.tolist()
    else:
        mean, std = statistics(shown, order, where=f"session {session.name}: the movie of {session.path}")
        keep(path, lambda temporary: np.save(temporary, [mean, std]))
    return mean, std


def statistics(
    shown: Frames, order: Int64[np.ndarray, " time"], *, where: str, whole: int = 2**24
) -> tuple[float, float]:
    """Mean and standard deviation (n - 1) over all pixels of a movie without holding it in memory.

    Args:
        shown: the movie's frames, each once.
        order: which of them is shown when.
        where: what to call the movie in an error.
        whole: a movie of at most so many pixels is made whole and reduced as `mean_and_std` does, to the bits that
            openretina has. The sums over a larger one are of float64, and the results rounded to float32: they are
            nearer to the truth than a sum in float32, which depends on the number of threads.
    """
    _, _, height, width = shown.shape
    if len(order) * height * width <= whole:
        mean, std = mean_and_std(shown[:, order], where=where)
    else:
        mean, std = _in_parts(shown, order, where)
    if not std > 1e-6 * abs(mean):  # what rounding leaves
        raise UserError(f"{where} is {mean:g} in all pixels of all frames; get the file again")
    return mean, std


def _in_parts(shown: Frames, order: Int64[np.ndarray, " time"], where: str) -> tuple[float, float]:
    total = squares = 0.0
    times = np.bincount(order)
    numbers = np.flatnonzero(times)
    step = max(1, _AT_ONCE // math.prod(shown.shape[2:]))
    for start in tqdm(range(0, len(numbers), step), desc=f"Statistics of {where}", disable=None, leave=False):
        part = numbers[start : start + step]
        frames = shown[0, part].astype(np.float64)
        total += times[part] @ frames.sum(axis=(1, 2))
        squares += times[part] @ np.square(frames).sum(axis=(1, 2))
    n = len(order) * frames[0].size
    return float(np.float32(total / n)), float(np.float32(np.sqrt(max(squares - total**2 / n, 0.0) / (n - 1))))
