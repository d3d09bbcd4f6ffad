"""Files of keys and values, YAML or JSON, without silent surprises: a key given twice is an error.

Mistakes are one line that names the file.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import yaml

from hwsim.errors import UserError, one_line
from hwsim.files import read_text


class UniqueKeyLoader(yaml.SafeLoader):
    """YAML whose equal keys in one mapping are an error."""


def _unique_mapping(loader: UniqueKeyLoader, node: yaml.MappingNode) -> dict[Any, Any]:
    seen: dict[Any, Any] = {}
    for key_node, value_node in node.value:
        key = loader.construct_object(key_node, deep=True)
        if key in seen:
            raise UserError(f"duplicate key {key!r} (line {key_node.start_mark.line + 1})")
        seen[key] = loader.construct_object(value_node, deep=True)
    return seen


UniqueKeyLoader.add_constructor(yaml.resolver.BaseResolver.DEFAULT_MAPPING_TAG, _unique_mapping)


def read_mapping(path: Path) -> dict[str, Any]:
    """The keys of a file: JSON where its name ends in .json, else YAML. Raises UserError."""
    text = read_text(path)
    kind, parsed = ("JSON", _json) if path.suffix == ".json" else ("YAML", _yaml)
    try:
        data = parsed(text)
    except UserError as error:
        raise UserError(f"{path}: {error}") from None
    # Beside errors of their own the parsers raise many that are Python's: of a number with too many
    # digits, a date without a day, a mapping as a key, lists in lists without end.
    except Exception as error:
        raise UserError(f"{path}: not valid {kind} ({one_line(error)})") from None
    if not isinstance(data, dict):
        found = "an empty file" if data is None else f"a {type(data).__name__}"
        raise UserError(f"{path}: expected a mapping of keys, found {found}")
    return data


def _yaml(text: str) -> Any:
    return yaml.load(text, Loader=UniqueKeyLoader)


def _json(text: str) -> Any:
    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        seen: dict[str, Any] = {}
        for key, value in pairs:
            if key in seen:
                raise UserError(f"duplicate key {key!r}")
            seen[key] = value
        return seen

    return json.loads(text, object_pairs_hook=unique)
