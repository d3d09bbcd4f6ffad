"""Sweeps from an empty folder: time and memory by the number of machines, on every core."""

from __future__ import annotations

import os
import resource
import tempfile
import time
from collections.abc import Iterator

from hwsim.sweep.axes import Axis, Range, drawn
from hwsim.sweep.sweep import run_sweep

from .masks import Settings
from .measure import Figure, alone, cores, peak_mib
from .schemes import MACHINE

MACHINES = (125, 250, 500, 1_000)
SCHEMES = ("dense", "unstructured", "structured")
AXES: dict[str, Axis] = {
    "array.rows": (8, 16, 32),
    "array.columns": (8, 16, 32),
    "activation.banks": (8, 16, 32, 64),
    "activation.word_channels": (2, 4, 8),
    "activation.buffer_kib": Range(256, 1024),
    "weight.buffer_kib": Range(160, 512),
    "index.word_bits": (16, 32, 64),
    "index.decoders": ("private", "shared"),
    "dram.bandwidth_gb_per_s": Range(6.4, 51.2),
}
"""From which machines are drawn at random; each can hold the network."""


def sweep(settings: Settings) -> Iterator[Figure]:
    """Then once more from the folder that is filled; 64 images of both shipped traces."""
    for machines in MACHINES:
        (points, wall, cpu, again, workers_mib), peak = alone(_timed, machines)
        for figure, value, unit in (
            ("points", points, "rows"),
            ("first time", wall, "s"),
            ("first time", cpu, "CPU s"),
            ("by machine", 1e3 * cpu / machines, "CPU ms"),
            ("again", again, "s"),
            ("peak memory", peak, "MiB"),
            ("peak of a worker", workers_mib, "MiB"),
        ):
            where = (", ".join(SCHEMES), f"{machines:,} machines", 64, cores())
            yield Figure(*where, figure, value, unit)


def _timed(machines: int) -> tuple[int, float, float, float, float]:
    """Points, seconds on the clock and on cores of a first sweep, seconds of a repeated one, MiB
    that its largest worker took at most."""
    settings = drawn(AXES, machines)
    with tempfile.TemporaryDirectory() as folder:
        started, before = time.perf_counter(), sum(os.times()[:4])
        rows = run_sweep(MACHINE, settings, folder, schemes=SCHEMES)
        wall, cpu = time.perf_counter() - started, sum(os.times()[:4]) - before
        started = time.perf_counter()
        run_sweep(MACHINE, settings, folder, schemes=SCHEMES)
        again = time.perf_counter() - started
    largest = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    return len(rows), wall, cpu, again, peak_mib(largest)
