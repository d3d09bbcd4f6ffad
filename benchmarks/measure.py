"""Time and memory: CPU seconds of a call, its peak in a process of its own, and figures of both."""

from __future__ import annotations

import os
import resource
import sys
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from statistics import median
from typing import NamedTuple, ParamSpec, TypeVar

Arguments = ParamSpec("Arguments")
Returned = TypeVar("Returned")


class Figure(NamedTuple):
    """One number of a run. ``input``: masks or layer; ``images``, ``threads``: 0 where neither."""

    scheme: str
    input: str
    images: int
    threads: int
    figure: str
    value: float
    unit: str


class Spent(NamedTuple):
    """Seconds on the clock, and of all this process's threads on cores."""

    wall: float
    cpu: float


def spent(work: Callable[[], object]) -> Spent:
    """What one call takes."""
    wall, cpu = time.perf_counter(), time.process_time()
    work()
    return Spent(time.perf_counter() - wall, time.process_time() - cpu)


def median_spent(work: Callable[[], object], repeats: int) -> Spent:
    """Medians of several calls, after one that compiles and fills caches."""
    work()
    runs = [spent(work) for _ in range(repeats)]
    return Spent(median(run.wall for run in runs), median(run.cpu for run in runs))


def cores() -> int:
    """Cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def keep_to(threads: int) -> None:
    """Bind this process to as many cores, where the system can."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[-threads:])


def alone(
    work: Callable[Arguments, Returned], *args: Arguments.args, **kwargs: Arguments.kwargs
) -> tuple[Returned, float]:
    """What ``work`` returns in a fresh process, and the peak memory of that process in MiB."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        return pool.submit(_with_peak, work, args, kwargs).result()


def _with_peak(work: Callable, args: tuple, kwargs: dict) -> tuple:
    result = work(*args, **kwargs)
    return result, peak_mib(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)


def peak_mib(ru_maxrss: int) -> float:
    """KiB on Linux, bytes on macOS."""
    return ru_maxrss / (1 << 20 if sys.platform == "darwin" else 1 << 10)
