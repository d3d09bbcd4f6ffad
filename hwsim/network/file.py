"""Network files: a name and a list of layers, YAML or JSON, to be read, diffed and edited.

docs/guide/network_files.md shows one. What is a default is not written; a layer is a few lines.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import yaml

from hwsim.errors import UserError, nearest, shown
from hwsim.files import write_whole
from hwsim.network.description import as_name
from hwsim.network.layers import ConvLayer
from hwsim.network.map_layer import MapLayer
from hwsim.network.network import Network
from hwsim.network.written import read_mapping

SUFFIXES = (".yaml", ".yml", ".json")

_ORDER = (
    "name", "operator", "input", "residual", "scale", "weights_from",
    "in_channels", "in_height", "in_width", "out_channels", "out_height", "out_width",
    "kernel_size", "stride", "padding", "dilation", "conv_groups", "pool", "ceil_mode",
    "gated", "groups",
)  # fmt: skip
"""Keys of a layer as they are written; others follow."""

_TENSORS = "input", "residual", "scale", "weights_from"
"""Keys whose values are names of tensors."""

_WIDTH = 72
"""Columns after which a line of a layer ends."""


class NetworkFileError(UserError):
    """A network file that cannot be read or written; one line naming file, layer and key."""


def load_network(path: str | Path) -> Network:
    """Read a network file. Raises NetworkFileError."""
    path = Path(path)
    require_suffix(path)
    try:
        data = read_mapping(path)
    except UserError as error:
        raise NetworkFileError(str(error)) from None
    keys = list(Network.model_fields)
    if unknown := [key for key in data if key not in keys]:
        near = nearest(unknown[0], keys)
        raise NetworkFileError(f"{path}: unknown key {shown(unknown[0])}{near}")
    listed = data.get("layers")
    if not isinstance(listed, list) or not listed:
        raise NetworkFileError(f"{path}: layers: expected a list of layers, one mapping each")
    layers = [_layer(path, number, keys) for number, keys in enumerate(listed, 1)]
    name = data.get("name", as_name(path.stem))
    try:
        return Network(name=name, layers=tuple(layers))
    except UserError as error:
        message = str(error).removeprefix(f"Network {name!r}: ")
        raise NetworkFileError(f"{path}: {_numbered(message, layers)}") from None


def save_network(network: Network, path: str | Path) -> None:
    """Write a network file, whole or not at all: what :func:`load_network` reads is equal to it.

    JSON where the name ends in .json, else YAML. Raises NetworkFileError.
    """
    path = Path(path)
    require_suffix(path)
    text = as_json(network) if path.suffix == ".json" else as_yaml(network)
    try:
        write_whole(path, text)
    except OSError as error:
        raise NetworkFileError(f"{path}: cannot be written ({error.strerror or error})") from None


def require_suffix(path: Path) -> None:
    """Raise NetworkFileError where the name does not say what the file is."""
    if path.suffix not in SUFFIXES:
        raise NetworkFileError(f"{path}: expected a name that ends in {', '.join(SUFFIXES)}")


def as_yaml(network: Network, *, ascii_only: bool = False) -> str:
    """The text of a network file, one layer in one mapping.

    With ``ascii_only`` other characters are escapes, which are read as the same names.
    """
    head = yaml.safe_dump({"name": network.name}, allow_unicode=not ascii_only)
    return head + "layers:\n" + "".join(_block(layer, ascii_only) for layer in network.layers)


def print_yaml(network: Network) -> None:
    """Print the text of its file, which a terminal of any encoding leaves as it is."""
    utf = (sys.stdout.encoding or "utf-8").lower().startswith("utf")
    print(as_yaml(network, ascii_only=not utf), end="")


def as_json(network: Network) -> str:
    """The same in JSON, one layer a line."""
    layers = ",\n".join(f"  {json.dumps(written(layer))}" for layer in network.layers)
    return f'{{"name": {json.dumps(network.name)}, "layers": [\n{layers}\n]}}\n'


def _block(layer: ConvLayer | MapLayer, ascii_only: bool) -> str:
    text = yaml.safe_dump(
        written(layer), default_flow_style=True, sort_keys=False, allow_unicode=not ascii_only,
        width=_WIDTH,
    )  # fmt: skip
    first, *rest = text.splitlines()
    return "\n".join([f"- {first}", *(f"  {line}" for line in rest)]) + "\n"


def written(layer: ConvLayer | MapLayer) -> dict[str, Any]:
    """A layer's keys that are no default, in the order of a file."""
    fields = type(layer).model_fields
    known = layer.model_dump(mode="json")
    ordered = [
        *(key for key in _ORDER if key in known),
        *(key for key in known if key not in _ORDER),
    ]
    return {key: known[key] for key in ordered if getattr(layer, key) != fields[key].default}


def _layer(path: Path, number: int, keys: Any) -> ConvLayer | MapLayer:
    if not isinstance(keys, dict) or not all(isinstance(key, str) for key in keys):
        raise NetworkFileError(f"{path}: layer {number}: expected a mapping, found {shown(keys)}")
    kind, other = (MapLayer, ConvLayer) if "operator" in keys else (ConvLayer, MapLayer)
    try:
        _names_are_text(keys)
        _keys_of(kind, other, keys)
        return kind(**keys)
    except UserError as error:
        what, named = str(error), ""
        if "name" in keys:
            named = f" {keys['name']!r}"
            what = what.removeprefix(f"{kind.__name__}{named}: ")
            what = what.removeprefix(f"layer {keys['name']}: ")
        what = what.removeprefix(f"{kind.__name__}: ")
        raise NetworkFileError(f"{path}: layer {number}{named}: {what}") from None


def _names_are_text(keys: dict[str, Any]) -> None:
    """YAML reads a name such as 0 or on as a number or a truth."""
    for key in ("name", *_TENSORS):
        found = keys.get(key, "")
        names = found if isinstance(found, list) else [found]
        if wrong := [name for name in names if isinstance(name, int | float)]:
            raise UserError(f"{key}: expected a name; one such as {wrong[0]} stands in quotes")


def _keys_of(
    kind: type[ConvLayer] | type[MapLayer], other: type[ConvLayer] | type[MapLayer], keys: Any
) -> None:
    strange = [k for k in keys if k in other.model_fields and k not in kind.model_fields]
    if strange and kind is MapLayer:
        raise UserError(f"{strange[0]}: a layer with an operator is a map, and has no such key")
    if strange:
        raise UserError(f"{strange[0]}: only a layer with an operator, a map, has this key")


def _numbered(message: str, layers: list[ConvLayer | MapLayer]) -> str:
    """With a layer's place in the file, where the message begins with its name."""
    for number, layer in reversed(list(enumerate(layers, 1))):
        what = message.removeprefix(f"layer {layer.name}: ")
        if what != message:
            return f"layer {number} {layer.name!r}: {what}"
    return message
