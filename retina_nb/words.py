"""Values as people write them in a shell and in files: YAML, and overrides of presets as they are.

Where the notebook's default is text, a value is text, whatever YAML would take it for: ``20210713``, ``01``, ``no``,
``runs/run #3``. Elsewhere YAML is that of version 1.2, which has no octal 010, no times and no "no" for false, and 1e-3
is a number.
"""

import argparse
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, ClassVar

import yaml
from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from retina_nb.errors import UserError
from retina_nb.files import expand_path

_BRACKETS = {"[": "]", "{": "}", "(": ")"}
_LARGEST = 1_000_000  # bytes of a file
_MOST = 100_000  # values, those that are repeated by a name counted each time
_DEEPEST = 50  # lists in lists
_TRUTH = {"true": True, "yes": True, "on": True, "false": False, "no": False, "off": False}


def add_values(parser: argparse.ArgumentParser, dest: str, help: str) -> None:
    """Let a command take ``-p NAME VALUE`` any number of times, as pairs of words; see `pairs`."""
    parser.add_argument(
        "-p",
        dest=dest,
        type=_pair,
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help=f"{help}; or NAME VALUE",
    )


def pairs(words: Sequence[str]) -> list[str]:
    """The words of a command, where ``-p NAME VALUE`` is one word, so that a value may be -1 or anything else."""
    found, left = list[str](), iter(words)
    for word in left:
        if word == "-p" and (name := next(left, None)) is not None:
            value = None if re.match(r"\w+=", name) else next(left, None)
            word = f"-p{name}" if value is None else f"-p{name}={value}"
        found.append(word)
    return found


def _pair(word: str) -> tuple[str, str]:
    name, equals, value = word.partition("=")
    if not (name and equals):
        raise argparse.ArgumentTypeError(f"{word!r} has no value: write NAME=VALUE")
    return name, value


class _Loader(yaml.SafeLoader):
    """YAML 1.2."""

    yaml_implicit_resolvers: ClassVar[dict[str, Any]] = {}


