"""What a result depends on, for whoever wants to make it again."""

from __future__ import annotations

import hashlib
import json
import platform
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path
from typing import Any

from hwsim.arch.config import ArchConfig

MANIFEST, SUMMARY = "provenance.json", "summary.json"
"""Of the folder that ``hwsim run --out`` leaves; the manifest names files of one run, no other."""


def holds_run(folder: Path) -> bool:
    """Whether ``hwsim run --out`` wrote there, to the end or not."""
    return (folder / MANIFEST).exists() or (folder / SUMMARY).exists()


def provenance(arch: ArchConfig, traces: Mapping[str, str | None]) -> dict[str, Any]:
    """What a result depends on: machine, traces by hash, versions, platform."""
    dump = arch.model_dump_json()
    return {
        "hwsim": metadata.version("hwsim"),
        "arch": json.loads(dump),
        "arch_sha256": hashlib.sha256(dump.encode()).hexdigest(),
        "traces": dict(traces),
        "python": platform.python_version(),
        "platform": platform.platform(),
        "versions": {
            name: metadata.version(name)
            for name in ("numpy", "numba", "simpy", "pandas", "pyfive", "pydantic")
        },
    }
