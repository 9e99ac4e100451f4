"""Models on disk: safetensors for the weights, JSON for the rest. Nothing in a file is ever executed."""

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn

import retina_nb
from retina_nb.errors import UserError, unknown
from retina_nb.files import expand_path, replace_file
from retina_nb.memory import check_memory
from retina_nb.models.about import check_about
from retina_nb.representations import one_line
from retina_nb.seeding import seeded

_KEY, _DIGEST = "retina_nb", "sha256"
_MOST_PIXELS = 2**16  # along a side of a stimulus
_DTYPES = {
    *(torch.float64, torch.float32, torch.float16, torch.bfloat16, torch.complex64),
    *(torch.int64, torch.int32, torch.int16, torch.int8, torch.uint8, torch.bool),
}
SHIPPED = "simulated"  # the name of the twin in retina_nb/twins


@one_line
@dataclass
class Stored:
    """A model as a file holds it.

    Args:
        kind: which class it is; ``"core_readout"`` for a twin.
        config: what its parts are; None for a twin whose parts were made by hand.
        about: what is known of the recordings.
        weights: its state dict.
        stimulus_shape: (channel, height, width), of a twin.
    """

    kind: str
    config: dict[str, Any] | None
    about: dict[str, Any]
    weights: dict[str, Tensor]
    stimulus_shape: tuple[int, int, int] | None = None
    versions: dict[str, str] = field(default_factory=dict)


def save_model(model: Any, path: str | Path) -> Path:
    """Write a twin or another model of this package; returns its path. See `load_twin`.

    Raises:
        UserError: if the file cannot be written, as on a full disk. An older one stays as it was.
    """
    path = expand_path(path)
    arrays: dict[str, Tensor] = {}
    check_about(model.about, "the model")
    tensors = {name: _plain_tensor(name, value) for name, value in model.state_dict().items()}
    try:
        card = {
            "kind": model.kind,
            "config": model.config,
            "stimulus_shape": getattr(model, "stimulus_shape", None),
            "about": _without_arrays(model.about, arrays),
            "versions": {"retina_nb": retina_nb.__version__, "torch": torch.__version__},
        }
        metadata = {_KEY: json.dumps(card)}
    except (TypeError, ValueError, RecursionError) as error:
        raise UserError(
            f"the model cannot be saved, its about or its config has something that JSON cannot hold ({error}); "
            "keep texts, numbers, lists, dictionaries and arrays of numbers there"
        ) from None
    tensors |= arrays
    content = save(tensors, metadata | {_DIGEST: _digest(metadata[_KEY], tensors)})
    with replace_file(path) as temporary:
        temporary.write_bytes(content)
    return path


def _plain_tensor(name: str, value: Any) -> Tensor:
    """The same numbers on the CPU, one after another and shared with nobody, whatever strides and layout they have."""
    if not isinstance(value, Tensor) or value.dtype not in _DTYPES or value.is_meta:
        what = f"a tensor of {value.dtype} on {value.device}" if isinstance(value, Tensor) else type(value).__name__
        raise UserError(f"the model cannot be saved: {name} is {what}, which a model file cannot hold")
    dense = value.detach() if value.layout == torch.strided else value.detach().to_dense()
    return torch.empty(value.shape, dtype=value.dtype).copy_(dense)


def load_twin(
    path_or_name: str | Path,
    device: str | torch.device = "cpu",
    *,
    core: nn.Module | None = None,
    readout: nn.Module | None = None,
    about: Mapping[str, Any] | None = None,
) -> Any:
    """Read a model from a file, or a published twin by its name, ready to predict.

    Called as ``twin(stimulus, session=None)``: the rates of a session's neurons, of all sessions' in sorted order if
    None. Reads what was saved with ``save``, and Lightning checkpoints of OpenRetina (its core-readout, spatial
    contrast and single-cell models), of which nothing is executed.

    Args:
        path_or_name: a ``.safetensors`` or ``.ckpt`` file; a name listed by `zoo()`, which is downloaded once; or
            ``"simulated"``, the twin of the default simulated retina that comes with the package.
        device: where to put it.
        core, readout: modules of the right shapes, for a twin that was made of parts by hand.
        about: what the file does not say of its recordings or says wrongly, e.g. ``{"rate_hz": 30, "pixel_um": 50}``;
            of a single-cell model also ``"nonlinearity"`` or ``"rf_location"``, if it is asked for.

    Raises:
        UserError: if the file is missing, damaged, hostile, not a model, or of other shapes than its parts; if there
            is no published twin of this name or it cannot be downloaded; or if there is no such device.

    Example:
        >>> import retina_nb as rnb
        >>> twin = rnb.load_twin("simulated")
        >>> twin.stimulus_shape
        (2, 18, 16)
    """
    if (core is None) != (readout is None):
        raise UserError("a twin that was made of parts by hand needs both of them, core= and readout=")
    if not isinstance(about, Mapping | None):
        raise UserError(f'about= takes what is known by name, as {{"rate_hz": 30}}, not {about!r}')
    path = expand_path(path_or_name)
    try:
        given = about or {}
        stored = _read(path, given) if path.is_file() else _read_published(str(path_or_name), given)
        stored.about |= given
        check_about(stored.about, str(path))
        with seeded(0):  # what is drawn is replaced by what was stored
            model = _filled(stored, path, core, readout)
    except UserError as error:
        raise error if str(path) in str(error) else UserError(f"{path}: {error}") from None
    except Exception as error:  # a damaged description can raise anything
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        if isinstance(error, MemoryError) or "allocate memory" in str(error):
            raise UserError(f"{path}: there is not enough memory to load it ({reason}); free some") from None
        raise UserError(f"{path}: what it says of its parts is damaged ({reason}); save or copy it again") from None
    try:
        return model.to(device).eval()
    except (RuntimeError, AssertionError) as error:  # of torch: no such device, or not for this torch
        raise UserError(f"cannot put the twin on {device!r}: {str(error).splitlines()[0]}") from None


