"""Start-up: the main command on the shipped traces, with compiled kernels and without."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from statistics import median

from .masks import Settings
from .measure import Figure, Spent

ROOT = Path(__file__).parent.parent
COMMAND = ("-m", "hwsim.run", "--arch", "configs/pe16x16.yaml", "--trace")


def startup(settings: Settings) -> Iterator[Figure]:
    """First with an empty cache of compiled kernels, then with the one that this has filled."""
    with tempfile.TemporaryDirectory() as cache:
        yield from _figures("empty", _command(cache))
        runs = [_command(cache) for _ in range(settings.repeats)]
    warm = Spent(median(run.wall for run in runs), median(run.cpu for run in runs))
    yield from _figures("warm", warm)


def _figures(cache: str, run: Spent) -> Iterator[Figure]:
    for seconds, unit in ((run.wall, "s"), (run.cpu, "CPU s")):
        yield Figure("all", f"JIT cache {cache}", 64, 0, "hwsim.run", seconds, unit)


def _command(cache: str) -> Spent:
    """A process of its own, from its start to its end."""
    started, before = time.perf_counter(), os.times()
    subprocess.run(
        [sys.executable, *COMMAND],
        cwd=ROOT,
        env=os.environ | {"XDG_CACHE_HOME": cache, "NUMBA_CACHE_DIR": cache},
        stdout=subprocess.DEVNULL,
        check=True,
    )
    wall, after = time.perf_counter() - started, os.times()
    cpu = after.children_user + after.children_system
    return Spent(wall, cpu - before.children_user - before.children_system)
