"""Machines from commented YAML: by path or shipped name, with single keys set anew.

A file that does not exist is looked up by its file name among the shipped ``arch_configs/``. An
unknown key, a wrong type or an impossible value is an :class:`ArchError`.
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ValidationError

from hwsim.arch.config import ArchConfig
from hwsim.errors import UserError, nearest
from hwsim.files import asset_dir
from hwsim.network import as_name, first_mistake
from hwsim.network.written import read_mapping


class ArchError(UserError):
    """A machine that cannot be read or built; the message is one line for the user."""


class CombinationError(ArchError):
    """Every key is valid by itself; together they make no machine."""


def arch_names() -> list[str]:
    """Names of the shipped design points."""
    return sorted(path.stem for path in asset_dir("arch_configs").glob("*.yaml"))


def find_arch(name_or_path: str | Path) -> Path:
    """The file meant: an existing path, or a shipped design point of that file name."""
    path = Path(name_or_path)
    if path.is_file():
        return path
    if path.is_dir():
        raise ArchError(f"{name_or_path}: is a folder; expected a machine's YAML file or name")
    stem = path.stem if path.suffix in (".yaml", ".yml") else path.name
    shipped = asset_dir("arch_configs") / f"{stem}.yaml"
    if shipped.is_file():
        return shipped
    raise ArchError(
        f"{name_or_path}: no such file, and no shipped machine of that name"
        + nearest(stem, arch_names())
    )


def load_arch(name_or_path: str | Path, overrides: Mapping[str, Any] | None = None) -> ArchConfig:
    """Read a machine; ``overrides`` maps dotted keys (``index.lane_group``) to values.

    A file may name a ``base``, a file beside it or a shipped machine, which gives every key that it
    leaves out. Raises ArchError.
    """
    path = find_arch(name_or_path)
    data = {"name": as_name(path.stem), **_read(path, ())}
    for key in overrides or {}:
        if key not in known_keys():
            raise ArchError(f"--set {key}: unknown key" + nearest(key, known_keys()))
    set_keys(data, overrides or {})
    return build_arch(data, source=f"{path} with --set" if overrides else str(path))


def _read(path: Path, above: tuple[Path, ...]) -> dict[str, Any]:
    """The keys of a file, and of its base where the file leaves one out.

    ``above``: the files that are built on this one.
    """
    try:
        data = read_mapping(path)
    except UserError as error:
        raise ArchError(str(error)) from None
    if "base" not in data:
        return data
    named = data.pop("base")
    if not isinstance(named, str):
        raise ArchError(f"{path}: base: expected a file or a shipped machine, found {named!r}")
    beside = path.parent / named
    try:
        base = beside if beside.is_file() else find_arch(named)
    except ArchError as error:
        raise ArchError(f"{path}: base: {error}") from None
    if base.resolve() in (path.resolve(), *above):
        raise ArchError(f"{path}: base: {named} is this file, or is built on it")
    given = _read(base, (*above, path.resolve()))
    given.pop("name", None)
    return _merged(given, data)


def _merged(base: dict[str, Any], own: dict[str, Any]) -> dict[str, Any]:
    """``own`` over ``base``, part by part."""
    found = dict(base)
    for key, value in own.items():
        both = isinstance(value, dict) and isinstance(base.get(key), dict)
        found[key] = _merged(base[key], value) if both else value
    return found


def as_arch(machine: str | Path | ArchConfig) -> ArchConfig:
    """The machine itself, or the one that a path or a shipped name names."""
    return machine if isinstance(machine, ArchConfig) else load_arch(machine)


def arch_of(options: argparse.Namespace) -> ArchConfig:
    """The machine that --arch and --set name."""
    overrides: dict[str, Any] = {}
    for key, value in map(parse_override, options.set):
        if key in overrides:
            raise ArchError(f"--set {key}: given twice")
        overrides[key] = value
    return load_arch(options.arch, overrides)


def build_arch(data: Mapping[str, Any], source: str = "machine") -> ArchConfig:
    """Validate plain data; ``source`` names the file in the error.

    CombinationError where only the keys' values together are at fault.
    """
    try:
        return ArchConfig.model_validate(data)
    except ValidationError as error:
        of_a_key = any(found["loc"] for found in error.errors())
        kind = ArchError if of_a_key else CombinationError
        raise kind(f"{source}: {_explain(error)}") from None


def with_keys(arch: ArchConfig, settings: Mapping[str, Any]) -> ArchConfig:
    """The machine with dotted keys set anew; raises what :func:`build_arch` raises."""
    data = arch.model_dump(mode="json")
    set_keys(data, settings)
    return build_arch(data, source=arch.name)


def set_keys(data: dict[str, Any], settings: Mapping[str, Any]) -> None:
    """Set values of a machine's plain data by dotted key; a part that is not there is begun."""
    for key, value in settings.items():
        *parents, last = key.split(".")
        part = data
        for parent in parents:
            part[parent] = dict(part.get(parent) or {})
            part = part[parent]
        part[last] = value


def dotted(data: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """The values of a machine's plain data with their dotted keys."""
    for name, value in data.items():
        if isinstance(value, dict):
            yield from dotted(value, f"{prefix}{name}.")
        else:
            yield prefix + name, value


def parse_override(text: str) -> tuple[str, Any]:
    """Split ``key=value`` of the command line; the value is read as YAML reads it."""
    key, equals, value = text.partition("=")
    if not equals or not key:
        raise ArchError(f"--set {text}: expected key=value, such as index.lane_group=4")
    try:
        return key.strip(), yaml.safe_load(value)
    except yaml.YAMLError:
        raise ArchError(f"--set {text}: the value is not valid YAML") from None


def known_keys(model: type[BaseModel] = ArchConfig, prefix: str = "") -> list[str]:
    """Every dotted key a machine may have."""
    keys: list[str] = []
    for name, field in model.model_fields.items():
        part = field.annotation
        if isinstance(part, type) and issubclass(part, BaseModel):
            keys += known_keys(part, f"{prefix}{name}.")
        else:
            keys.append(prefix + name)
    return keys


def _explain(error: ValidationError) -> str:
    first = error.errors()[0]
    if first["loc"][:2] == ("array", "reshape"):
        return f"array.reshape: expected a list of [rows, columns], found {first['input']!r}"
    mistake = first_mistake(error, ["base", *known_keys()])
    unknown = re.match(r"unknown key '([\w.]+)'", mistake)
    if unknown and unknown[1] in known_keys():
        part, _, key = unknown[1].partition(".")
        return f"unknown key {unknown[1]!r}; in a file it is {key} inside {part}"
    if mistake.startswith("missing"):
        mistake += "; base: pe16x16 in the file takes what it leaves out from there"
    return mistake
