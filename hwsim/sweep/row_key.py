"""The key of a sweep's row: configuration, masks, scheme, and the sources of its figures."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from importlib import metadata
from pathlib import Path
from typing import Any

PACKAGE = Path(__file__).resolve().parents[1]

ROOMS = ("arch", "energy", "mapping", "model", "network", "trace")
"""Every file of these rooms, and of those inside them, is hashed."""

FILES = (
    "counters.py",
    "errors.py",
    "files.py",
    "run/results.py",
    "run/simulate.py",
    "run/summary.py",
    "sweep/axes.py",
    "sweep/points.py",
    "sweep/row_key.py",
    "sweep/rows.py",
)
"""And these: all that figures of a row come from. A test holds the two lists to the imports."""


def row_key(machine: Mapping[str, Any], masks: Sequence[Any] | None, scheme: str | None) -> str:
    """SHA-256 of configuration, masks (contents, not path), scheme and :func:`model_sha256`."""
    parts = [machine, masks, scheme, model_sha256()]
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


@lru_cache(maxsize=1)
def version() -> str:
    return metadata.version("hwsim")


@lru_cache(maxsize=1)
def model_sha256() -> str:
    """Hash of the version and of every source and price that figures come from."""
    digest = hashlib.sha256(version().encode())
    for path in hashed():
        digest.update(path.relative_to(PACKAGE).as_posix().encode() + path.read_bytes())
    return digest.hexdigest()


def hashed() -> Iterator[Path]:
    """The sources and energy tables that :func:`model_sha256` is of."""
    for room in ROOMS:
        yield from sorted((PACKAGE / room).rglob("*.py"))
    yield from (PACKAGE / name for name in FILES)
    yield from sorted((PACKAGE / "energy" / "tables").glob("*.csv"))
