"""Reading pickles that hold data, without running what is in them.

A pickle is a program: it names functions of any module and calls them. Here it gets numpy's arrays and scalars,
and Python's own containers, numbers and text; whoever asks for more is refused before anything runs. Arrays and
dtypes are put together by this module from checked parts, because numpy itself trusts what a pickle says of them.
"""

import math
import pickle
import re
from collections.abc import Callable
from io import BufferedIOBase
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from retina_nb.errors import UserError
from retina_nb.file_kinds import not_a

_TUPLES = (pickle.TUPLE, pickle.TUPLE1, pickle.TUPLE2, pickle.TUPLE3)
_MOST_PARTS = 1_000_000  # of a tuple, with those of the tuples in it


def load_pickle(path: str | Path) -> Any:
    """Read a pickle of numpy arrays, numbers, text and Python's containers.

    Returns:
        What was pickled. The memory of an array is what was read: nothing is copied.

    Raises:
        UserError: if the file is missing, incomplete or damaged, is not a pickle, or asks for anything else than
            numpy's arrays and scalars and Python's own types. Nothing in the file is executed.
    """
    try:
        with open(path, "rb") as file:
            return as_read(DataUnpickler(file, str(path)).load())
    except UserError:
        raise
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror or error}; check the path") from None
    except Exception as error:  # bytes that are not a pickle can raise anything
        reason = str(error) or type(error).__name__
        raise not_a("a pickle", Path(path), reason) from None


class _Dtype:
    """A dtype as a pickle describes it: numbers, text or objects, nothing structured."""

    def __init__(self, code: Any) -> None:
        if not (isinstance(code, str) and re.fullmatch(r"[?biufcSUO]\d*", code)):
            raise ValueError(f"an array of dtype {code!r}")
        self.real = np.dtype(code)

    def __setstate__(self, state: Any) -> None:
        if any(state[2:5]):
            raise ValueError("an array of a structured dtype")
        if state[1] in ("<", ">"):
            self.real = self.real.newbyteorder(state[1])


class _Array:
    """An array as a pickle describes it; `real` is the array once all of it was read."""

    real: np.ndarray | None = None

    def __setstate__(self, state: Any) -> None:
        _, shape, dtype, fortran, data = state
        if not all(isinstance(size, int) and size >= 0 for size in shape):
            raise ValueError(f"an array of shape {shape}")
        real = _simple(dtype, objects=True)
        if real.hasobject:
            if not isinstance(data, list) or len(data) != math.prod(shape):
                raise ValueError("an array of objects of another size")
        else:
            data = _bytes(data)
            if len(data) != math.prod(shape) * real.itemsize:
                raise ValueError(f"{len(data)} bytes for an array of shape {shape} and dtype {real}")
        if isinstance(data, bytearray):
            self.real = np.frombuffer(data, real).reshape(shape, order="F" if fortran else "C")
        else:
            self.real = np.empty(0, real)
            self.real.__setstate__((1, tuple(shape), real, bool(fortran), data))  # type: ignore[arg-type]


def _simple(dtype: Any, *, objects: bool = False) -> np.dtype:
    if not isinstance(dtype, _Dtype) or (dtype.real.hasobject and not objects):
        raise ValueError("an array without a dtype")
    return dtype.real


def _bytes(data: Any) -> bytes | bytearray:
    if isinstance(data, str):  # Python 2 had no other bytes
        data = data.encode("latin1")
    if not isinstance(data, bytes | bytearray):
        raise ValueError(f"{type(data).__name__} in place of bytes")
    return data


def _sized(load: Callable[[Any], None]) -> Callable[[Any], None]:
    """An opcode that makes a tuple, with a limit: the hash of one that holds itself many times over takes for ever."""

    def load_sized(self: "DataUnpickler") -> None:
        load(self)
        made = self.stack[-1]
        # What is no tuple may be where a tuple was before.
        self._sizes[id(made)] = size = sum((self._sizes.get(id(part), 1) for part in made if type(part) is tuple), 1)
        if size > _MOST_PARTS:
            raise ValueError("tuples within tuples without end")

    return load_sized


