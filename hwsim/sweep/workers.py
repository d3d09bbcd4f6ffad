"""Where the chunks of a sweep run: this process, processes beside it, or a Dask cluster."""

from __future__ import annotations

import gc
import os
from collections.abc import Iterator
from concurrent.futures import Executor, Future, ProcessPoolExecutor
from contextlib import contextmanager
from typing import Any, NamedTuple

from hwsim import process
from hwsim.errors import UserError


class WorkerError(UserError):
    """Workers that cannot be reached, or that died; one line for the user."""


class Workers(NamedTuple):
    """Where chunks run, and how many are given out at a time."""

    executor: Executor
    window: int


@contextmanager
def workers_of(processes: int | None = None, scheduler: str | None = None) -> Iterator[Workers]:
    """``processes`` (None: one per core; 1: this one), or a Dask scheduler's workers."""
    if scheduler:
        with _cluster(scheduler) as cluster:
            yield cluster
        return
    processes = processes or cores()
    if processes == 1:
        yield Workers(_Here(), 1)
        return
    from concurrent.futures.process import BrokenProcessPool
    from multiprocessing import get_context

    class Pool(ProcessPoolExecutor):
        """Starts its processes where chunks are given out."""

        def submit(self, work: Any, /, *arguments: Any, **options: Any) -> Future[Any]:
            with process.held():
                return super().submit(work, *arguments, **options)

    # A fork after the kernel's threads have run would hang: spawn.
    pool = Pool(processes, get_context("spawn"), initializer=_begin_worker)
    try:
        with pool:
            yield Workers(pool, processes + 1)
    except BrokenProcessPool:
        raise WorkerError(
            "a worker process was killed, perhaps for want of memory; finished points are kept: "
            "run the same again to go on, with fewer --workers"
        ) from None


class _Here(Executor):
    """This process, chunk by chunk: no start-up, and no need of a guarded main module."""

    def submit(self, work: Any, /, *arguments: Any, **options: Any) -> Future[Any]:
        future: Future[Any] = Future()
        future.set_result(work(*arguments, **options))
        return future


def _begin_worker() -> None:
    """Ctrl-C is the parent's to handle; a worker whose parent was killed ends."""
    import signal
    import threading
    from multiprocessing import parent_process

    signal.signal(signal.SIGINT, signal.SIG_IGN)
    process.release()
    gc.set_threshold(200_000)

    def end_with_parent() -> None:
        parent = parent_process()
        if parent is not None:
            parent.join()
            os._exit(1)

    threading.Thread(target=end_with_parent, daemon=True).start()


@contextmanager
def _cluster(scheduler: str) -> Iterator[Workers]:
    """The workers of a Dask scheduler; a chunk whose worker dies is run again on another."""
    try:
        from dask.distributed import Client, KilledWorker
    except ImportError:
        raise WorkerError("--scheduler needs Dask: pip install 'hwsim[cluster]'") from None
    try:
        client = Client(scheduler, timeout="10s")
    except (OSError, ValueError) as error:
        reason = str(error).splitlines()[0]
        raise WorkerError(f"--scheduler {scheduler}: cannot be reached ({reason})") from None
    with client:
        threads = sum(client.nthreads().values())
        if not threads:
            raise WorkerError(f"--scheduler {scheduler}: has no workers")
        try:
            yield Workers(client.get_executor(), 2 * threads)
        except KilledWorker:
            raise WorkerError(
                f"--scheduler {scheduler}: workers died again and again on the same points; "
                "finished points are kept: run the same again to go on"
            ) from None


def cores() -> int:
    """Cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
