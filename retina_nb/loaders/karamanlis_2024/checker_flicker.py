"""White noise: a checkerboard, each stixel black or white at random, in running blocks and frozen trials.

It is not published but made again, from the seeds in the file, by the laboratory's generator: frames are drawn where
they are looked at, from states of the generator that are kept every few frames.
"""

from dataclasses import dataclass
from functools import partial

import h5py
import numpy as np
from jaxtyping import Float32, Int64

from retina_nb.errors import UserError
from retina_nb.loaders import h5, ran1
from retina_nb.loaders.cache import keep
from retina_nb.loaders.download import cache_dir
from retina_nb.loaders.karamanlis_2024.fixation_movie import Clips
from retina_nb.loaders.karamanlis_2024.sessions import SCREEN, Session
from retina_nb.loaders.lazy import DrawnFrames
from retina_nb.loaders.npy import cached_array
from retina_nb.loaders.splits import label_clips, validation_clips
from retina_nb.loaders.timelines import alternating
from retina_nb.recording import Movie, Recording

_STEP = 50  # frames between states that are kept: 3 ms of drawing for 200 x 150 stixels


@dataclass(frozen=True)
class Board:
    """How the checkerboard was shown: its size and that of a stixel in pixels, refreshes of a frame, and seeds."""

    height: int
    width: int
    stixel_height: int
    stixel_width: int
    blinks: int
    seed: int
    frozen_seed: int


@dataclass(frozen=True)
class Noise:
    """Frames of noise from one seed: the states of the generator before every `_STEP`-th of them."""

    states: Int64[np.ndarray, "state 34"]
    n: int


def recording(session: Session, clips: Clips) -> Recording:
    """Read a session; see `load`."""
    with h5.open_h5(session.path) as file:
        running = h5.read(file, "runningbin", axes="block time neuron")
        blocks, length, n = running.shape
        frozen = h5.read(file, "frozenbin", axes="trial time neuron", shape=(None, None, n))
        board = _board(file)
        for key, bins in (("RunningFrames", length), ("FrozenFrames", frozen.shape[1])):
            if (said := _parameter(file, key)) != bins:
                raise UserError(
                    f"{h5.place(file, f'stimPara/{key}')} is {said}, but the responses have {bins} bins; "
                    "is the file damaged?"
                )

    n_running, n_frozen, stixels = blocks * length, frozen.shape[1], board.height * board.width
    streams = (_noise(board.seed, n_running, stixels), _noise(board.frozen_seed, n_frozen, stixels))
    draw = partial(draw_noise, streams=streams, height=board.height, width=board.width)
    drawn = validation_clips(n_running, clips.length, clips.n, clips.seed)
    timeline = alternating(
        running,
        np.arange(n_running).reshape(blocks, length),
        label_clips(n_running, clips.length, drawn).reshape(blocks, length),
        frozen,
        n_running + np.arange(n_frozen),
        joined=True,  # the laboratory's own analysis cuts one train of bins into trials of running and frozen frames
    )
    square = board.stixel_width == board.stixel_height
    return Recording(
        session=session.name,
        movie=Movie(DrawnFrames(draw, n_running + n_frozen, board.height, board.width), channels=("luminance",)),
        rate=session.refresh / board.blinks,
        pixel_um=session.pixel_um * board.stixel_height if square else float("nan"),
        neurons=session.neurons_if(n),
        **vars(timeline),
    )


def _board(file: h5py.File) -> Board:
    keys = ("Ny", "Nx", "stixelheight", "stixelwidth", "Nblinks", "seed", "secondseed")
    board = Board(*(_parameter(file, key) for key in keys))
    fits = 1 <= board.height * board.stixel_height <= SCREEN[0] and 1 <= board.width * board.stixel_width <= SCREEN[1]
    if not fits or min(board.height, board.width, board.blinks) < 1:
        raise UserError(f"{h5.place(file, 'stimPara')} describes no checkerboard on the screen: {board}; get it again")
    for key, seed in (("seed", board.seed), ("secondseed", board.frozen_seed)):
        if not -(2**31) + 1 < seed < 0:
            raise UserError(f"{h5.place(file, f'stimPara/{key}')} is {seed}, a seed is negative; get the file again")
    return board


def _parameter(file: h5py.File, key: str) -> int:
    value = float(h5.read(file, f"stimPara/{key}", axes="row column", shape=(1, 1))[0, 0])
    if not value.is_integer() or abs(value) > 2**31:
        raise UserError(
            f"{h5.place(file, f'stimPara/{key}')} must be a whole number, not {value:g}; get the file again"
        )
    return int(value)


def draw_noise(
    numbers: Int64[np.ndarray, " n"], *, streams: tuple[Noise, ...], height: int, width: int
) -> Float32[np.ndarray, "n height width"]:
    """Frames of several streams of noise laid end to end: 1 is white, -1 black.

    Args:
        numbers: which frames, ascending.
        streams: the streams.
        height, width: stixels of the checkerboard. In the order of the generator, y runs fastest.
    """
    made = np.empty((len(numbers), height, width), dtype=np.float32)
    first = 0
    for stream in streams:
        mine = (numbers >= first) & (numbers < first + stream.n)
        for step in np.unique((numbers[mine] - first) // _STEP):
            here = mine & ((numbers - first) // _STEP == step)
            wanted = (numbers[here] - first) % _STEP
            frames = wanted[-1] + 1
            bits, _ = ran1.packed_bits(stream.states[step], int(frames) * height * width)
            white = np.unpackbits(bits, count=frames * height * width).reshape(frames, width, height)[wanted]
            made[here] = 2.0 * white.swapaxes(1, 2) - 1
        first += stream.n
    return made


def _noise(seed: int, n: int, bits: int) -> Noise:
    """The states for `n` frames of so many bits, from the cache where they were worked out before."""
    path = cache_dir() / "karamanlis_2024" / "noise" / f"states_{seed}_{n}x{bits}_{_STEP}.npy"
    shape = (-(-n // _STEP), 34)
    states = cached_array(path, np.int64, shape)
    if states is None:
        states = np.empty(shape, dtype=np.int64)
        state = ran1.start(seed)
        for step in range(len(states)):
            states[step] = state
            _, state = ran1.packed_bits(state, _STEP * bits)
        keep(path, lambda temporary: np.save(temporary, states))
    return Noise(states, n)