for _tag, _pattern, _first in [
    ("bool", "true|True|TRUE|false|False|FALSE", "tTfF"),
    ("int", r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+", "-+0123456789"),
    ("float", r"[-+]?(\.[0-9]+|[0-9]+\.[0-9]*|[0-9]+(?=[eE]))([eE][-+]?[0-9]+)?", "-+.0123456789"),
    ("float", r"[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)", "-+."),
    ("null", r"~|null|Null|NULL|", ["~", "n", "N", ""]),
    ("merge", "<<", "<"),
]:
    _Loader.add_implicit_resolver(f"tag:yaml.org,2002:{_tag}", re.compile(f"({_pattern})$"), list(_first))
_Loader.add_constructor(
    "tag:yaml.org,2002:int",
    lambda loader, node: int(node.value, {"0x": 16, "0o": 8}.get(node.value[:2], 10)),
)


def from_yaml(text: str, what: str, default: Any = None) -> Any:
    """A value from YAML.

    Args:
        text: the YAML.
        what: says in errors what it is.
        default: what it is in place of, if that is known: where there is text in it, there will be text.

    Raises:
        UserError: if it is not YAML, holds itself, or is too much.
    """
    loader = _Loader(text)
    try:
        node = loader.get_single_node()
        if node is None:
            return None
        for complaint in _complaints(node):
            raise UserError(f"{what} {complaint}")
        return _value(loader, node, default)
    except UserError:
        raise
    except RecursionError:
        raise UserError(f"{what} is nested too deeply") from None
    except Exception as error:  # of PyYAML, most of all, where a tag says what a value is not
        reason = " ".join(str(error).split())
        raise UserError(f"{what} is not YAML: {reason[:300] or type(error).__name__}") from None
    finally:
        loader.dispose()


def _value(loader: _Loader, node: Node, default: Any) -> Any:
    match node, default:
        case ScalarNode(), str():
            return node.value
        case ScalarNode(), bool() if node.value.lower() in _TRUTH:
            return _TRUTH[node.value.lower()]
        case ScalarNode(), float() if re.fullmatch(r"[-+]?(inf|nan)", node.value, re.IGNORECASE):
            return float(node.value)
        case SequenceNode(), [first, *_] if isinstance(first, str | list | dict):
            return [_value(loader, one, first) for one in node.value]
        case MappingNode(), dict():
            loader.flatten_mapping(node)
            names = [loader.construct_object(name, deep=True) for name, _ in node.value]
            return {
                name: _value(loader, one, default.get(name)) for name, (_, one) in zip(names, node.value, strict=True)
            }
    return loader.construct_object(node, deep=True)


def _complaints(node: Node) -> Iterator[str]:
    """Why a node must not be made into a value: a few lines can stand for more than any memory holds."""
    sizes: dict[int, int] = {}
    above: set[int] = set()

    def size(node: Node) -> int:
        if id(node) in above or len(above) > _DEEPEST:
            raise RecursionError
        if id(node) not in sizes:
            above.add(id(node))
            sizes[id(node)] = 1 + sum(map(size, _children(node)))
            above.remove(id(node))
        return sizes[id(node)]

    try:
        if size(node) > _MOST:
            yield f"has more than {_MOST} values"
    except RecursionError:
        yield f"holds itself, or more than {_DEEPEST} lists in each other"
    if isinstance(node, MappingNode):
        names = [name.value for name, _ in node.value if isinstance(name, ScalarNode)]
        if twice := next((name for name in names if names.count(name) > 1), None):
            yield f"has {twice} twice"


def _children(node: Node) -> list[Node]:
    if isinstance(node, MappingNode):
        return [one for pair in node.value for one in pair]
    return node.value if isinstance(node, SequenceNode) else []


def from_word(word: str, what: str, default: Any = None) -> Any:
    """A value from a shell: text where the default is, which may be quoted; else YAML, where a list may hold overrides
    such as ``core.channels=[8,8]`` without quotes, and ``#`` starts no comment.

    Raises:
        UserError: if it is neither.
    """
    word = word if isinstance(default, str) else word.strip()
    quoted = len(word) > 1 and word[0] == word[-1] and word[0] in "'\""
    if isinstance(default, str) and not quoted:
        return word
    if not quoted and re.search(r"(^|\s)#", word) and word[0] not in "[{'\"":
        return word
    try:
        return from_yaml(word, what, default)
    except UserError:
        if isinstance(default, str):
            return word
        inner = split(word[1:-1], ",")
        if not (word.startswith("[") and word.endswith("]") and any("=" in one for one in inner)):
            raise
    return [one.strip() if re.match(r"\s*[~+\w.@/]+=", one) else from_yaml(one, what) for one in inner]


def read_yaml(path: str | Path, default: Any = None) -> Any:
    """What a YAML file holds, as by `from_yaml`.

    Raises:
        UserError: if it cannot be read, or is larger than a MB.
    """
    path = expand_path(path)
    try:
        with path.open("rb") as file:
            content = file.read(_LARGEST + 1)
        text = content.decode("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is not text"
        raise UserError(f"cannot read the parameters in {path}: {reason}") from None
    if len(content) > _LARGEST:
        raise UserError(f"cannot read the parameters in {path}: it has more than {_LARGEST / 1e6:.0f} MB")
    return from_yaml(text, str(path), default)


def split(text: str, separator: str) -> list[str]:
    """The parts of a text between separators that are in neither brackets nor quotes."""
    parts, closing, quote = [""], list[str](), ""
    for character in text:
        if quote:
            quote = "" if character == quote else quote
        elif character in "'\"":
            quote = character
        elif character in _BRACKETS:
            closing.append(_BRACKETS[character])
        elif closing and character == closing[-1]:
            closing.pop()
        if character == separator and not closing and not quote:
            parts.append("")
        else:
            parts[-1] += character
    return parts
