"""Salamander retinal ganglion cells under binary white noise (Liu et al. 2017, Nature Communications 8:149).

A checkerboard of 200 x 150 stixels, each black or white at random, 30 times a second. Each of 219 trials shows
1500 frames of running noise, never the same, and then the same 300 frames of frozen noise. The trials follow one
another without a break: by the STAs, the first bins of a trial respond to the frozen noise before it. The first 19
bins of the first trial were not counted and are labelled unused.

The running noise is not published: it is regenerated, bit for bit, as one stream of `ran1` with seed -10000, and
kept as packed bits in `cache_dir`, 5.6 MB a trial. The spike counts and the frozen noise are read from the files of
the public repository megyoung430/rgc-subunit-classifier (the original deposit is G-Node's
gollischlab/Liu_etal_2017_RGC_spiketrains_for_STNMF). Their licence is not established, so they are downloaded by
whoever uses them.
"""

from collections.abc import Iterator, Sequence
from itertools import chain
from pathlib import Path

import numpy as np
from jaxtyping import Float32, Int64, UInt8
from scipy.ndimage import gaussian_filter

from retina_nb.errors import UserError
from retina_nb.files import replace_file
from retina_nb.loaders import DatasetCard, h5, ran1
from retina_nb.loaders.download import RemoteFile, cache_dir, find_or_download
from retina_nb.loaders.mat import read_mat
from retina_nb.loaders.npy import cached_array
from retina_nb.loaders.packed import PackedFrames
from retina_nb.recording import UNUSED, Movie, Recording

CARD = DatasetCard(
    summary="78 salamander ganglion cells, 3 h of running noise and 219 repeats of 10 s of frozen noise",
    species="salamander",
    rate=30.0,
    pixel_um=30.0,  # by the paper's account: 4 x 4 screen pixels
    stimulus="binary checkerboard of 200 x 150 stixels, cut to a window for each cell",
    citation="Liu et al. 2017, Nature Communications 8:149",
    cells=78,
    size_mb=4.1,
)

# A fixed subset for comparisons: eight OFF and four ON cells, each with the first stixel (x, y) of a 16 x 16 window.
SUBSET = {
    56: (116, 23),
    9: (79, 76),
    54: (83, 83),
    40: (113, 55),
    7: (109, 89),
    71: (96, 86),
    12: (83, 88),
    63: (125, 82),
    8: (100, 92),
    48: (114, 73),
    1: (97, 88),
    51: (88, 63),
}

CELLS, TRIALS, RUNNING, FROZEN = 78, 219, 1500, 300
WIDTH, HEIGHT = 200, 150
SEED = -10000

_REPOSITORY = "https://raw.githubusercontent.com/megyoung430/rgc-subunit-classifier"
_SPIKES = RemoteFile(
    name="cell_data_01_NC.mat",
    url=f"{_REPOSITORY}/cb9d27c70fa5f98c349c137b52d3e8abd988a632/data/cell_data_01_NC.mat",
    size=2_287_003,
    sha256="5fa80df2b2f6e34b981b1f97ce8a425f434c46e484116c53469ee502509c3d50",
)
_FROZEN_NOISE = RemoteFile(
    name="stim_frz.h5",
    url=f"{_REPOSITORY}/044c204bdca700da3f90d095bfbe5bb80d23ff70/data/stimulus_data/stim_frz.h5",
    size=1_856_453,
    sha256="02954cd88054387c753c8b286cd77e62bf69d59d2048bed9a0e95b35ad69c8ce",
)

