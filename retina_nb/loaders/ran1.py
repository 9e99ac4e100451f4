"""The `ran1` generator behind the binary white noise of the Gollisch laboratory, as packed bits.

`ran1` (Press et al. 1992, Numerical Recipes in C, 2nd ed., section 7.1) is Park and Miller's minimal generator
followed by a Bays-Durham shuffle. A bit is 1 where its number is at least 0.5, as in the laboratory's own
PyPI package `retinawhitenoise`, which this equals bit for bit.
"""

from typing import no_type_check

import numba
import numpy as np
from jaxtyping import Int64, UInt8

from retina_nb.errors import UserError

# The number `idum` of the minimal generator, the last output `iy` and the 32 numbers `iv` of the shuffle table.
State = Int64[np.ndarray, "34"]

_MULTIPLIER, _MODULUS, _TABLE, _WARM_UP = 16807, 2**31 - 1, 32, 8


def start(seed: int) -> State:
    """The state in which the stream of a seed starts.

    Args:
        seed: a negative integer above -2147483647, as Numerical Recipes has it.

    Raises:
        UserError: if the seed is outside this range.
    """
    if not -_MODULUS < seed < 0:
        raise UserError(f"a seed of ran1 must be between {1 - _MODULUS} and -1, not {seed}")
    numbers = [-seed]
    for _ in range(_WARM_UP + _TABLE):
        numbers.append(numbers[-1] * _MULTIPLIER % _MODULUS)
    table = numbers[: -_TABLE - 1 : -1]  # filled from its end
    return np.array([numbers[-1], table[0], *table])


def packed_bits(state: State, n: int) -> tuple[UInt8[np.ndarray, " byte"], State]:
    """The next bits of a stream, at about 2 ns each.

    Args:
        state: where the stream stands: what `start` or the last call returned. It is not changed.
        n: number of bits.

    Returns:
        The bits in the order of `numpy.packbits`, filled up with 0 to whole bytes, and the state after them.
    """
    state = state.copy()
    packed = np.zeros((n + 7) // 8, dtype=np.uint8)
    _fill(state, packed, n)
    return packed, state


@numba.njit(nogil=True)
@no_type_check  # compiled functions cannot be wrapped in a check of their types
def _fill(state, packed, n):
    idum, iy, iv = state[0], state[1], state[2:]
    for i in range(n):
        # idum * 16807 modulo 2**31 - 1, where 2**31 counts as 1: two shifts in place of a division.
        idum *= 16807
        idum = (idum & 0x7FFFFFFF) + (idum >> 31)
        if idum >= 0x7FFFFFFF:
            idum -= 0x7FFFFFFF
        entry = (iy >> 26) & 31  # the mask changes nothing: it tells the compiler that no index is negative
        iy = iv[entry]
        iv[entry] = idum
        packed[i >> 3] |= (iy >> 30) << (7 - (i & 7))
    state[0], state[1] = idum, iy