class DataUnpickler(pickle._Unpickler):
    """Hands out stand-ins of its own for the few names that data need.

    They are methods of this object: a pickle that tries to change what it was given changes nothing that lives on.
    The machine underneath is the one in Python: that in C takes gigabytes of memory if a damaged byte says so. What it
    gives has stand-ins for arrays, which `as_read` replaces.

    Args:
        file: where to read.
        name: what to call it in messages.
    """

    stack: list[Any]  # of the machine
    stateful: tuple[type, ...] = (_Array, _Dtype)  # what may be given a state

    def __init__(self, file: BufferedIOBase, name: str) -> None:
        super().__init__(file, encoding="latin1")  # in which Python 2 arrays can be read
        self._name = name
        self._sizes: dict[int, int] = {}  # parts of the tuples that were made, by their identity
        self._known: dict[tuple[str, str], Callable[..., Any]] = {
            ("numpy", "ndarray"): self._ndarray,
            ("numpy", "dtype"): self._dtype,
            ("_codecs", "encode"): self._encode,
            ("builtins", "complex"): complex,
            ("builtins", "set"): set,
            ("builtins", "frozenset"): frozenset,
            ("builtins", "bytes"): self._new_bytes,
            ("builtins", "bytearray"): self._new_bytearray,
        }
        for core in ("numpy.core", "numpy._core"):  # before and since numpy 2
            self._known[f"{core}.multiarray", "_reconstruct"] = self._reconstruct
            self._known[f"{core}.multiarray", "scalar"] = self._scalar
            self._known[f"{core}.numeric", "_frombuffer"] = self._frombuffer

    def load_build(self) -> None:
        """Give state to what was made here, and to no function or class that lives on."""
        if not isinstance(self.stack[-2], self.stateful):
            raise ValueError(f"a state for {type(self.stack[-2]).__name__}")
        super().load_build()  # type: ignore[misc]

    dispatch: ClassVar[dict[int, Callable[..., None]]] = {
        **pickle._Unpickler.dispatch,
        **{code[0]: _sized(pickle._Unpickler.dispatch[code[0]]) for code in _TUPLES},
        pickle.BUILD[0]: load_build,
    }

    def find_class(self, module: str, name: str) -> Any:
        module = "builtins" if module == "__builtin__" else module  # as Python 2 called it
        if (module, name) not in self._known:
            raise UserError(
                f"{self._name} asks for {module}.{name}, which is not data, and was not read; use files from a source "
                "you trust, or save the arrays as .npz or HDF5"
            )
        return self._known[module, name]

    def _ndarray(self, *_: Any) -> Any:
        raise ValueError("an array without its parts")

    def _reconstruct(self, *_: Any) -> "_Array":
        return _Array()

    def _dtype(self, code: Any, *_: Any) -> "_Dtype":
        return _Dtype(code)

    def _scalar(self, dtype: "_Dtype", data: Any = b"") -> Any:
        return np.frombuffer(_bytes(data), _simple(dtype), count=1)[0]

    def _frombuffer(self, buffer: Any, dtype: "_Dtype", shape: Any, order: str, *_: Any) -> "_Array":
        array = _Array()
        array.__setstate__((1, shape, dtype, order == "F", buffer))
        return array

    def _encode(self, text: str, encoding: str = "latin1") -> bytes:
        if encoding != "latin1":
            raise ValueError(f"text encoded as {encoding}")
        return text.encode("latin1")

    def _new_bytes(self, data: bytes = b"") -> bytes:
        return bytes(_bytes(data))

    def _new_bytearray(self, data: bytes = b"") -> bytearray:
        return bytearray(_bytes(data))


def as_read(value: Any) -> Any:
    """What was read, with arrays in place of their descriptions, in containers however deep."""
    return _plain(value, {})


def _plain(value: Any, done: dict[int, Any]) -> Any:
    if id(value) in done:
        return done[id(value)]
    if type(value) is dict:
        plain: Any = {}
        done[id(value)] = plain
        plain.update((_plain(key, done), _plain(item, done)) for key, item in value.items())
    elif isinstance(value, list):
        plain = done[id(value)] = []
        plain.extend(_plain(item, done) for item in value)
    elif isinstance(value, tuple):
        plain = tuple(_plain(item, done) for item in value)
    elif isinstance(value, _Array):
        if value.real is None:
            raise ValueError("an array without its parts")
        plain = done[id(value)] = value.real
        if plain.dtype.hasobject:
            for at, item in enumerate(plain.flat):
                plain.flat[at] = _plain(item, done)
    elif isinstance(value, _Dtype):
        plain = value.real
    else:
        plain = value
    done[id(value)] = plain
    return plain
