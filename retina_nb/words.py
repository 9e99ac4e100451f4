"""Values as people write them in a shell and in files: YAML, and overrides of presets as they are."""

import argparse
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

from retina_nb.errors import UserError

_BRACKETS = {"[": "]", "{": "}", "(": ")"}


def add_values(parser: argparse.ArgumentParser, dest: str, help: str) -> None:
    """Let a command take ``-p NAME VALUE`` any number of times, as pairs of words."""
    parser.add_argument(
        "-p",
        dest=dest,
        nargs=2,
        action="append",
        default=[],
        metavar=("NAME", "VALUE"),
        help=f"{help}; VALUE is YAML, NAME=VALUE will do",
    )


def pairs(words: Sequence[str]) -> list[str]:
    """The words of a command, where ``-p NAME=VALUE`` is ``-p NAME VALUE``."""
    parted = list[str]()
    for before, word in zip(["", *words], words, strict=False):
        match = re.fullmatch(r"(\w+)=(.*)", word, re.DOTALL) if before == "-p" else None
        parted += match.groups() if match else [word]
    return parted


class _Loader(yaml.SafeLoader):
    """YAML in which 1e-3 is a number, as everywhere but in YAML 1.1."""


_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float", re.compile(r"[-+]?[0-9]+(\.[0-9]*)?[eE][-+]?[0-9]+$"), list("-+0123456789")
)


def from_yaml(text: str, what: str) -> Any:
    """A value from YAML.

    Raises:
        UserError: if it is not YAML; `what` says what it is.
    """
    try:
        return yaml.load(text, _Loader)
    except yaml.YAMLError as error:
        raise UserError(f"{what} is not YAML: {' '.join(str(error).split())}") from None


def from_word(word: str, what: str) -> Any:
    """A value from a shell: YAML, where a list may hold overrides such as ``core.channels=[8,8]`` without quotes.

    Raises:
        UserError: if it is neither.
    """
    try:
        return from_yaml(word, what)
    except UserError:
        inner = split(word.strip()[1:-1], ",")
        if not (word.strip().startswith("[") and word.strip().endswith("]") and any("=" in one for one in inner)):
            raise
    return [one.strip() if re.match(r"\s*[~+\w.@/]+=", one) else from_yaml(one, what) for one in inner]


def read_yaml(path: Path) -> Any:
    """What a YAML file holds.

    Raises:
        UserError: if it cannot be read.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is not text"
        raise UserError(f"cannot read the parameters in {path}: {reason}") from None
    return from_yaml(text, str(path))


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
