"""What a Lightning checkpoint of OpenRetina says, read without running anything that is in it.

Such a file is a pickle that names classes of openretina, omegaconf, torch and numpy. Tensors, arrays and containers are
read as what they are; objects of known libraries become `Inert` ones that only remember their state; everything else
is refused.
"""

from collections import OrderedDict, defaultdict
from collections.abc import Iterator
from io import BufferedIOBase
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from retina_nb.errors import UserError
from retina_nb.models.openretina.archive import Storages, read_archive, storage_dtype
from retina_nb.pickles import DataUnpickler, as_read

# Libraries whose objects describe a model or its training. Their classes are never imported.
_DESCRIPTIVE = ("openretina.", "omegaconf.", "lightning.", "pytorch_lightning.", "torch.nn.", "torch._C._nn.")


class Inert(dict):
    """Stands for an object of a class that is not imported: it keeps the state and does nothing."""

    def __new__(cls, *_: Any, **__: Any) -> "Inert":
        return super().__new__(cls)

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__()

    def __setstate__(self, state: Any) -> None:
        for part in state if isinstance(state, tuple) else (state,):
            if isinstance(part, dict):
                self.__dict__.update(part)

    def __hash__(self) -> int:  # type: ignore[override]
        return id(self)

    def append(self, _: Any) -> None:
        """As a list."""

    def extend(self, _: Any) -> None:
        """As a list."""

    def add(self, _: Any) -> None:
        """As a set."""


_MOST_NODES = 100_000  # of a configuration
# What holds data, and dtypes.
_KNOWN: dict[tuple[str, str], Any] = {
    ("builtins", "slice"): slice,
    ("collections", "OrderedDict"): OrderedDict,
    ("collections", "defaultdict"): defaultdict,
    **{("torch", name): getattr(torch, name) for name in ("Size", "device", "dtype")},
    **{("torch", name): one for name, one in vars(torch).items() if isinstance(one, torch.dtype)},
}
# Types that a configuration names. None of them is called for data.
_NAMED = {
    *(("builtins", name) for name in ("bool", "dict", "float", "int", "list", "long", "str", "tuple", "unicode")),
    ("pathlib", "PosixPath"),
    ("typing", "Any"),
}


class _Refused(Exception):
    pass


class _Unpickler(DataUnpickler):
    stateful = (*DataUnpickler.stateful, Inert, OrderedDict)

    def __init__(self, file: BufferedIOBase, storages: Storages) -> None:
        super().__init__(file, "the checkpoint")
        self._storages = storages
        self._known |= {
            ("torch._utils", "_rebuild_tensor"): storages.tensor,
            ("torch._utils", "_rebuild_tensor_v2"): storages.tensor,
            ("torch._utils", "_rebuild_parameter"): storages.parameter,
        }

    def find_class(self, module: str, name: str) -> Any:
        module = "builtins" if module == "__builtin__" else module  # as the second pickle protocol calls it
        if (module, name) in _KNOWN:
            return _KNOWN[module, name]
        if module == "torch" and (dtype := storage_dtype(name)):
            return dtype
        if f"{module}.".startswith(_DESCRIPTIVE) or (module, name) in _NAMED:
            return type(name, (Inert,), {"__module__": module})
        try:
            return super().find_class(module, name)
        except UserError:
            raise _Refused(f"{module}.{name}") from None

    def persistent_load(self, pid: Any) -> Tensor:
        return self._storages.storage(pid)


def read_pickled(path: Path) -> dict[str, Any]:
    """The dictionary in a checkpoint, on the CPU.

    Raises:
        UserError: if the file is damaged, is no checkpoint, holds a program, or names something that a checkpoint has
            no need of.
    """
    try:
        found = read_archive(path, lambda file, storages: as_read(_Unpickler(file, storages).load()))
    except _Refused as refused:
        raise UserError(
            f"{path} asks for {refused}, which no checkpoint needs: it was not opened further; "
            "do not use a file from an untrusted source"
        ) from None
    except (UserError, MemoryError):
        raise
    except Exception as error:  # a damaged file can raise anything
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise UserError(f"{path} is damaged or not a checkpoint ({reason}); download or copy it again") from None
    if type(found) is not dict or "state_dict" not in found:
        raise UserError(f"{path} is not a Lightning checkpoint with a state_dict")
    if not isinstance(found.setdefault("hyper_parameters", {}), dict):
        raise UserError(f"{path} is not a Lightning checkpoint: its hyper_parameters are no dictionary")
    state = found["state_dict"]
    if not isinstance(state, dict) or not all(type(value) is Tensor for value in state.values()):
        raise UserError(f"{path} is not a Lightning checkpoint: its state_dict holds something else than tensors")
    return found


def plain(value: Any) -> Any:
    """A configuration of omegaconf as dictionaries, lists and values; anything else as it is.

    References to other places of the configuration are followed, and kept as they are where they lead nowhere.

    Raises:
        ValueError: if the configuration has no end, because a part of it holds itself.
    """
    return _plain(value, iter(range(_MOST_NODES)))


def _plain(value: Any, left: Iterator[int]) -> Any:
    _count(left)
    kind = type(value).__name__
    if not isinstance(value, Inert) or (kind not in ("DictConfig", "ListConfig") and not kind.endswith("Node")):
        return value
    if kind.endswith("Node"):
        return _followed(value, getattr(value, "_val", None), left)
    content = getattr(value, "_content", None)
    if isinstance(content, dict):
        return {name: _plain(part, left) for name, part in content.items()}
    if isinstance(content, list):
        return [_plain(part, left) for part in content]
    return _followed(value, content, left)


def _followed(node: Inert, value: Any, left: Iterator[int]) -> Any:
    if not (isinstance(value, str) and value.startswith("${") and value.endswith("}")):
        return value
    place: Any = node
    while getattr(place, "_parent", None) is not None:
        _count(left)
        place = place._parent
    for name in value[2:-1].split("."):
        content = getattr(place, "_content", None)
        if not isinstance(content, dict) or name not in content:
            return value
        place = content[name]
    return _plain(place, left)


def _count(left: Iterator[int]) -> None:
    if next(left, None) is None:
        raise ValueError("its configuration has no end, because a part of it holds itself")
