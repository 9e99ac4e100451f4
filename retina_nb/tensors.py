"""Tensors of arrays as users keep them."""

import warnings
from contextlib import nullcontext

import numpy as np
import torch
from torch import Tensor

_KNOWN = frozenset("?bBhHiIlLqQefd")  # NumPy's characters of the dtypes that torch has


def as_tensor(array: np.ndarray) -> Tensor:
    """A tensor for reading, which shares the array's memory unless torch cannot.

    Of arrays in the byte order of other machines, of dtypes that torch does not have, and of those that run backwards
    there is a copy. Read-only arrays are shared without torch's warning: nothing may write to the tensor.
    """
    if array.dtype.char not in _KNOWN:
        array = array.astype(np.float32)
    if not array.dtype.isnative:
        array = array.astype(array.dtype.newbyteorder("="))
    if any(stride < 0 for stride in array.strides):
        array = np.ascontiguousarray(array)
    with nullcontext() if array.flags.writeable else warnings.catch_warnings():
        if not array.flags.writeable:
            warnings.filterwarnings("ignore", message="The given NumPy array is not writable")
        return torch.from_numpy(array)
