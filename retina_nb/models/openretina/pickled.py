"""What a Lightning checkpoint of OpenRetina says, read without running anything that is in it.

Such a file is a pickle that names classes of openretina, omegaconf, torch and numpy. Tensors, arrays and containers are
read as what they are; objects of known libraries become `Inert` ones that only remember their state; everything else
is refused.
"""

from collections import OrderedDict, defaultdict
from functools import partial
from io import BufferedIOBase
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch

from retina_nb.errors import UserError
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


# Types that configurations name, or that hold data. Those that Python or torch lets no pickle change.
_TYPES = (bool, complex, dict, float, frozenset, int, list, set, slice, str, tuple)
_KNOWN: dict[tuple[str, str], Any] = {
    **{("builtins", kind.__name__): kind for kind in _TYPES},
    ("builtins", "long"): int,
    ("builtins", "unicode"): str,
    ("collections", "OrderedDict"): OrderedDict,
    ("collections", "defaultdict"): defaultdict,
    **{("torch", name): getattr(torch, name) for name in ("Size", "device", "dtype")},
}
_FUNCTIONS = {
    **{
        ("torch._utils", name): getattr(torch._utils, name)
        for name in ("_rebuild_tensor", "_rebuild_tensor_v2", "_rebuild_parameter", "_rebuild_device_tensor_from_numpy")
    },
    ("torch.serialization", "_get_layout"): torch.serialization._get_layout,
}


class _Refused(Exception):
    pass


class _Unpickler(DataUnpickler):
    def __init__(self, file: BufferedIOBase, **_: Any) -> None:
        super().__init__(file, "the checkpoint")

    def find_class(self, module: str, name: str) -> Any:
        module = "builtins" if module == "__builtin__" else module  # as the second pickle protocol calls it
        if (module, name) in _KNOWN:
            return _KNOWN[module, name]
        if (module, name) in _FUNCTIONS:
            return partial(_FUNCTIONS[module, name])  # of this file's own, in case it tries to change it
        if module == "torch" and isinstance(kind := getattr(torch, name, None), torch.dtype):
            return kind
        if f"{module}.".startswith(_DESCRIPTIVE) or (module, name) in {("typing", "Any"), ("pathlib", "PosixPath")}:
            return type(name, (Inert,), {"__module__": module})
        try:
            return super().find_class(module, name)
        except UserError:
            raise _Refused(f"{module}.{name}") from None


# What torch.load asks of a pickle module. It adds the storages of tensors itself.
_RESTRICTED = SimpleNamespace(
    __name__=__name__, Unpickler=_Unpickler, load=lambda file, **options: _Unpickler(file, **options).load()
)


def read_pickled(path: Path) -> dict[str, Any]:
    """The dictionary in a checkpoint, on the CPU.

    Raises:
        UserError: if the file is damaged, is no checkpoint, or names something that a checkpoint has no need of.
    """
    try:
        # `weights_only` knows tensors but no configuration; `_Unpickler` takes its place.
        found = torch.load(path, map_location="cpu", weights_only=False, pickle_module=_RESTRICTED)
    except _Refused as refused:
        raise UserError(
            f"{path} asks for {refused}, which no checkpoint needs: it was not opened further; "
            "do not use a file from an untrusted source"
        ) from None
    except Exception as error:  # a damaged file can raise anything
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise UserError(f"{path} is damaged or not a checkpoint ({reason}); download or copy it again") from None
    found = as_read(found)
    if type(found) is not dict or not {"state_dict", "hyper_parameters"} <= found.keys():
        raise UserError(f"{path} is not a Lightning checkpoint with hyper_parameters and a state_dict")
    return found


def plain(value: Any) -> Any:
    """A configuration of omegaconf as dictionaries, lists and values; anything else as it is.

    References to other places of the configuration are followed, and kept as they are where they lead nowhere.
    """
    kind = type(value).__name__
    if not isinstance(value, Inert) or (kind not in ("DictConfig", "ListConfig") and not kind.endswith("Node")):
        return value
    if kind.endswith("Node"):
        return _followed(value, getattr(value, "_val", None))
    content = getattr(value, "_content", None)
    if isinstance(content, dict):
        return {name: plain(part) for name, part in content.items()}
    if isinstance(content, list):
        return [plain(part) for part in content]
    return _followed(value, content)


def _followed(node: Inert, value: Any) -> Any:
    if not (isinstance(value, str) and value.startswith("${") and value.endswith("}")):
        return value
    place: Any = node
    while getattr(place, "_parent", None) is not None:
        place = place._parent
    for name in value[2:-1].split("."):
        content = getattr(place, "_content", None)
        if not isinstance(content, dict) or name not in content:
            return value
        place = content[name]
    return plain(place)