def _read_published(name: str, given: Mapping[str, Any]) -> Stored:
    from retina_nb.models.published import PUBLISHED, find_published, remember_score

    if name == SHIPPED:
        return _read_safetensors(Path(retina_nb.__file__).parent / "twins" / f"{SHIPPED}.safetensors")
    if name in PUBLISHED:
        path = find_published(name)
        try:
            stored = _read(path, given)
        except UserError as damage:  # of the download, perhaps, of which neither size nor checksum need be known
            try:
                stored = _read(find_published(name, again=True), given)
            except UserError:
                raise damage from None
        remember_score(name, stored.about)
        return stored
    path = Path(name)
    if path.suffix or len(path.parts) > 1:
        raise UserError(f"no twin at {path}: check the path")
    raise unknown("twin", name, [SHIPPED, *PUBLISHED])


def _read(path: Path, given: Mapping[str, Any]) -> Stored:
    try:
        with path.open("rb") as file:
            start = file.read(9)
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror or error}") from None
    # A zip or a pickle, as torch.save writes; safetensors begin with 8 bytes of a length, which may look like these.
    if start[8:] != b"{" and start.startswith((b"PK", b"\x80")):
        from retina_nb.models.openretina import read_checkpoint

        return read_checkpoint(path, given)
    return _read_safetensors(path)


def _read_safetensors(path: Path) -> Stored:
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  # not a dict
    except (SafetensorError, OSError) as error:
        if "allocate memory" in str(error):
            raise MemoryError(str(error)) from None
        raise UserError(f"{path} is damaged or not a safetensors file ({error}); save or copy it again") from None
    if _KEY not in metadata:
        raise UserError(f"{path} holds tensors but is not a model of retina_nb: its metadata lack {_KEY}")
    if _DIGEST not in metadata:
        raise UserError(
            f"{path} lacks its checksum ({_DIGEST} in its metadata), so damage could not be noticed; "
            "save or copy it again"
        )
    if metadata[_DIGEST] != _digest(metadata[_KEY], tensors):
        raise UserError(f"{path} is not what was saved, a part of it is damaged or was changed; save or copy it again")
    card = _read_card(metadata[_KEY], path)
    shape = card["stimulus_shape"] and tuple(card["stimulus_shape"])
    about = _with_arrays(card["about"], tensors)
    weights = {name: value for name, value in tensors.items() if not name.startswith("about/")}
    return Stored(card["kind"], card["config"], about, weights, shape, card["versions"])


def _digest(card: str, tensors: Mapping[str, Tensor]) -> str:
    """SHA-256 of all that a file holds: an option that is lost would have its default, and nobody would know."""
    digest = hashlib.sha256(card.encode())
    for name, tensor in sorted(tensors.items()):
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        # Copied: torch gives no bytes of a tensor whose strides are odd, be it of one entry only.
        whole = torch.empty(tensor.shape, dtype=tensor.dtype).copy_(tensor)
        digest.update(whole.flatten().view(torch.uint8).numpy().data)
    return digest.hexdigest()


def _read_card(text: str, path: Path) -> dict[str, Any]:
    try:
        card = json.loads(text)
        missing = {"kind", "config", "stimulus_shape", "about", "versions"} - card.keys()
    except (ValueError, AttributeError, RecursionError):
        missing = {_KEY}
    if missing:
        raise UserError(f"{path} holds tensors but is not a model of retina_nb: its metadata lack {sorted(missing)[0]}")
    shape = card["stimulus_shape"]
    fits = {
        "kind": isinstance(card["kind"], str),
        "config": isinstance(card["config"], dict | None),
        "about": isinstance(card["about"], dict),
        "versions": isinstance(card["versions"], dict),
        "stimulus_shape": shape is None
        or (isinstance(shape, list) and len(shape) == 3 and all(isinstance(n, int) and n > 0 for n in shape)),
    }
    for name in (name for name, fit in fits.items() if not fit):
        raise UserError(f"{path}: what it says of its {name} is damaged; save or copy it again")
    return card


