"""What strangers write, in YAML or JSON: files, ``--set``, ``--vary``, points, and cells of tables.

Only null, booleans, integers, finite numbers, text, lists and mappings of text are built, of
bounded depth and size; a key given twice is an error. Every mistake is one line
(docs/reference/formats.md).
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml

from hwsim.errors import UserError, one_line, shown
from hwsim.files import read_text

DEEPEST = 32
"""Lists and mappings in each other."""

MOST_VALUES = 1_000_000
"""Of a text; a few references may stand for any number of them."""

MOST_DIGITS = 40
"""Of an integer: far more than any key takes, far fewer than take long to read."""

_INTEGER = re.compile(r"[-+]?(0|[1-9][0-9]*(_[0-9]+)*)")
_ESCAPED = re.compile("[\x00\ud800-\udfff]")
_TAG = "tag:yaml.org,2002:"


class _Composer(yaml.SafeLoader):
    """Nodes of a text without tags, of bounded depth."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self._depth = 0

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        event = self.peek_event()
        if getattr(event, "tag", None) is not None:
            raise UserError(f"{_line(event)}: tags such as {shown(event.tag)} are not read")
        inner = isinstance(event, yaml.CollectionStartEvent)
        self._depth += inner
        if self._depth > DEEPEST:
            raise UserError(f"{_line(event)}: more than {DEEPEST} lists or mappings in each other")
        node = super().compose_node(parent, index)
        self._depth -= inner
        return node


def _line(marked: Any) -> str:
    return f"line {marked.start_mark.line + 1}"


class _Builder:
    """Values of nodes; what an anchor names is built once."""

    def __init__(self) -> None:
        self._built: dict[int, Any] = {}

    def value(self, node: yaml.Node) -> Any:
        if isinstance(node, yaml.ScalarNode):
            return _scalar(node)
        if id(node) in self._built:
            found = self._built[id(node)]
            if found is _UNFINISHED:
                raise UserError(f"{_line(node)}: what is named here refers to itself")
            return found
        self._built[id(node)] = _UNFINISHED
        if isinstance(node, yaml.MappingNode):
            built: Any = self._mapping(node)
        else:
            built = [self.value(each) for each in node.value]
        self._built[id(node)] = built
        return built

    def _mapping(self, node: yaml.MappingNode) -> dict[str, Any]:
        own: dict[str, Any] = {}
        merged: dict[str, Any] = {}
        merges = 0
        for key_node, value_node in node.value:
            if key_node.tag == f"{_TAG}merge":
                merges += 1
                merged = self._merged(value_node)
                key = "<<"
            else:
                key = self._key(key_node)
            if key in own or merges > 1:
                raise UserError(f"duplicate key {shown(key)} ({_line(key_node)})")
            if key_node.tag != f"{_TAG}merge":
                own[key] = self.value(value_node)
        return {**merged, **own}

    def _key(self, node: yaml.Node) -> str:
        key = _scalar(node) if isinstance(node, yaml.ScalarNode) else None
        if not isinstance(key, str):
            found = shown(node.value) if isinstance(node, yaml.ScalarNode) else "a list or mapping"
            raise UserError(f"{_line(node)}: expected a key that is text, found {found}")
        return key

    def _merged(self, node: yaml.Node) -> dict[str, Any]:
        """What ``<<`` brings: of several mappings the first one that has a key."""
        found = self.value(node)
        mappings = found if isinstance(found, list) else [found]
        if not all(isinstance(mapping, dict) for mapping in mappings):
            raise UserError(f"{_line(node)}: << takes a mapping, or a list of them")
        merged: dict[str, Any] = {}
        for mapping in mappings:
            merged = {**mapping, **merged}
        return merged


_UNFINISHED = object()


def _scalar(node: yaml.ScalarNode) -> Any:
    kind, text = node.tag.removeprefix(_TAG), node.value
    if kind == "null":
        return None
    if kind == "bool":
        return bool(yaml.SafeLoader.bool_values[text.lower()])
    try:
        if kind == "int":
            return _integer(text)
        if kind == "float":
            return _number(text)
    except UserError as error:
        raise UserError(f"{_line(node)}: {error}") from None
    # Days, too, are text.
    return text


def _integer(text: str) -> int:
    if len(text) > MOST_DIGITS:
        raise UserError(f"a number of {len(text):,} digits; at most {MOST_DIGITS}")
    if not _INTEGER.fullmatch(text):
        raise UserError(f"{text} is no decimal number; text that looks like one stands in quotes")
    return int(text)


def _number(text: str) -> float:
    try:
        value = float(text.replace("_", ""))
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise UserError(f"{shown(text)} is no finite number; text that looks like one is quoted")
    return value


def parse_yaml(text: str) -> Any:
    """The value that a text of YAML stands for. Raises UserError, one line without a file."""
    return _parsed(text, "YAML", _yaml)


def parse_json(text: str) -> Any:
    """The value that a text of JSON stands for. Raises UserError, one line without a file."""
    return _parsed(text, "JSON", _json)


def _parsed(text: str, kind: str, parse: Callable[[str], Any]) -> Any:
    try:
        value = parse(text)
        _require_plain(value)
    except UserError:
        raise
    # Parsers raise errors of their own, and of Python's: of lists in lists without end.
    except Exception as error:
        raise UserError(f"not valid {kind} ({one_line(error)})") from None
    return value


def _yaml(text: str) -> Any:
    composer = _Composer(text)
    try:
        node = composer.get_single_node()
    finally:
        composer.dispose()
    return None if node is None else _Builder().value(node)


def _json(text: str) -> Any:
    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        seen: dict[str, Any] = {}
        for key, value in pairs:
            if key in seen:
                raise UserError(f"duplicate key {shown(key)}")
            seen[key] = value
        return seen

    return json.loads(
        text,
        object_pairs_hook=unique,
        parse_int=_integer,
        parse_float=_number,
        parse_constant=_number,
    )


def _require_plain(value: Any) -> None:
    """Raise UserError where a value is too deep or too large, or text holds what no file may."""
    count, level = 0, [value]
    for depth in range(DEEPEST + 1):
        deeper: list[Any] = []
        if depth == DEEPEST and any(isinstance(each, dict | list) for each in level):
            raise UserError(f"more than {DEEPEST} lists or mappings in each other")
        for each in level:
            if isinstance(each, str) and _ESCAPED.search(each):
                raise UserError(f"{shown(each)} holds a character that is none")
            if isinstance(each, dict):
                deeper += each
                deeper += each.values()
            elif isinstance(each, list):
                deeper += each
            if count + len(deeper) > MOST_VALUES:
                raise UserError(f"more than {MOST_VALUES:,} values")
        count += len(deeper)
        level = deeper


def read_mapping(path: Path) -> dict[str, Any]:
    """The keys of a file: JSON where its name ends in .json, else YAML. Raises UserError."""
    text = read_text(path)
    try:
        data = parse_json(text) if path.suffix == ".json" else parse_yaml(text)
    except UserError as error:
        raise UserError(f"{path}: {error}") from None
    if not isinstance(data, dict):
        found = "an empty file" if data is None else f"a {type(data).__name__}"
        raise UserError(f"{path}: expected a mapping of keys, found {found}")
    return data
