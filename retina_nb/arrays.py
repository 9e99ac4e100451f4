"""Check the arrays and numbers that users give, and hand them on as what the library computes with."""

from collections.abc import Collection, Mapping
from contextlib import suppress
from math import inf, isnan
from numbers import Integral, Real
from typing import Any

import numpy as np

from retina_nb.errors import UserError


def as_array(values: Any, what: str) -> np.ndarray:
    """An array of what was given: a list, a table, a tensor on any device, or an array, which is not copied.

    Args:
        values: anything that NumPy makes an array of.
        what: what to call it in an error.

    Raises:
        UserError: if values are masked, or rows differ in length.
    """
    if isinstance(values, np.ma.MaskedArray) and np.ma.is_masked(values):
        raise UserError(f"{what} has masked values: leave them out, or fill them")  # NumPy would unmask them
    if hasattr(values, "detach"):
        values = values.detach().cpu().resolve_conj().resolve_neg()
    try:
        return np.asarray(values)
    except (ValueError, TypeError, RuntimeError) as error:
        lengths: list[int] = []
        with suppress(TypeError):
            lengths = [len(one) for one in values]
        if len(set(lengths)) > 1:
            raise UserError(
                f"{what} must have rows of one length, not of {', '.join(map(str, lengths[:5]))}: cut them to the "
                f"shortest, {min(lengths)}"
            ) from None
        reason = str(error).partition("\n")[0]
        raise UserError(f"{what} cannot be read as an array, it is a {type(values).__name__}: {reason}") from None


def as_numbers(values: Any, what: str, axes: str = "(time, neuron)") -> np.ndarray:
    """Real numbers with these axes, none of which is empty.

    Raises:
        UserError: if it is anything else.
    """
    array = as_array(values, what)
    if array.dtype.kind not in "fiub" or array.ndim != len(_names(axes)) or 0 in array.shape:
        raise UserError(f"{what} must be numbers {axes}, not {_found(array)}")
    return array


def as_float32(values: Any, what: str, axes: str = "(time, neuron)") -> np.ndarray:
    """Real numbers with these axes as float32, which are finite there; not copied if they are float32.

    Raises:
        UserError: if it is anything else, with the first number that is not finite.
    """
    array = as_numbers(values, what, axes)
    with np.errstate(over="ignore", invalid="ignore"):
        made = array.astype(np.float32, copy=False)
        made = made if made.dtype.isnative else made.astype(np.float32)
        ends = made.min(), made.max()  # NaN if any is; without a mask as large as the array
    if not np.isfinite(ends).all():
        at = tuple(np.argwhere(~np.isfinite(made))[0].tolist())
        names = ["bin" if name == "time" else name for name in _names(axes)]
        where = ", ".join(f"{name} {number}" for name, number in zip(names, at, strict=True))
        fault = "too large for float32" if np.isfinite(array[at]) else "not finite"
        raise UserError(f"{what} are {fault} at {where} ({array[at]:g}): leave it out, or fix it")
    return made


def as_integers(values: Any, what: str, axes: str = "(time,)") -> np.ndarray:
    """Whole numbers with these axes as int64; not copied if they are int64.

    Raises:
        UserError: if it is anything else.
    """
    array = as_array(values, what)
    if array.dtype.kind not in "iu" or array.ndim != len(_names(axes)) or 0 in array.shape:
        hint = {"b": "; numpy.flatnonzero makes numbers of a mask", "f": "; convert whole numbers by .astype(int)"}
        raise UserError(
            f"{what} must be integers {axes}, not {_found(array)}{hint.get(array.dtype.kind, '') if array.size else ''}"
        )
    if array.dtype.kind == "u" and array.max() > np.iinfo(np.int64).max:
        raise UserError(f"{what} must be numbers from 0, it has {array.max()}")
    return array.astype(np.int64, copy=False)


def as_number(value: Any, what: str, unit: str, least: float, most: float, *, unknown: bool = False) -> float:
    """One number in a range.

    Args:
        value: the number, perhaps as an array or a tensor without axes.
        what: what to call it in an error.
        unit: what it counts.
        least, most: the range.
        unknown: whether NaN stands for what is not known.

    Raises:
        UserError: if it is anything else.
    """
    number = value.item() if getattr(value, "shape", None) == () else value
    or_nan = ", or NaN if it is unknown" if unknown else ""
    if not isinstance(number, Real) or isinstance(number, bool | np.bool_):
        raise UserError(f"{what} must be one number ({unit}){or_nan}, not {describe(value)}")
    try:
        number = float(number)
    except OverflowError:
        number = inf
    if not (unknown and isnan(number)) and not least <= number <= most:
        raise UserError(f"{what} must be a number from {least:g} to {most:g} ({unit}){or_nan}, not {value}")
    return number


def as_count(value: Any, what: str, *, least: int = 0, most: int = 2**62) -> int:
    """One whole number in a range.

    Raises:
        UserError: if it is anything else.
    """
    number = value.item() if getattr(value, "shape", None) == () else value
    whole = isinstance(number, Integral) and not isinstance(number, bool | np.bool_)
    if not whole or not least <= int(number) <= most:
        above = f"from {least} to {most}" if most < 2**62 else f"of at least {least}"
        raise UserError(f"{what} must be a whole number {above}, not {describe(value)}")
    return int(number)


def as_seed(value: Any, what: str = "seed") -> int:
    """What fixes random numbers.

    Raises:
        UserError: if it is no whole number from 0.
    """
    return as_count(value, what)


def as_mapping(values: Any, what: str) -> dict[str, Any]:
    """A dict by name.

    Raises:
        UserError: if it is no dict, or a name is not a text.
    """
    if not isinstance(values, Mapping) and not (hasattr(values, "items") and hasattr(values, "keys")):
        raise UserError(f"{what} must be a dict by name, {{}} for none, not {describe(values)}")
    made = dict(values.items())
    for name in made:
        if not isinstance(name, str):
            raise UserError(f"{what} must be a dict by name, and {name!r} is no text: use {str(name)!r}")
    return made


def as_flag(value: Any, what: str) -> bool:
    """True or False.

    Raises:
        UserError: if it is anything else.
    """
    if not isinstance(value, bool | np.bool_):
        raise UserError(f"{what} must be True or False, not {describe(value)}")
    return bool(value)


def as_text(value: Any, what: str) -> str:
    """A text.

    Raises:
        UserError: if it is anything else.
    """
    if not isinstance(value, str):
        raise UserError(f"{what} must be a text, not {describe(value)}")
    return str(value)


def as_name(value: Any, what: str) -> str:
    """A text that is not empty.

    Raises:
        UserError: if it is anything else.
    """
    if not isinstance(value, str) or not value:
        hint = f": use {str(value)!r}" if isinstance(value, int) else ""
        raise UserError(f"{what} must be a text that is not empty, not {describe(value)}{hint}")
    return str(value)


def _names(axes: str) -> list[str]:
    return [name.strip() for name in axes.strip("()").split(",") if name.strip()]


def _found(array: np.ndarray) -> str:
    """What an array is, and what to do if it holds objects."""
    kind = {"O": "objects; convert them by .astype(float)", "U": "text", "S": "text"}.get(array.dtype.kind)
    return f"{array.dtype} {array.shape}" if kind is None else f"{array.dtype} {array.shape}, which is {kind}"


def describe(value: Any) -> str:
    """What a value is, in an error: the value itself if that is short."""
    text = repr(value)
    if len(text) <= 40 and "\n" not in text:
        return text
    size = f" of {len(value)}" if isinstance(value, Collection) else ""
    return f"a {type(value).__name__}{size}"
