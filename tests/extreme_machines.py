"""Machines at their bounds: each number at its lowest and highest value, and all at once."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, get_args

from annotated_types import Ge, Gt, Le
from pydantic import BaseModel

from hwsim.arch.config import ArchConfig
from hwsim.arch.load import CombinationError, load_arch

ENTRIES = "partial_sums.entries"


def bounds(model: type[BaseModel] = ArchConfig, prefix: str = "") -> Iterator[tuple[str, Any, Any]]:
    """Dotted key, lowest and highest value of every number of a machine."""
    for name, field in model.model_fields.items():
        kind, limits = field.annotation, list(field.metadata)
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            yield from bounds(kind, f"{prefix}{name}.")
        elif kind in (int, float):
            for each in get_args(kind):
                limits += getattr(each, "metadata", [])
            low = [limit.ge for limit in limits if isinstance(limit, Ge)]
            low += [limit.gt + 1 for limit in limits if isinstance(limit, Gt) and kind is int]
            high = [limit.le for limit in limits if isinstance(limit, Le)]
            assert len(low) == len(high) == 1, f"{prefix}{name}: a number without bounds"
            yield prefix + name, kind(low[0]), kind(high[0])


def machine(keys: dict[str, Any]) -> ArchConfig:
    """The default machine with these keys, and as many partial sums as they need at least."""
    try:
        return load_arch("pe16x16", keys)
    except CombinationError:
        rows, columns = keys.get("array.rows", 16), keys.get("array.columns", 16)
        fewest = max(rows * columns, min(keys.get(ENTRIES, 4096), columns << 12))
        return load_arch("pe16x16", {**keys, ENTRIES: -(-fewest // columns) * columns})


def extremes() -> Iterator[tuple[str, dict[str, Any]]]:
    """Machines by name, as keys that differ from the default."""
    walked = list(bounds())
    for key, low, high in walked:
        yield f"{key}={low}", {key: low}
        yield f"{key}={high}", {key: high}
    yield "all lowest", {key: low for key, low, _ in walked}
    yield "all highest", {key: high for key, _, high in walked}
