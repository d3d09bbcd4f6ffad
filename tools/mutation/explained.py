"""The survivors that are equivalent to the original, each with its reason (explained.yaml)."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import yaml

from .mutant import Key

EXPLAINED = Path(__file__).parent / "explained.yaml"


def explanations(path: Path = EXPLAINED) -> dict[Key, str]:
    """The reason of each explained mutant."""
    found: dict[Key, str] = {}
    for entry in yaml.safe_load(path.read_text(encoding="utf-8")) or []:
        for change in entry["changes"]:
            key = Key(entry["file"], entry["scope"], entry["line"], change)
            if key in found:
                raise ValueError(f"{path.name} explains twice: {key}")
            found[key] = " ".join(entry["reason"].split())
    return found


def stale(reasons: Mapping[Key, str], survivors: set[Key], files: set[str]) -> list[Key]:
    """Explanations, for the files that were tried as a whole, of what did not survive."""
    return [key for key in reasons if key.file in files and key not in survivors]