def _filled(stored: Stored, path: Path, core: Any, readout: Any) -> Any:
    """The model with its weights."""
    from retina_nb.models.core_readout import CoreReadout

    if core is not None and readout is not None:
        model: Any = CoreReadout(core, readout, stimulus_shape=stored.stimulus_shape, about=stored.about)
    else:
        # First without numbers, so that a small file that claims to be large does not fill the memory.
        described = {name: part for name, part in (stored.config or {}).items() if name != "training"}
        check_sizes([described, stored.stimulus_shape, stored.about.get("neurons")], stored.weights, path)
        with torch.device("meta"):
            empty = _build(stored, path)
        check_weights(empty, stored.weights, path)
        needed = sum(value.numel() * value.element_size() for value in (*empty.parameters(), *empty.buffers()))
        check_memory(needed, str(path))
        model = _build(stored, path)
    check_weights(model, stored.weights, path)
    model.load_state_dict(stored.weights)
    return model


def _build(stored: Stored, path: Path) -> Any:
    """The model that a description tells of, with numbers that mean nothing yet."""
    from retina_nb.models.core_readout import CoreReadout
    from retina_nb.models.parts import assemble

    if stored.config is None:
        raise UserError(
            f"{path}: this twin was made of parts by hand, give them as load_twin(path, core=..., readout=...)"
        )
    if stored.kind == CoreReadout.kind:
        if stored.stimulus_shape is None:
            raise UserError(f"{path}: the twin does not say the shape of its stimuli; save it again")
        return assemble(stored.config, stored.stimulus_shape, stored.about)
    kinds = _other_kinds()
    if stored.kind not in kinds:
        raise unknown(f"kind of model in {path}", stored.kind, [CoreReadout.kind, *kinds])
    model = kinds[stored.kind].from_config(stored.config)
    model.about = stored.about
    return model


def _other_kinds() -> dict[str, Any]:
    """The classes of models that are not twins, by kind. Each says its `config` and has a `from_config`."""
    from retina_nb.models.ensemble import Ensemble
    from retina_nb.models.single_cell import SessionModels, single_cell_kinds
    from retina_nb.models.sparse_autoencoder import SparseAutoencoder

    return {model.kind: model for model in (Ensemble, SessionModels, SparseAutoencoder)} | single_cell_kinds()


def check_sizes(described: Any, weights: Mapping[str, Tensor], path: Path) -> None:
    """Refuse a description with a number of layers, pixels, bins or neurons for which there are not the weights.

    Raises:
        UserError: with the number.
    """
    most = max(_MOST_PIXELS, *(value.numel() for value in weights.values()), 0)
    for number in _integers(described):
        if number > most:
            raise UserError(f"{path}: it says {number}, which is more than it holds; save or copy it again")


def _integers(value: Any) -> Iterator[int]:
    if isinstance(value, Mapping | list | tuple):
        for part in value.values() if isinstance(value, Mapping) else value:
            yield from _integers(part)
    elif isinstance(value, int):
        yield value


def check_weights(model: nn.Module, weights: Mapping[str, Tensor], path: Path) -> None:
    """Refuse weights that are not those of a model, which may be without numbers (on the device ``meta``).

    Raises:
        UserError: with the first that is missing or too many, of another shape or kind, or not finite.
    """
    expected = model.state_dict()
    for name in sorted(expected.keys() ^ weights.keys()):
        raise UserError(
            f"{path}: {name} is {'missing' if name in expected else 'of another model'}; give the parts it has"
        )
    for name, value in expected.items():
        if value.shape != weights[name].shape:
            raise UserError(
                f"{path}: {name} has shape {tuple(weights[name].shape)}, the model needs {tuple(value.shape)}"
            )
        if value.is_floating_point() != weights[name].is_floating_point():
            raise UserError(f"{path}: {name} is {weights[name].dtype}, the model needs {value.dtype}; get it again")
        if not value.is_meta and not weights[name].isfinite().all():
            raise UserError(f"{path}: {name} is not finite; get the file again, or train the model again")


def _without_arrays(value: Any, arrays: dict[str, Tensor]) -> Any:
    """The same for JSON. Numeric arrays go to `arrays`, and their names stay where they were."""
    if isinstance(value, Mapping):
        return {str(key): _without_arrays(part, arrays) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [_without_arrays(part, arrays) for part in value]
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, np.ndarray) and value.dtype.kind in "biuf" and value.ndim:
        name = f"about/{len(arrays)}"
        arrays[name] = torch.from_numpy(np.array(value, order="C"))
        return {"array": name}
    return value.tolist() if isinstance(value, np.ndarray | Tensor) else value


def _with_arrays(value: Any, tensors: Mapping[str, Tensor]) -> Any:
    if isinstance(value, list):
        return [_with_arrays(part, tensors) for part in value]
    if not isinstance(value, dict):
        return value
    if value.keys() == {"array"} and value["array"] in tensors:
        return tensors[value["array"]].numpy()
    return {key: _with_arrays(part, tensors) for key, part in value.items()}
