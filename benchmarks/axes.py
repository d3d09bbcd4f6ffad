"""What a further value of each class of axes costs a sweep (docs/guide/sweeps.md)."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator

import numpy as np

from hwsim.sweep.axes import Axis
from hwsim.sweep.sweep import run_sweep

from .masks import Settings
from .measure import Figure, alone, keep_to, spent
from .schemes import MACHINE
from .sweep import SCHEMES

AXES: dict[str, Axis] = {
    "pricing.mac_scale": tuple(np.linspace(0.5, 2, 200).tolist()),
    "dram.bandwidth_gb_per_s": tuple(np.linspace(2, 40, 200).tolist()),
    "clock_mhz": tuple(range(200, 800, 3)),
    "weight.buffer_kib": tuple(range(160, 560, 8)),
    "activation.banks": tuple(range(8, 58)),
    "index.word_bits": (8, 16, 32, 64),
    "index.indices_per_cycle": tuple(range(1, 17)),
    "array.rows": (4, 8, 16, 32),
}


def axes(settings: Settings) -> Iterator[Figure]:
    """64 images of both shipped traces, one process, after a first sweep of two machines."""
    for key in AXES:
        (rows, seconds), _ = alone(_timed, key)
        where = (", ".join(SCHEMES), key, 64, 1)
        yield Figure(*where, "points", rows, "rows")
        yield Figure(*where, "by point", 1e3 * seconds / rows, "CPU ms")


def _timed(key: str) -> tuple[int, float]:
    """Points, and CPU seconds from an empty folder to the data frame."""
    keep_to(1)
    _sweep(key, AXES[key][:2])
    found: list[int] = []
    taken = spent(lambda: found.append(_sweep(key, AXES[key])))
    return found[0], taken.cpu


def _sweep(key: str, values: Axis) -> int:
    with tempfile.TemporaryDirectory() as folder:
        return len(run_sweep(MACHINE, {key: values}, folder, schemes=SCHEMES, workers=1))
