"""The archive that torch.save writes, read member by member.

`torch.load` decides from an archive's members what it is, and runs a TorchScript program in a file of any name. So it
is not asked: a checkpoint is a zip of a pickle and of the bytes of tensors, and these can be read without it.
"""

import math
import zipfile
from collections.abc import Callable
from io import BufferedIOBase, BytesIO
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from retina_nb.errors import UserError

# Members of a TorchScript program, and of a model that was exported as one.
_PROGRAMS = ("code/", "constants.pkl", "archive_format", "models/")
_DTYPES = {
    "BFloat16Storage": torch.bfloat16,
    "BoolStorage": torch.bool,
    "ByteStorage": torch.uint8,
    "CharStorage": torch.int8,
    "ComplexDoubleStorage": torch.complex128,
    "ComplexFloatStorage": torch.complex64,
    "DoubleStorage": torch.float64,
    "FloatStorage": torch.float32,
    "HalfStorage": torch.float16,
    "IntStorage": torch.int32,
    "LongStorage": torch.int64,
    "ShortStorage": torch.int16,
}
# Tensors whose entries share memory may be larger than the file, but not by as much as this (bytes).
_SHARED = 2**20


class Storages:
    """The bytes of the tensors in an archive, as a pickle asks for them.

    Args:
        read: the content of a member, given its name within the archive.
        most: the largest tensor that may be made of them (bytes).
    """

    def __init__(self, read: Callable[[str], bytes], most: int) -> None:
        self._read, self._most = read, most
        self._found: dict[str, Tensor] = {}

    def storage(self, reference: Any) -> Tensor:
        """The numbers that a persistent id of the pickle stands for, (entry,), on the CPU."""
        what, dtype, key, _, entries = reference
        if what != "storage" or not isinstance(dtype, torch.dtype) or not isinstance(key, str):
            raise ValueError(f"a tensor kept as {what!r}")
        if key not in self._found:
            content = bytearray(self._read(f"data/{key}"))
            self._found[key] = torch.frombuffer(content, dtype=dtype) if content else torch.empty(0, dtype=dtype)
        found = self._found[key]
        if found.dtype != dtype or len(found) != entries:
            raise ValueError(f"{len(found)} numbers of {found.dtype} where {entries} of {dtype} were to be")
        return found

    def tensor(
        self, storage: Tensor, offset: int, size: tuple[int, ...], stride: tuple[int, ...], *rest: Any
    ) -> Tensor:
        """A tensor as ``torch._utils._rebuild_tensor_v2`` makes it; needed gradients and hooks do not matter here."""
        if len(rest) > 2 and rest[2]:
            raise ValueError("a tensor that is the conjugate or the negative of what is kept")
        if math.prod(size) * storage.element_size() > self._most:
            raise ValueError(f"a tensor of shape {tuple(size)}, which is larger than the file")
        return storage.as_strided(size, stride, offset)

    def parameter(self, data: Tensor, *_: Any) -> Tensor:
        """A parameter, as the tensor that it is."""
        return data


def storage_dtype(name: str) -> torch.dtype | None:
    """The dtype of a class of torch that holds numbers, given its name; None if it is none."""
    return _DTYPES.get(name)


def read_archive(path: Path, load: Callable[[BufferedIOBase, Storages], Any]) -> Any:
    """What `load` makes of the pickle of an archive.

    Raises:
        UserError: if the archive holds a program.
        Exception: of any kind, if it is damaged or not one of torch.save.
    """
    with zipfile.ZipFile(path) as archive:
        members = {one.filename: one for one in archive.infolist()}
        folder = _folder(members, len(archive.infolist()))
        inner = [name.removeprefix(folder) for name in members]
        if any(name.startswith(_PROGRAMS) for name in inner):
            raise UserError(
                f"{path} holds a program (TorchScript), not only weights, and nothing of it was run or read; ask for "
                "its checkpoint, or save the weights with torch.save(model.state_dict(), path)"
            )
        size = path.stat().st_size
        # Nothing in such an archive is compressed, so that a small file cannot hold much.
        if any(one.compress_type != zipfile.ZIP_STORED for one in members.values()):
            raise ValueError("its members are compressed")
        if sum(one.file_size for one in members.values()) > size:
            raise ValueError("its members overlap")
        if "byteorder" in inner and archive.read(f"{folder}byteorder") != b"little":
            raise ValueError("its numbers begin with the highest byte")
        storages = Storages(lambda name: archive.read(folder + name), max(size, _SHARED))
        return load(BytesIO(archive.read(f"{folder}data.pkl")), storages)


def _folder(members: dict[str, zipfile.ZipInfo], count: int) -> str:
    """The one folder that all members are in, with a slash."""
    pickles = [name for name in members if name.split("/")[1:] == ["data.pkl"]]
    if len(pickles) != 1 or len(members) < count:
        raise ValueError("it is not an archive of torch.save")
    folder = pickles[0].removesuffix("data.pkl")
    if not all(name.startswith(folder) for name in members):
        raise ValueError("it holds more than a checkpoint")
    return folder