_UNCOUNTED = 19  # bins at the start of the first trial in which no spike of any cell was counted
# Frames before a spike, 100 to 200 ms: within the first lobe of the STA of all cells.
_LAGS = np.arange(3, 7)
_SMOOTHING = 1.0  # stixels
# A cached trial of the running noise, and the state of the generator that makes the next.
_NOISE = np.dtype([("bits", np.uint8, (RUNNING, WIDTH * HEIGHT // 8)), ("state", np.int64, 34)])

# Stixels of each frame as bits, y running fastest.
RunningNoise = UInt8[np.ndarray, "1500 3750"]
FrozenNoise = UInt8[np.ndarray, "300 3750"]
RunningCounts = UInt8[np.ndarray, "cell 1500 trial"]


def load(
    *,
    data_dir: str | Path | None = None,
    cells: Sequence[int] | np.ndarray | None = None,
    corners: Sequence[Sequence[int]] | np.ndarray | None = None,
    size: int = 16,
    trials: int = TRIALS,
    validation_fraction: float = 0.1,
) -> dict[str, Recording]:
    """Load one recording for each cell, with the window of the checkerboard around its receptive field.

    A recording's timeline has the running and the frozen noise of the first `trials` trials as they were shown,
    and then, each with an onset, the frozen noise of all other trials: there are always 219 repeats of ``"test"``.
    The last frames of the running noise of every trial are for validation.

    Args:
        data_dir: folder of the two files, see `find_or_download`.
        cells: numbers of the cells, from 0 to 77; by default all.
        corners: first stixel (x, y) of each cell's window. By default each window is centred on the largest
            lobe of the cell's STA, and moved onto the screen where it sticks out.
        size: height and width of the windows in stixels.
        trials: number of trials of which the running noise is used, the first ones.
        validation_fraction: part of the running noise that is for validation.

    Returns:
        Recordings ``"cell_0"`` etc. of one neuron each, whose property ``polarity`` is 1 for ON and -1 for OFF by
        the largest lobe of the STA in the window.

    Raises:
        UserError: if a cell, window or number is not possible, or a file is missing, damaged or cannot be had.
    """
    _check(size, trials, validation_fraction)
    numbers = _cell_numbers(cells)
    first = None if corners is None else _window_corners(corners, len(numbers), size)
    shapes = {"spk1": (CELLS, RUNNING, TRIALS), "spk2": (CELLS, FROZEN, TRIALS)}
    spikes = read_mat(find_or_download(_SPIKES, "liu_2017", data_dir), shapes)
    frozen = _frozen_noise(find_or_download(_FROZEN_NOISE, "liu_2017", data_dir))
    running_counts, frozen_counts = spikes["spk1"][:, :, :trials], spikes["spk2"]
    if first is None:
        centers = _cached_centers(running_counts)[numbers]
        first = np.clip(centers - size // 2, 0, (WIDTH - size, HEIGHT - size))

    windows = _windows(first, size, trials, frozen)
    frames, split, onsets, repeats = _timeline(trials, validation_fraction)
    recordings = {}
    for cell, (x, y), bits in zip(numbers, first, windows, strict=True):
        window = PackedFrames(bits, size, size)
        recordings[f"cell_{cell}"] = Recording(
            session=f"cell_{cell}",
            movie=Movie(window, channels=("luminance",)),
            responses=_responses(running_counts[cell], frozen_counts[cell])[:, None],
            rate=CARD.rate,
            frames=frames,
            split=split,
            repeats={"test": repeats},
            onsets=onsets,
            pixel_um=CARD.pixel_um,
            neurons={
                "cell": np.array([cell]),
                "corner_x": np.array([x]),
                "corner_y": np.array([y]),
                "polarity": np.array([_polarity(window, running_counts[cell])]),
            },
        )
    return recordings


def wanted(**_: object) -> list[RemoteFile]:
    """The files that `load` needs, with any settings."""
    return [_SPIKES, _FROZEN_NOISE]


def running_noise(trials: int = TRIALS) -> Iterator[RunningNoise]:
    """The running noise, trial by trial, made where it is not in the cache: 0.1 s a trial.

    Yields:
        (frame, byte) the stixels of each frame in the order of `numpy.packbits`, y running fastest; 1 is white.

    Raises:
        UserError: if the cache cannot be written.
    """
    state = ran1.start(SEED)
    for trial in range(trials):
        path = cache_dir() / "liu_2017" / f"running_{trial:03d}.npy"
        stored = cached_array(path, _NOISE, ())
        if stored is None:
            bits, state = ran1.packed_bits(state, RUNNING * WIDTH * HEIGHT)
            stored = np.array((bits.reshape(RUNNING, -1), state), dtype=_NOISE)
            _store(path, stored)
        state = stored["state"]
        yield stored["bits"]


def receptive_field_centers(counts: RunningCounts) -> Int64[np.ndarray, "cell 2"]:
    """Where each cell's STA is largest.

    The STA (Chichilnisky 2001, Network 12:199) is averaged over the frames 100 to 200 ms before a spike and
    smoothed by a Gaussian of one stixel.

    Args:
        counts: spike counts during the running noise of the first trials.

    Returns:
        Stixel (x, y) of each cell.
    """
    maps = np.zeros((len(counts), WIDTH * HEIGHT), dtype=np.float32)
    for bits, trial in zip(running_noise(counts.shape[-1]), np.moveaxis(counts, -1, 0), strict=True):
        following = np.zeros((len(counts), RUNNING), dtype=np.float32)  # spikes, `_LAGS` after each frame
        for lag in _LAGS:
            following[:, :-lag] += trial[:, lag:]
        maps -= following.sum(axis=1, keepdims=True) / 2
        for part in np.split(np.arange(RUNNING), 5):  # a trial unpacked to float32 would take 180 MB
            maps += following[:, part] @ np.unpackbits(bits[part], axis=1).astype(np.float32)
    peaks = np.abs(_smoothed(maps.reshape(-1, WIDTH, HEIGHT))).reshape(len(maps), -1).argmax(axis=1)
    return np.stack(np.unravel_index(peaks, (WIDTH, HEIGHT)), axis=1)


def _cached_centers(counts: RunningCounts) -> Int64[np.ndarray, "cell 2"]:
    trials = counts.shape[-1]
    path = cache_dir() / "liu_2017" / f"centers_{trials}_trials_lags_{_LAGS[0]}-{_LAGS[-1]}_smoothed_{_SMOOTHING}.npy"
    centers = cached_array(path, np.int64, (len(counts), 2))
    if centers is None:
        centers = receptive_field_centers(counts)
        _store(path, centers)
    return centers


def _polarity(frames: PackedFrames, counts: UInt8[np.ndarray, "1500 trial"]) -> int:
    sta = np.zeros(frames.shape[2:], dtype=np.float32)
    for trial, spikes in enumerate(counts.T):
        bins = np.arange(RUNNING).repeat(spikes)
        before = bins[bins >= _LAGS[-1], None] - _LAGS
        sta += frames[0, trial * RUNNING + before].sum(axis=(0, 1))
    smooth = _smoothed(sta[None])
    return int(np.sign(smooth.flat[np.abs(smooth).argmax()]))


def _smoothed(maps: Float32[np.ndarray, "cell x y"]) -> Float32[np.ndarray, "cell x y"]:
    return gaussian_filter(maps, (0, _SMOOTHING, _SMOOTHING), mode="constant")


def _frozen_noise(path: Path) -> FrozenNoise:
    with h5.open_h5(path) as file:
        noise = h5.read(file, "stim_frz", axes="x y frame", shape=(WIDTH, HEIGHT, FROZEN))
    return np.packbits(noise.reshape(-1, FROZEN).T > 0, axis=1)


def _windows(
    corners: Int64[np.ndarray, "cell 2"], size: int, trials: int, frozen: FrozenNoise
) -> UInt8[np.ndarray, "cell frame byte"]:
    """The running noise of some trials, then the frozen noise, in each window, with x running fastest."""
    x, y = corners.T[:, :, None, None]
    row, column = np.ogrid[:size, :size]
    stixels = ((x + column) * HEIGHT + y + row).reshape(len(corners), -1)
    stixels = np.pad(stixels, ((0, 0), (0, -size * size % 8)))  # (cell, stixel), with whole bytes for every cell
    windows = np.empty((len(corners), trials * RUNNING + FROZEN, stixels.shape[1] // 8), dtype=np.uint8)
    start = 0
    for bits in chain(running_noise(trials), [frozen]):
        cut = np.packbits(np.take(np.unpackbits(bits, axis=1), stixels, axis=1))
        windows[:, start : start + len(bits)] = cut.reshape(len(bits), len(corners), -1).swapaxes(0, 1)
        start += len(bits)
    return windows


def _timeline(trials: int, validation_fraction: float) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Frame on screen and label of every bin, the onsets, and the bins of every repeat of the frozen noise."""
    running = np.arange(trials * RUNNING).reshape(trials, RUNNING)
    frozen = np.tile(running.size + np.arange(FROZEN), (TRIALS, 1))
    frames = np.concatenate([np.hstack([running, frozen[:trials]]).ravel(), frozen[trials:].ravel()])
    validation = round(RUNNING * validation_fraction)
    labels = np.repeat(["train", "validation", "test"], [RUNNING - validation, validation, FROZEN])
    split = np.concatenate([np.tile(labels, trials), np.repeat("test", frozen[trials:].size)])
    repeats = np.flatnonzero(split == "test").reshape(TRIALS, FROZEN)
    split[:_UNCOUNTED] = UNUSED
    return frames, split, np.append(0, repeats[trials:, 0]), repeats


def _responses(
    running: UInt8[np.ndarray, "1500 trial"], frozen: UInt8[np.ndarray, "300 all_trials"]
) -> Float32[np.ndarray, " time"]:
    """Spike counts of one cell along the timeline."""
    trials = running.shape[1]
    shown = np.vstack([running, frozen[:, :trials]]).T.ravel()
    return np.concatenate([shown, frozen[:, trials:].T.ravel()]).astype(np.float32)


def _store(path: Path, array: np.ndarray) -> None:
    room = f"set RETINA_NB_CACHE to a folder with room for {_NOISE.itemsize / 1e6:.1f} MB a trial"
    with replace_file(path, room) as temporary:
        np.save(temporary, array)


def _check(size: int, trials: int, validation_fraction: float) -> None:
    for name, value, most in (("size", size, min(WIDTH, HEIGHT)), ("trials", trials, TRIALS)):
        if not (isinstance(value, int | np.integer) and 1 <= value <= most):
            raise UserError(f"liu_2017: {name} must be a whole number between 1 and {most}, not {value}")
    if not 0 <= validation_fraction < 1:
        raise UserError(f"liu_2017: validation_fraction must be at least 0 and below 1, not {validation_fraction}")
    if round(RUNNING * validation_fraction) == RUNNING:
        raise UserError(
            f"liu_2017: validation_fraction {validation_fraction} leaves none of the {RUNNING} frames of a trial for "
            "training"
        )


def _cell_numbers(cells: Sequence[int] | np.ndarray | None) -> np.ndarray:
    numbers = np.arange(CELLS) if cells is None else _whole_numbers(cells)
    if numbers is None or numbers.ndim != 1 or not len(numbers):
        raise UserError(f"liu_2017: cells must be a list of cell numbers, not {cells}")
    for position, cell in enumerate(numbers):
        if not 0 <= cell < CELLS:
            raise UserError(f"liu_2017: there is no cell {cell}, the cells are numbered from 0 to {CELLS - 1}")
        if cell in numbers[:position]:
            raise UserError(f"liu_2017: cell {cell} is twice in cells")
    return numbers


def _window_corners(corners: Sequence[Sequence[int]] | np.ndarray, n: int, size: int) -> Int64[np.ndarray, "cell 2"]:
    first = _whole_numbers(corners)
    if first is None or first.shape != (n, 2):
        raise UserError(f"liu_2017: corners must be a list of one [x, y] for each of the {n} cells, not {corners}")
    for x, y in first:
        if not (0 <= x <= WIDTH - size and 0 <= y <= HEIGHT - size):
            raise UserError(
                f"liu_2017: the window of {size} x {size} stixels at x={x}, y={y} sticks out of the "
                f"{WIDTH} x {HEIGHT} stixels of the screen"
            )
    return first


def _whole_numbers(values: object) -> np.ndarray | None:
    try:
        array = np.asarray(values)
    except ValueError:  # lists of unequal lengths
        return None
    return array.astype(np.int64) if array.dtype.kind in "iu" else None
